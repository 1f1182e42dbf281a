"""What a function wants to be given."""

import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from skirl.errors import ConfigError


class Wish:
    """A function with the names of the arguments that it is called with."""

    def __init__(self, function: Callable[..., Any], hook: str, usual: Iterable[str], others: Iterable[str]) -> None:
        """`usual` are given to `**kwargs` as well, `others` only where they are named."""
        self.function = function
        self.takes_info = False
        known = {*usual, *others}
        try:
            parameters = list(inspect.signature(function).parameters.values())
        except (TypeError, ValueError):
            self.names: tuple[str, ...] = tuple(usual)
            return
        if _is_info(parameters, known):
            self.takes_info, self.names = True, tuple(usual)
            return
        named = [parameter for parameter in parameters if parameter.kind not in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL)]
        for parameter in named:
            if parameter.name not in known and parameter.default is parameter.empty:
                raise ConfigError(
                    f"callbacks: {_name(function)} asks for {parameter.name!r} in {hook}: expected some of "
                    f"{', '.join(sorted(known))}, or **kwargs"
                )
        names = {parameter.name for parameter in named} & known
        if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
            names |= set(usual)
        self.names = tuple(sorted(names))

    def call(self, arguments: Mapping[str, Callable[[], Any]]) -> None:
        """Calls the function with its arguments, each made when it is asked for."""
        given = {name: arguments[name]() for name in self.names if name in arguments}
        if self.takes_info:
            self.function({**given, **_older(given)})
        else:
            self.function(**given)


def _is_info(parameters: list[inspect.Parameter], known: set[str]) -> bool:
    """Whether it is a function of the oldest kind, with everything in one dict."""
    required = [
        parameter
        for parameter in parameters
        if parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD) and parameter.default is parameter.empty
    ]
    return len(required) == 1 and required[0].name not in known


def _older(given: Mapping[str, Any]) -> dict[str, Any]:
    names = {"algorithm": "trainer", "postprocessed_batch": "post_batch", "env_runner": "worker"}
    return {older: given[name] for name, older in names.items() if name in given}


def _name(function: Callable[..., Any]) -> str:
    return str(getattr(getattr(function, "func", function), "__qualname__", repr(function)))
