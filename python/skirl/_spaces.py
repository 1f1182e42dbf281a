"""Values of spaces as columns, and back. A space is known by the engine's JSON form (`{"type": "Box", "shape": [4], ...}`)."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from skirl.errors import EnvError

_DTYPES = {"Discrete": "int64", "MultiDiscrete": "int64", "MultiBinary": "int8"}

Array = np.ndarray[Any, Any]


def leaves(space: Mapping[str, Any], path: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], Mapping[str, Any]]]:
    """The primitive parts of a space in the engine's order, each with its keys from the root."""
    kind = space["type"]
    if kind == "Dict":
        for key in sorted(space["spaces"]):
            yield from leaves(space["spaces"][key], (*path, key))
    elif kind == "Tuple":
        for index, part in enumerate(space["spaces"]):
            yield from leaves(part, (*path, index))
    else:
        yield path, space


def columns_of(space: Mapping[str, Any], observations: Sequence[Any]) -> list[Array]:
    """One flat array for each leaf, with the values of all observations one after another."""
    return [_column(leaf, [_reach(each, path) for each in observations], path) for path, leaf in leaves(space)]


def batch_columns_of(space: Mapping[str, Any], batch: Any) -> tuple[list[Array], int]:
    """As `columns_of`, for a batch: each leaf an array with a batch dimension in front. Also the number of rows."""
    columns, rows = [], -1
    for path, leaf in leaves(space):
        array = np.asarray(_reach(batch, path))
        rows = array.shape[0] if array.ndim and rows < 0 else rows
        columns.append(_checked(leaf, array, (rows, *shape_of(leaf)), path))
    return columns, rows


def _reach(value: Any, path: tuple[Any, ...]) -> Any:
    for key in path:
        try:
            value = value[key]
        except (KeyError, IndexError, TypeError):
            raise EnvError(f"observation: expected a part {key!r}, found {_short(value)}") from None
    return value


def _column(leaf: Mapping[str, Any], values: list[Any], path: tuple[Any, ...]) -> Array:
    shape = shape_of(leaf)
    if len(values) == 1:
        return _checked(leaf, np.asarray(values[0]), shape, path)
    return np.concatenate([_checked(leaf, np.asarray(value), shape, path) for value in values])


def _checked(leaf: Mapping[str, Any], array: Array, shape: tuple[int, ...], path: tuple[Any, ...]) -> Array:
    """The array as a flat one of the leaf's type."""
    dtype = dtype_of(leaf)
    place = "observation" + "".join(f"[{key!r}]" for key in path)
    if array.shape != shape:
        raise EnvError(f"{place}: expected shape {shape} ({leaf['type']}), found {array.shape}")
    if array.dtype == object or not np.can_cast(array.dtype, dtype, "same_kind") and not _fits(array, dtype):
        raise EnvError(f"{place}: expected {dtype}, found {array.dtype} with values that do not fit it")
    return np.ascontiguousarray(array, dtype=dtype).reshape(-1)


def _fits(array: Array, dtype: np.dtype[Any]) -> bool:
    """Whether a conversion to a narrower kind loses nothing, as for a whole number in a float."""
    return array.dtype.kind in "biuf" and bool(np.array_equal(array.astype(dtype), array))


def shape_of(leaf: Mapping[str, Any]) -> tuple[int, ...]:
    """Shape of one value."""
    return tuple(leaf.get("shape", ()))


def dtype_of(leaf: Mapping[str, Any]) -> "np.dtype[Any]":
    """Element type of a leaf's column."""
    return np.dtype(leaf["dtype"] if leaf["type"] == "Box" else _DTYPES[leaf["type"]])


def values_of(space: Mapping[str, Any], flat: Array, rows: int) -> list[Any]:
    """The values of an action's column, as `env.step` takes them: ints for Discrete, arrays otherwise."""
    if space["type"] == "Discrete":
        return [int(value) for value in flat]
    return list(flat.reshape(rows, *shape_of(space)))


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:60] + "…"
