"""Rules about the two spaces that an environment declares."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from gymnasium import spaces

from skirl.check.case import CannotGoOn, Case
from skirl.check.same import copy_of, shown

# Element types that the engine has columns for.
_DTYPES = "float32 float64 int8 int16 int32 int64 uint8 uint16 uint32 uint64 bool".split()
_FOR_ACTIONS = (spaces.Discrete, spaces.MultiDiscrete, spaces.MultiBinary)


def check_spaces(case: Case) -> None:
    """All rules of this file. Raises `CannotGoOn` if no action can be drawn."""
    for name in ("observation_space", "action_space"):
        if not isinstance(getattr(case.env, name, None), spaces.Space):
            _no_space(case, name)
    pair = getattr(case.env, "observation_space", None), getattr(case.env, "action_space", None)
    if not check_pair(case, *pair):
        raise CannotGoOn


def check_pair(case: Case, observation_space: Any, action_space: Any, agent: str = "") -> bool:
    """Looks at the spaces of one agent, as far as they are spaces. Whether actions can be drawn."""
    if isinstance(observation_space, spaces.Space):
        _check_leaves(case, "observation_space", observation_space, agent)
        for path, leaf in leaves(observation_space):
            _check_served(case, "observation_space" + path, leaf, agent)
        _check_keys(case, "observation_space", observation_space, agent)
    if not isinstance(action_space, spaces.Space) or not _check_leaves(case, "action_space", action_space, agent):
        return False
    _check_learnable_actions(case, action_space, agent)
    return _check_drawing(case, action_space, agent)


def _check_leaves(case: Case, name: str, space: spaces.Space[Any], agent: str) -> bool:
    boxes = [(path, leaf) for path, leaf in leaves(space) if isinstance(leaf, spaces.Box)]
    # All of them are looked at.
    return all([_check_box(case, name + path, leaf, agent) for path, leaf in boxes])


def _check_served(case: Case, field: str, leaf: spaces.Space[Any], agent: str) -> None:
    if isinstance(leaf, _FOR_ACTIONS):
        return
    if not isinstance(leaf, spaces.Box):
        advice = "A network needs one size: use Box, Discrete, MultiDiscrete, MultiBinary, Dict or Tuple, padded to the largest."
        _unsupported(case, field, "an observation of a fixed number of elements", shown(leaf), advice, agent)
    elif str(leaf.dtype) not in _DTYPES:
        advice = "Declare dtype=numpy.float32, and return observations of that type."
        _unsupported(case, field, f"a Box of one of the types {', '.join(_DTYPES)}", f"one of {leaf.dtype}", advice, agent)


def _check_keys(case: Case, field: str, space: spaces.Space[Any], agent: str) -> None:
    if isinstance(space, spaces.Dict):
        odd = [key for key in space.spaces if not isinstance(key, str)]
        if odd:
            _unsupported(case, field, "names (str) as keys of a Dict", f"the key {shown(odd[0])}", f'Write "{odd[0]}".', agent)
        for key, inner in space.spaces.items():
            _check_keys(case, f"{field}[{key!r}]", inner, agent)
    elif isinstance(space, spaces.Tuple):
        for index, inner in enumerate(space.spaces):
            _check_keys(case, f"{field}[{index}]", inner, agent)


def _unsupported(case: Case, field: str, expected: str, found: str, advice: str, agent: str) -> None:
    case.add("space_unsupported", "__init__", expected, found, advice, field=field, agent=agent)


def _no_space(case: Case, name: str) -> None:
    space = getattr(case.env, name, None)
    if not hasattr(case.env, name):
        found = f"none: the environment has no {name}"
    elif space is None:
        found = "None"
    else:
        found = f"{shown(space)}, a {type(space).__module__}.{type(space).__name__}".replace("a builtins.", "a ")
    example = "Box(-1, 1, (4,), numpy.float32)" if name == "observation_space" else "Discrete(2)"
    case.add(
        "space_missing", "__init__", f"{name} to be a space of gymnasium.spaces", found,
        f"Set it in __init__, for example: self.{name} = gymnasium.spaces.{example}.", field=name,
    )  # fmt: skip


def leaves(space: spaces.Space[Any], path: str = "") -> Iterator[tuple[str, spaces.Space[Any]]]:
    """The parts of a space that are no Dict or Tuple, with their paths."""
    if isinstance(space, spaces.Dict):
        for key, inner in space.spaces.items():
            yield from leaves(inner, f"{path}[{key!r}]")
    elif isinstance(space, spaces.Tuple):
        for index, inner in enumerate(space.spaces):
            yield from leaves(inner, f"{path}[{index}]")
    else:
        yield path, space


def _check_box(case: Case, field: str, box: spaces.Box, agent: str) -> bool:
    low, high = np.asarray(box.low), np.asarray(box.high)
    if low.shape != box.shape or high.shape != box.shape:
        found = f"low of shape {low.shape} and high of shape {high.shape} in a Box of shape {box.shape}"
    elif np.isnan(low).any() or np.isnan(high).any():
        found = "NaN among its bounds"
    elif (low > high).any():
        index = tuple(int(part) for part in np.argwhere(low > high)[0])
        found = f"low {low[index]} above high {high[index]} at {list(index)}"
    else:
        return True
    case.add(
        "space_bounds", "__init__", "a Box whose low is nowhere above high", found, "Correct low and high of the space.",
        field=field, agent=agent,
    )  # fmt: skip
    return False


def _check_learnable_actions(case: Case, space: spaces.Space[Any], agent: str) -> None:
    is_box = isinstance(space, spaces.Box) and np.dtype(space.dtype).kind == "f"
    if not (is_box or isinstance(space, _FOR_ACTIONS)):
        advice = "Describe the choice in one of these; several parts become one MultiDiscrete or one longer Box."
        expected = "actions of Discrete, MultiDiscrete, MultiBinary, or a Box of float32"
        _unsupported(case, "action_space", expected, shown(space), advice, agent)
    elif isinstance(space, spaces.Box) and not space.is_bounded():
        case.add(
            "action_unbounded", "__init__", "bounds for each element of the action",
            f"{shown(space)}, unbounded in some of them",
            "Declare low and high, for example -1 and 1: actions are scaled to their bounds, and without them the network must learn the scale.",
            field="action_space", agent=agent, severity="warning",
        )  # fmt: skip


def _check_drawing(case: Case, action_space: spaces.Space[Any], agent: str) -> bool:
    """The space's own `sample`: what it draws must belong to the space."""
    space = copy_of(action_space)
    try:
        drawn = space.sample()
        fine = bool(space.contains(drawn))
    except Exception as error:  # noqa: BLE001: spaces of the user's own may raise anything.
        drawn, fine = error, False
    if not fine:
        case.add(
            "space_sample", "__init__", "that action_space.sample() gives an action of the space", shown(drawn),
            "Correct the space.", field="action_space", agent=agent,
        )  # fmt: skip
    return fine
