"""What a config holds besides plain values: Python environments, callbacks, functions."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from skirl.algorithms._environments import ENVS
from skirl.algorithms._policies import MAPPING, MAPPING_PATH, DeclaredSpaces, spaces_of, take_mapping, take_policies
from skirl.algorithms._search import is_search
from skirl.env.registry import resolve
from skirl.errors import ConfigError

if TYPE_CHECKING:
    from skirl.algorithms._draft import Draft

#: Flat names under which callbacks may stand in a map.
CALLBACKS = ("callbacks", "callbacks_class")
#: An evaluation function of one's own, by its names; and where it is kept.
EVALUATION = ("custom_evaluation_function", "custom_eval_function")
EVALUATION_PATH = "evaluation.custom_evaluation_function"
#: Options of `multi_agent` that are looked at here.
POLICIES = {"policies", "policy_mapping", MAPPING}
#: Other words for a section, as RLlib's older versions had them.
SECTION_SYNONYMS = {
    "exploration": "env_runners",
    "model": "rl_module",
    "model_config": "rl_module",
    "multiagent": "multi_agent",
    "rollouts": "env_runners",
}


class PythonObjects:
    """Python objects of a config, by the dotted path of the option that they are given to."""

    def __init__(self, objects: Mapping[str, Any] | None = None, policy_spaces: DeclaredSpaces | None = None) -> None:
        self._objects = dict(objects or {})
        #: The spaces that specs of policies name.
        self.policy_spaces = dict(policy_spaces or {})

    def copy(self) -> "PythonObjects":
        """A copy that holds the same objects."""
        return PythonObjects(self._objects, self.policy_spaces)

    def __contains__(self, path: object) -> bool:
        return path in self._objects

    def __getitem__(self, path: str) -> Any:
        return self._objects[path]

    def __iter__(self) -> Iterator[str]:
        return iter(self._objects)

    def flat(self) -> dict[str, Any]:
        """The objects by flat name: `{"env": MyEnv, "callbacks_class": ...}`."""
        return {path.rpartition(".")[2]: value for path, value in self._objects.items()}

    def callbacks(self) -> dict[str, Any]:
        """What was given to `callbacks(...)`: `callbacks_class`, and functions by hook."""
        given = ((path.removeprefix("callbacks."), value) for path, value in self._objects.items() if path.startswith("callbacks."))
        return dict(given)

    def take(self, section: str, options: Mapping[str, Any], draft: "Draft") -> dict[str, Any]:
        """Keeps the objects among the options of a section; what the engine is given in their place comes back."""
        rest = dict(options)
        if section == "callbacks":
            for name in [name for name in rest if name != "names"]:
                self._take_callbacks(name, rest.pop(name), draft)
        if section == "evaluation":
            for name in EVALUATION:
                if name in rest:
                    rest[EVALUATION[0]] = self._take_evaluation(rest.pop(name), draft)
        if section == "multi_agent":
            rest = self._take_policies(rest, draft)
        if section == "environment" and "env" in rest:
            rest["env"] = self._take_env("environment.env", rest["env"], draft)
        overrides = rest.get("evaluation_config") if section == "evaluation" else None
        if isinstance(overrides, Mapping) and "env" in overrides:
            env = self._take_env("evaluation.evaluation_config.env", overrides["env"], draft)
            rest["evaluation_config"] = {**overrides, "env": env}
        return rest

    def take_flat(self, options: Mapping[str, Any], draft: "Draft") -> dict[str, Any]:
        """As `take`, for flat names and sections as maps."""
        rest: dict[str, Any] = {}
        for name, value in options.items():
            if name in CALLBACKS:
                inside = value if isinstance(value, Mapping) else {"callbacks_class": value}
                if kept := self.take("callbacks", {key: each for key, each in inside.items() if each is not None}, draft):
                    rest["callbacks"] = kept
            elif name.startswith("on_") and callable(value):
                self._take_callbacks(name, value, draft)
            elif name.rpartition(".")[2] in EVALUATION:
                rest[EVALUATION[0]] = self._take_evaluation(value, draft)
            elif name in ("env", "environment.env"):
                rest["env"] = self._take_env("environment.env", value, draft)
            elif name == "evaluation_config":
                rest |= self.take("evaluation", {name: value}, draft)
            elif name in POLICIES:
                rest |= self._take_policies({name: value}, draft)
            elif isinstance(value, Mapping) and not is_search(value):
                rest[name] = self.take(SECTION_SYNONYMS.get(name, name), value, draft)
            else:
                rest[name] = value
        return rest

    def _take_env(self, path: str, env: Any, draft: "Draft") -> Any:
        """The engine knows an environment by a name; a class is kept as well, for the user and for other processes."""
        self._objects.pop(path, None)
        if env is None or is_search(env):
            return env
        try:
            name = resolve(env)
        except Exception as error:
            draft.problems.append((path, f"{path}: {error}"))
            return None
        if name != env:
            self._objects[path] = env
        return name

    def _take_callbacks(self, name: str, value: Any, draft: "Draft") -> None:
        from skirl.callbacks.make import check

        try:
            check(name, value)
        except ConfigError as error:
            draft.problems.append((f"callbacks.{name}", str(error)))
        else:
            self._objects[f"callbacks.{name}"] = value

    def _take_policies(self, options: Mapping[str, Any], draft: "Draft") -> dict[str, Any]:
        """The function that maps agents is kept; specs of policies become their options."""
        rest = dict(options)
        if "policies" in rest and not is_search(rest["policies"]):
            self.policy_spaces = spaces_of(rest["policies"], draft)
            rest["policies"] = take_policies(rest["policies"], draft)
        if POLICIES & rest.keys() - {"policies"}:
            self._objects.pop(MAPPING_PATH, None)
        function = rest.pop(MAPPING, None)
        if function is not None:
            take_mapping(function, draft)
            self._objects[MAPPING_PATH] = function
        return rest

    def _take_evaluation(self, function: Any, draft: "Draft") -> Any:
        """The engine knows an evaluation function by a name."""
        self._objects.pop(EVALUATION_PATH, None)
        if not callable(function) or is_search(function):
            if function is not None and not isinstance(function, str) and not is_search(function):
                expected = "expected a function of (algorithm, env_runner_group) that returns a dict of metrics"
                draft.problems.append((EVALUATION_PATH, f"{EVALUATION_PATH}: {expected}, found {function!r}"))
                return None
            return function
        from skirl.evaluation import name_of

        self._objects[EVALUATION_PATH] = function
        return name_of(function)

    def register_evaluation(self) -> None:
        """Before an algorithm is built: another function may have had the same name since."""
        if EVALUATION_PATH in self._objects:
            from skirl.evaluation import register_evaluation_function

            register_evaluation_function(self._objects[EVALUATION_PATH])

    def arrived(self) -> None:
        """After unpickling, perhaps in another process: environments are known there from now on, too."""
        for path in ENVS:
            if path in self._objects:
                resolve(self._objects[path])
