"""What a trial runs: an algorithm, or a function of the user's."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from skirl.errors import ConfigError


@dataclass
class Trainable:
    """An algorithm's class, or a function."""

    name: str
    """As trials are named, for example `PPO`."""
    target: Any
    is_function: bool

    def build(self, params: Any) -> Any:
        """The algorithm of a configuration object or of a dict."""
        if isinstance(params, Mapping):
            return self.target(config=dict(params))
        if getattr(params, "algo_class", self.target) is self.target:
            return params.build_algo()
        return self.target(config=params)


def read_trainable(trainable: Any) -> Trainable:
    """Reads what `Tuner(…)` and `tune.run(…)` take: a name, a class, or a function."""
    if isinstance(trainable, str):
        return Trainable(trainable, _algorithm_named(trainable), False)
    if inspect.isclass(trainable):
        missing = [name for name in ("train", "save_to_path", "stop") if not hasattr(trainable, name)]
        if missing:
            raise ConfigError(
                f"trainable: expected an algorithm such as PPO, its name, or a function (config), found the class "
                f"{trainable.__name__} without {', '.join(missing)}; Ray's class Trainable is not served, use a function "
                "that calls tune.report"
            )
        return Trainable(trainable.__name__, trainable, False)
    if callable(trainable):
        wants_reporter(trainable)
        return Trainable(_name_of(trainable), trainable, True)
    raise ConfigError(f"trainable: expected an algorithm such as PPO, its name, or a function (config), found {trainable!r}")


def wants_reporter(function: Callable[..., Any]) -> bool:
    """Whether this is Ray's old `(config, reporter)` rather than `(config)`."""
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        return False
    choices: tuple[tuple[Any, ...], ...] = (({},), ({}, None))
    for arguments in choices:
        try:
            signature.bind(*arguments)
        except TypeError:
            continue
        return len(arguments) == 2
    raise ConfigError(f"trainable: expected a function (config) or (config, reporter), found {function!r}{signature}")


def _name_of(function: Any) -> str:
    inner = getattr(function, "func", function)
    name = getattr(inner, "__name__", type(inner).__name__)
    return "lambda" if name == "<lambda>" else str(name)


def _algorithm_named(name: str) -> Any:
    from skirl import _native, algorithms

    names = [known for known, _ in _native.algorithms()]
    if name in names:
        return getattr(algorithms, name)
    near = difflib.get_close_matches(name.upper(), names, 1)
    hint = f"did you mean {near[0]!r}?" if near else "give a class or a function for another trainable"
    raise ConfigError(f"trainable: expected one of the algorithms {', '.join(names)}, found {name!r}; {hint}")
