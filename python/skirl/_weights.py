"""Weights that a user hands in, looked at before the engine sees them."""

from collections.abc import Mapping
from typing import Any

from skirl.errors import ConfigError


def by_module(weights: Any) -> dict[str, dict[str, Any]]:
    """Weights by module and name.

    Raises:
        ConfigError: They are something else.
    """
    if not isinstance(weights, Mapping):
        raise ConfigError(f"set_weights: expected weights by module, as get_weights() gives them, found {_short(weights)}")
    return {_name(module, "modules"): by_name(arrays, f"set_weights: module {module!r}") for module, arrays in weights.items()}


def by_name(weights: Any, place: str) -> dict[str, Any]:
    """Weights of one module by name; `place` begins the error.

    Raises:
        ConfigError: They are something else.
    """
    if not isinstance(weights, Mapping):
        raise ConfigError(f"{place}: expected arrays by name, as get_weights() gives them for a module, found {_short(weights)}")
    return {_name(name, "weights"): array for name, array in weights.items()}


def _name(name: object, what: str) -> str:
    if not isinstance(name, str):
        raise ConfigError(f"set_weights: expected names of {what} as get_weights() gives them, found {name!r}")
    return name


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}... of type {type(value).__name__}"
