"""Configurations: RLlib's fluent sections over the engine's options."""

import copy
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from skirl.algorithms._common_sections import CommonSections
from skirl.algorithms._draft import Draft
from skirl.algorithms._environments import ENVS, decode, encode, settled
from skirl.algorithms._objects import SECTION_SYNONYMS, PythonObjects
from skirl.algorithms._options import OptionTable, options_of
from skirl.algorithms._sections import section_method
from skirl.algorithms._text import fluent
from skirl._native import NativeConfig
from skirl.errors import ConfigError

if TYPE_CHECKING:
    from typing import Self

    from skirl.algorithms.algorithm import Algorithm


class AlgorithmConfig(CommonSections):
    """The configuration of one algorithm. `PPOConfig`, `A2CConfig` and `PGConfig` are made; this is what they share.

    Options are set by section (`config.training(lr=1e-3)`), by name (`config.lr = 1e-3`, `config["lr"] = 1e-3`), or from a
    map (`config.update_from_dict({"lr": 1e-3})`). Names and defaults are RLlib's.
    """

    #: Name of the algorithm in the engine.
    _algorithm: ClassVar[str] = ""
    _table: ClassVar[OptionTable]
    #: The class that runs it; `Algorithm`'s subclasses enter themselves.
    _algo_class: ClassVar["type[Algorithm] | None"] = None

    #: The options, as the engine holds them. Never changed, only replaced.
    _values: NativeConfig
    _search: dict[str, object]
    _objects: PythonObjects
    _is_frozen: bool

    def __init_subclass__(cls, algorithm: str | None = None, **more: Any) -> None:
        """Makes the section methods of a subclass from the engine's definitions."""
        super().__init_subclass__(**more)
        if algorithm is None:
            return
        cls._algorithm = algorithm
        cls._table = options_of(algorithm)
        for section in cls._table.sections:
            # With this algorithm's defaults in the documentation.
            if section not in vars(AlgorithmConfig):
                setattr(cls, section, section_method(cls._table, section))

    def __init__(self, algo_class: "type[Algorithm] | None" = None) -> None:
        if not self._algorithm:
            raise ConfigError(
                f"{type(self).__name__} is what the configs of all algorithms share: expected the config of one of them, "
                "for example PPOConfig()"
            )
        if algo_class is not None:
            self.__dict__["_algo_class"] = algo_class
        self._reset(NativeConfig(self._algorithm))

    def _reset(self, values: NativeConfig) -> None:
        self.__dict__.update(_values=values, _search={}, _objects=PythonObjects(), _is_frozen=False)

    # Setting.

    def callbacks(self, callbacks_class: Any = None, **options: Any) -> "Self":
        """Your own code in the run.

        Args:
            callbacks_class: A subclass of `skirl.callbacks.RLlibCallback`, or a list of them.
            **options: Functions by the hook they are for (`on_train_result=...`), or lists of them.

        Returns:
            This config.

        Raises:
            ConfigError: Everything that is wrong with the options, at once.
        """
        if callbacks_class is not None:
            options["callbacks_class"] = callbacks_class
        return self._set_section("callbacks", options)

    def rollouts(self, **options: Any) -> "Self":
        """RLlib's older name of `env_runners`."""
        return self._set_section("env_runners", options)

    def update_from_dict(self, config_dict: Mapping[str, Any]) -> "Self":
        """Sets options from a map: flat names (`{"lr": 1e-3}`), or sections (`{"training": {"lr": 1e-3}}`), or both.

        Raises:
            ConfigError: Everything that is wrong with the map, at once; then nothing is set.
        """
        draft, objects = self._draft()
        rest = objects.take_flat(config_dict, draft)
        draft.set_flat(rest)
        return self._commit(draft, objects)

    def _set_section(self, section: str, options: Mapping[str, Any]) -> "Self":
        draft, objects = self._draft()
        section = SECTION_SYNONYMS.get(section, section)
        draft.set_section(section, objects.take(section, options, draft))
        return self._commit(draft, objects)

    def _draft(self) -> tuple[Draft, PythonObjects]:
        if self._is_frozen:
            raise ConfigError(
                "this config is frozen, for example because an algorithm runs with it: take config.copy(copy_frozen=False) "
                "and change that"
            )
        return Draft(self._table, self._values, self._search), self._objects.copy()

    def _commit(self, draft: Draft, objects: PythonObjects) -> "Self":
        if draft.problems:
            raise ConfigError.of(draft.problems)
        self.__dict__.update(_values=draft.native, _search=draft.search, _objects=objects)
        return self

    def __setattr__(self, name: str, value: Any) -> None:
        if name.startswith("_"):
            self.__dict__[name] = value
        elif callable(getattr(type(self), name, None)):
            raise ConfigError(f"{name} is a section: expected a call, write config.{name}(...)")
        else:
            self.update_from_dict({name: value})

    def __setitem__(self, name: str, value: Any) -> None:
        self.update_from_dict({name: value})

    # Reading.

    def __getattr__(self, name: str) -> Any:
        # Reached only where there is no attribute of this name.
        if name.startswith("_") or "_values" not in self.__dict__:
            raise AttributeError(name)
        try:
            return self[name]
        except KeyError:
            raise AttributeError(f"{type(self).__name__} has no option or method {name!r}{self._meant(name, self._methods())}") from None

    def __getitem__(self, name: str) -> Any:
        path = self._path_of(name)
        if path is None:
            raise KeyError(f"{type(self).__name__} has no option {name!r}{self._meant(name)}")
        if path in self._objects:
            return self._objects[path]
        if path in self._search:
            return self._search[path]
        if path in self._table.groups:
            return {option: self[f"{path}.{option}"] for option in self._table.groups[path]}
        return self._laid_over(path, decode(path, self._values.get(path)))

    def _path_of(self, name: str) -> str | None:
        """The canonical dotted path of a name; None where there is no such option."""
        if name in self._objects:
            return name
        if "." in name:
            section, _, last = name.rpartition(".")
            option = self._table.in_section(section, last)
            return option.path if option else name if name in self._table.groups else None
        if option := self._table.find(name):
            return option.path
        kept = next((path for path in self._objects if path.rpartition(".")[2] == name), None)
        return kept or self._table.group(None, name)

    def _laid_over(self, path: str, value: Any) -> Any:
        """A map with the search spaces that were taken out of it."""
        for inner, space in self._search.items():
            if inner.startswith(path + ".") and isinstance(value, dict):
                *outer, last = inner.removeprefix(path + ".").split(".")
                place = value
                for key in outer:
                    place = place.setdefault(key, {})
                place[last] = space
        return value

    @classmethod
    def _methods(cls) -> list[str]:
        return [name for name in dir(cls) if not name.startswith("_")]

    def _meant(self, name: str, others: Iterable[str] = ()) -> str:
        from difflib import get_close_matches

        near = get_close_matches(name, [*others, *self._table.names()], 1)
        return f"; did you mean {near[0]!r}?" if near else ""

    def get(self, name: str, default: Any = None) -> Any:
        """The value of an option, or `default` where there is no such option."""
        return self[name] if name in self else default

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and self._path_of(name) is not None

    def keys(self) -> Iterator[str]:
        """Flat names of all options."""
        return iter(self.to_dict())

    def items(self) -> Iterator[tuple[str, Any]]:
        """Flat names of all options with their values."""
        return iter(self.to_dict().items())

    def values(self) -> Iterator[Any]:
        """Values of all options."""
        return iter(self.to_dict().values())

    def to_dict(self) -> dict[str, Any]:
        """All options by flat name, groups as maps. `from_dict` reads it; so does `skirl train`, under `config`."""
        flat: dict[str, Any] = {}
        for section, options in self._table.sections.items():
            flat.update((name, self[f"{section}.{name}"]) for name in options if f"{section}.{name}" != "callbacks.names")
            inside = (path for path in self._table.groups if path.rpartition(".")[0] == section)
            flat.update((path.rpartition(".")[2], self[path]) for path in inside)
        if stop := self._values.to_dict().get("stop"):
            flat["stop"] = stop
        if names := self._values.get("callbacks.names"):
            flat["callbacks"] = {"names": names}
        return flat | self._objects.flat()

    @classmethod
    def from_dict(cls, config_dict: Mapping[str, Any]) -> "Self":
        """A config with the options of a map, as `update_from_dict` reads it."""
        return cls().update_from_dict(config_dict)

    @classmethod
    def from_file(cls, path: str | Path) -> "Self":
        """The config in a file of TOML, YAML or JSON, as `skirl train` reads it.

        Raises:
            ConfigError: Everything that is wrong with the file, with line and column; a file of another algorithm.
        """
        values = NativeConfig.from_file(Path(path).expanduser())
        if values.algorithm != cls._algorithm:
            raise ConfigError(f"{path}: expected a configuration of {cls._algorithm}, found one of {values.algorithm}")
        config = cls()
        config.__dict__["_values"] = values
        return config

    @classmethod
    def overrides(cls, **options: Any) -> dict[str, Any]:
        """The options as a map, for example for `evaluation_config=PPOConfig.overrides(explore=False)`."""
        return options

    @property
    def algo_class(self) -> "type[Algorithm] | None":
        """The class that runs this config, for example `PPO`."""
        return self._algo_class

    @property
    def is_multi_agent(self) -> bool:
        """Whether there is more than the one policy that every agent has."""
        return list(self["policies"] or {}) not in ([], ["default_policy"])

    @property
    def total_train_batch_size(self) -> int:
        """Environment steps of one iteration."""
        return int(self["train_batch_size"])

    # Copies.

    def copy(self, copy_frozen: bool | None = None) -> "Self":
        """A copy, independent of this config.

        Args:
            copy_frozen: Whether the copy is frozen; None leaves that as it is here.
        """
        copied = copy.copy(self)
        if copy_frozen is not None:
            copied.__dict__["_is_frozen"] = copy_frozen
        return copied

    def freeze(self) -> None:
        """From now on every change is an error."""
        self.__dict__["_is_frozen"] = True

    def __copy__(self) -> "Self":
        copied = object.__new__(type(self))
        copied.__dict__.update(self.__dict__, _search=dict(self._search), _objects=self._objects.copy())
        return copied

    def __getstate__(self) -> dict[str, Any]:
        # Placeholders for objects mean nothing in another process.
        arguments = {path: decode(path, self._values.get(path)) for path in ENVS.values()}
        return self.__dict__ | {"_arguments": arguments}

    def __setstate__(self, state: dict[str, Any]) -> None:
        arguments = state.pop("_arguments")
        self.__dict__.update(state)
        self._objects.arrived()
        for path, value in arguments.items():
            self.__dict__["_values"], _ = self._values.with_value(path, encode(path, value))

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return bool(self.to_dict() == other.to_dict())

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return fluent(self)

    # Building.

    def validate(self) -> None:
        """Checks the rules between options.

        Raises:
            ConfigError: Everything that is wrong, at once.
        """
        if problems := self._values.problems():
            raise ConfigError.of(problems)

    def explain(self) -> str:
        """What would run: environments, batches, networks, in words. Builds one environment to learn its spaces."""
        return self._settled().explain()

    def _settled(self) -> NativeConfig:
        """What the engine builds from, checked."""
        self._check_resolved()
        values, problems = settled(self)
        if problems := problems or values.problems():
            raise ConfigError.of(problems)
        return values

    def build_algo(self, env: Any = None, logger_creator: Callable[..., Any] | None = None) -> "Algorithm":
        """Builds the algorithm: environments, networks, learners.

        Args:
            env: As in `environment`, in place of the one there.
            logger_creator: RLlib's; only None is served.

        Raises:
            ConfigError: Everything that is wrong with the config, at once; search spaces that are not resolved.
            EnvError: The environment cannot be made.
        """
        if logger_creator is not None:
            raise ConfigError("logger_creator is RLlib's and not served by skirl yet: remove it")
        if self._algo_class is None:
            raise ConfigError(f"{type(self).__name__} has no algorithm class; give one: {type(self).__name__}(algo_class=...)")
        return self._algo_class(config=self, env=env)

    build = build_algo

    def _check_resolved(self) -> None:
        if not self._search:
            return
        listed = ", ".join(f"{path} = {space!r}" for path, space in self._search.items())
        raise ConfigError(
            f"expected a value for every option, found a search space: {listed}. Give the config to tune.Tuner(..., "
            "param_space=config), or set the option to a value"
        )

    # For `skirl.tune`.

    def _search_space(self) -> dict[str, object]:
        """The search spaces by dotted path."""
        return dict(self._search)

    def _with(self, path: str, value: object) -> "Self":
        """A copy in which the option at a dotted path is `value`."""
        copied = self.copy(copy_frozen=False)
        section, _, name = path.rpartition(".")
        if path in ENVS and section in self._table.sections:
            return copied._set_section(section, {name: value})
        draft, objects = copied._draft()
        draft.set_path(path, value)
        return copied._commit(draft, objects)
