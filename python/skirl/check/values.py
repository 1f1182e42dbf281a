"""Why a value does not belong to its space, in words."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from skirl.check.report import Severity
from skirl.check.same import shown

Array = NDArray[Any]

_CONVERTED = "; skirl converts it, other libraries may not"


@dataclasses.dataclass(frozen=True)
class Problem:
    """One thing wrong with a value; `path` is empty or like `['camera'][0]`."""

    code: str
    path: str
    expected: str
    found: str
    advice: str
    severity: Severity = "error"


def problems(space: Any, value: Any, path: str = "") -> Iterator[Problem]:
    """Everything that keeps `value` out of `space`; nothing if it belongs there."""
    match space:
        case spaces.Box():
            yield from _box(space, value, path)
        case spaces.Discrete():
            yield from _discrete(space, value, path)
        case spaces.MultiDiscrete():
            yield from _integers(space, value, path, space.start, space.start + space.nvec - 1)
        case spaces.MultiBinary():
            yield from _integers(space, value, path, np.zeros(space.shape, int), np.ones(space.shape, int))
        case spaces.Dict():
            yield from _dict(space, value, path)
        case spaces.Tuple():
            yield from _tuple(space, value, path)
        case _:
            yield from _any(space, value, path)


def _type_problem(
    space: Any, value: Any, path: str, expected: str, advice: str, severity: Severity = "error"
) -> Problem:
    kind = type(value)
    name = kind.__name__ if kind.__module__ == "builtins" else f"{kind.__module__.split('.')[0]}.{kind.__name__}"
    found = f"a {name}: {shown(value)}" + (_CONVERTED if severity == "warning" else "")
    return Problem("observation_type", path, f"{expected}, as the space {shown(space)} says", found, advice, severity)


def _box(space: spaces.Box, value: Any, path: str) -> Iterator[Problem]:
    array, is_own_type = _array_of(space, value)
    if array is None or not is_own_type:
        advice = f"Return numpy.array(…, dtype=numpy.{space.dtype})"
        advice += ", on the CPU and without gradient." if _is_tensor(value) else "."
        yield _type_problem(space, value, path, "a NumPy array", advice, "error" if array is None else "warning")
    if array is not None:
        yield from _box_array(space, array, path, is_own_type)


def _array_of(space: spaces.Box, value: Any) -> tuple[Array | None, bool]:
    """The value as an array of numbers, and whether it was one."""
    is_own_type = isinstance(value, np.ndarray) or (space.shape == () and isinstance(value, (int, float, np.generic)))
    try:
        array = np.asarray(value)
    except Exception:  # noqa: BLE001: what the user returned may refuse in any way.
        return None, False
    is_number = array.dtype.kind in "biufc" and not isinstance(value, np.ma.MaskedArray)
    return (array, is_own_type) if is_number else (None, False)


def _is_tensor(value: Any) -> bool:
    return type(value).__module__.split(".")[0] in ("torch", "tensorflow", "jax", "jaxlib")


def _box_array(space: spaces.Box, array: Array, path: str, is_own_type: bool) -> Iterator[Problem]:
    if array.shape != space.shape:
        yield Problem(
            "observation_shape", path, f"the shape {space.shape} that observation_space declares", f"shape {array.shape}",
            "Return an array of the declared shape, or declare in __init__ the shape that you return.",
        )  # fmt: skip
        return
    kind = _dtype_problem(space, array, path)
    is_refused = kind is not None and kind.severity == "error"
    # A list has no dtype: NumPy chose one for it.
    if kind is not None and (is_own_type or is_refused):
        yield kind
    if not is_refused:
        yield from _box_content(space, array, path)


def _dtype_problem(space: spaces.Box, array: Array, path: str) -> Problem | None:
    declared = np.dtype(space.dtype) if space.dtype is not None else array.dtype
    if np.can_cast(array.dtype, declared, "safe"):
        return None
    real = array.dtype.kind in "iuf" and declared.kind in "iuf"
    harmless = real and (declared.kind == "f" or array.dtype.kind != "f")
    return Problem(
        "observation_dtype", path, f"dtype {declared}, which observation_space declares",
        f"dtype {array.dtype}" + (_CONVERTED if harmless else ""),
        f"Return observation.astype(numpy.{declared}), or declare dtype=numpy.{array.dtype} in the space.",
        "warning" if harmless else "error",
    )  # fmt: skip


def _box_content(space: spaces.Box, array: Array, path: str) -> Iterator[Problem]:
    bad = _first(~np.isfinite(array)) if array.dtype.kind == "f" else None
    if bad is not None:
        yield Problem(
            "observation_not_finite", f"{path}{_place(bad)}", "finite numbers", f"{array[bad]}",
            "Look for a division by zero, a logarithm of zero or a state that grows without bound in the code that computes it; "
            "one such number makes every weight of the network NaN.",
        )  # fmt: skip
        return
    with np.errstate(over="ignore"):
        cast = array.astype(space.dtype)
    bad = _first(~np.isfinite(cast)) if cast.dtype.kind == "f" else None
    if bad is not None:
        yield Problem(
            "observation_not_finite", f"{path}{_place(bad)}", f"numbers that {space.dtype} can hold",
            f"{array[bad]}, which becomes infinite", "Scale the observation, or clip it.",
        )  # fmt: skip
        return
    yield from _bounds(path, cast if cast.dtype.kind == "f" else array, space.low, space.high)


def _bounds(path: str, array: Array, low: Array, high: Array) -> Iterator[Problem]:
    bad = _first((array < low) | (array > high))
    if bad is None:
        return
    outside = int(np.count_nonzero((array < low) | (array > high)))
    more = f" ({outside} of {array.size} elements are outside)" if outside > 1 else ""
    low_here, high_here = np.broadcast_to(low, array.shape)[bad], np.broadcast_to(high, array.shape)[bad]
    yield Problem(
        "observation_bounds", f"{path}{_place(bad)}", f"a number from {low_here} to {high_here}, the bounds of observation_space",
        f"{array[bad]}, out of bounds{more}",
        "Widen low and high in observation_space (-inf and inf are allowed), or correct the observation.",
    )  # fmt: skip


def _discrete(space: Any, value: Any, path: str) -> Iterator[Problem]:
    first, last = int(space.start), int(space.start + space.n - 1)
    array = np.asarray(value) if isinstance(value, (int, np.generic, np.ndarray)) else None
    if array is None or array.shape != () or array.dtype.kind not in "iub":
        yield _type_problem(space, value, path, "one whole number", "Return int(…).")
    elif not first <= int(array) <= last:
        yield Problem(
            "observation_bounds", path, f"a number from {first} to {last}, as {space} has", f"{int(array)}, out of bounds",
            "Correct the observation, or declare Discrete with the right n (and start).",
        )  # fmt: skip


def _integers(space: Any, value: Any, path: str, low: Array, high: Array) -> Iterator[Problem]:
    if not isinstance(value, np.ndarray) or value.dtype.kind not in "iub":
        yield _type_problem(space, value, path, "a NumPy array of whole numbers", "Return numpy.array(…, dtype=numpy.int64).")
    elif value.shape != space.shape:
        yield Problem(
            "observation_shape", path, f"the shape {space.shape} that observation_space declares", f"shape {value.shape}",
            "Return an array of the declared shape, or declare in __init__ the shape that you return.",
        )  # fmt: skip
    else:
        yield from _bounds(path, value.astype(np.int64), low, high)


def _dict(space: spaces.Dict, value: Any, path: str) -> Iterator[Problem]:
    if not isinstance(value, Mapping):
        yield _type_problem(space, value, path, "a dict", "Return a dict with one entry for each key of the space.")
        return
    missing = [key for key in space.spaces if key not in value]
    extra = [key for key in value if key not in space.spaces]
    if missing or extra:
        found = [f"the missing keys {missing}"] * bool(missing) + [f"the extra keys {extra}"] * bool(extra)
        yield Problem(
            "observation_keys", path, f"exactly the keys {list(space.spaces)} of observation_space", " and ".join(found),
            "Return the same keys in every observation, from reset and from step; add or remove them in observation_space.",
        )  # fmt: skip
    for key, inner in space.spaces.items():
        if key in value:
            yield from problems(inner, value[key], f"{path}[{key!r}]")


def _tuple(space: spaces.Tuple, value: Any, path: str) -> Iterator[Problem]:
    if not isinstance(value, tuple):
        is_list = isinstance(value, list)
        advice = "Return a tuple with one element for each part of the space."
        yield _type_problem(space, value, path, "a tuple", advice, "warning" if is_list else "error")
        if not is_list:
            return
    if len(value) != len(space.spaces):
        yield Problem(
            "observation_length", path, f"a tuple of {len(space.spaces)} elements, as observation_space declares",
            f"a tuple of length {len(value)}", "Return one element for each part of the Tuple space.",
        )  # fmt: skip
    else:
        for index, (inner, part) in enumerate(zip(space.spaces, value, strict=True)):
            yield from problems(inner, part, f"{path}[{index}]")


def _any(space: Any, value: Any, path: str) -> Iterator[Problem]:
    try:
        if space.contains(value):
            return
        reason = "space.contains(…) says no"
    except Exception as error:  # noqa: BLE001: spaces of the user's own may raise anything.
        reason = f"space.contains(…) raises {type(error).__name__}"
    yield Problem("observation_type", path, f"a value of {shown(space)}", f"{shown(value)}; {reason}", "Correct either of them.")


def _first(bad: Any) -> tuple[int, ...] | None:
    return tuple(int(index) for index in np.argwhere(bad)[0]) if np.any(bad) else None


def _place(index: tuple[int, ...]) -> str:
    return "".join(f"[{part}]" for part in index)
