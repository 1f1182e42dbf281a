"""Values that stand for a search space: `tune.grid_search([...])` and samplers. A config keeps them aside until they are resolved."""

from collections.abc import Mapping
from typing import Any, Protocol, TypeAlias


class Sampler(Protocol):
    """An object that draws values: `tune.uniform(0, 1)`."""

    _skirl_search: bool


#: What may stand in place of a value.
SearchSpace: TypeAlias = dict[str, list[Any]] | Sampler


def is_search(value: object) -> bool:
    """Whether a value is to be searched for: `{"grid_search": [...]}`, or an object marked with `_skirl_search = True`."""
    if isinstance(value, Mapping):
        return set(value) == {"grid_search"}
    return getattr(value, "_skirl_search", False) is True


def candidates(value: object) -> list[Any]:
    """The values of a grid; a sampler has none that could be looked at beforehand."""
    if isinstance(value, Mapping) and isinstance(value["grid_search"], (list, tuple)):
        return list(value["grid_search"])
    return []


def split(path: str, value: object) -> tuple[object, dict[str, object]]:
    """`value` without the search spaces in its maps, and those by their dotted path.

    The first is None where `value` is a search space itself.
    """
    if is_search(value):
        return None, {path: value}
    if not isinstance(value, Mapping):
        return value, {}
    plain: dict[Any, object] = {}
    found: dict[str, object] = {}
    for key, inner in value.items():
        kept, inside = split(f"{path}.{key}", inner)
        found.update(inside)
        if not is_search(inner):
            plain[key] = kept
    return plain, found
