"""Values of any space: copied, compared, shown."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np


def copy_of(value: Any) -> Any:
    """A copy that shares nothing with the value; the value itself if it cannot be copied."""
    if isinstance(value, np.ndarray) and value.dtype != object:
        return value.copy()
    try:
        return copy.deepcopy(value)
    except Exception:  # noqa: BLE001: what the user returned may refuse to be copied in any way.
        return value


def same(first: Any, second: Any) -> bool:
    """Whether two values are equal; NaN equals NaN."""
    if type(first) is np.ndarray and type(second) is np.ndarray and first.dtype != object:
        # The usual case, made short: it is asked several times in each step.
        alike = first.dtype == second.dtype and first.shape == second.shape
        if alike and first.tobytes() == second.tobytes():
            return True
    return next(differences(first, second), None) is None


def differences(first: Any, second: Any, path: str = "") -> Iterator[str]:
    """Where two values differ, in words: `['camera'][3]: 0.5 and 0.25`."""
    if isinstance(first, Mapping) and isinstance(second, Mapping):
        if list(map(repr, first)) != list(map(repr, second)) and set(map(repr, first)) != set(map(repr, second)):
            yield f"{path}: keys {list(first)} and {list(second)}"
            return
        # Keys that are copies of each other need not be equal.
        if any(key not in second for key in first):
            yield f"{path}: keys {list(first)} and {list(second)}"
            return
        for key in first:
            yield from differences(first[key], second[key], f"{path}[{key!r}]")
    elif isinstance(first, (tuple, list)) and isinstance(second, (tuple, list)):
        if len(first) != len(second):
            yield f"{path}: {len(first)} and {len(second)} elements"
            return
        for index, pair in enumerate(zip(first, second, strict=True)):
            yield from differences(*pair, f"{path}[{index}]")
    else:
        yield from _leaf_differences(first, second, path)


def _leaf_differences(first: Any, second: Any, path: str) -> Iterator[str]:
    one, other = _array(first), _array(second)
    if one is None or other is None:
        if not _equal(first, second):
            yield f"{path}: {shown(first)} and {shown(second)}"
        return
    if one.shape != other.shape or one.dtype != other.dtype:
        yield f"{path}: {_kind(one)} and {_kind(other)}"
        return
    different = np.not_equal(one, other)
    if one.dtype.kind in "fc":
        different &= ~(np.isnan(one) & np.isnan(other))
    if different.any():
        index = tuple(int(i) for i in np.argwhere(different)[0])
        place = "".join(f"[{i}]" for i in index)
        yield f"{path}{place}: {one[index]} and {other[index]}"


def _array(value: Any) -> np.ndarray[Any, Any] | None:
    try:
        array = np.asarray(value)
    except Exception:  # noqa: BLE001: objects of the user's own may refuse in any way.
        return None
    return None if array.dtype == object else array


def _equal(first: Any, second: Any) -> bool:
    try:
        return bool(first == second)
    except Exception:  # noqa: BLE001: as above.
        return repr(first) == repr(second)


def _kind(array: np.ndarray[Any, Any]) -> str:
    return f"shape {array.shape} of {array.dtype}"


def shown(value: Any, limit: int = 60) -> str:
    """A value in few letters."""
    try:
        text = " ".join(repr(value).split())
    except Exception:  # noqa: BLE001: as above.
        text = f"a {type(value).__name__}"
    return text if len(text) <= limit else text[: limit - 1] + "…"
