"""Wrappers that `gymnasium.make` puts around an environment, and that the engine stands in for when it steps it.

Each of them costs a frame of Python for every step and does next to nothing in it: a checker looks at the first step only, an
order is kept anyway, and a time limit counts. The engine calls the environment inside and counts itself, but only where a
wrapper is exactly Gymnasium's class with Gymnasium's own `step`, which did here what it is known for. A subclass, a patched
method, or a version that does more in a step is called as it is.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import FunctionType
from typing import Any

_MAX_STEPS = 2


def known() -> list[tuple[type, Any] | None]:
    """Class and `step` of Gymnasium's `TimeLimit`, `OrderEnforcing` and `PassiveEnvChecker`.

    None in the place of one that does something else in a step than is known, and where nobody has imported any.
    """
    wrappers = sys.modules.get("gymnasium.wrappers")
    return [_known(getattr(wrappers, name, None), tried) for name, tried in _TRIED.items()]


def _known(wrapper: Any, tried: Callable[[Any], bool]) -> tuple[type, Any] | None:
    if not isinstance(wrapper, type) or not _has_own_step(wrapper) or not _has_own_step(sys.modules["gymnasium"].Wrapper):
        return None
    try:
        return (wrapper, vars(wrapper)["step"]) if tried(wrapper) else None
    except Exception:
        # Whatever another version wants: it is called as it is.
        return None


def _has_own_step(wrapper: type) -> bool:
    """Whether the `step` of a class is the one that it was defined with."""
    step = vars(wrapper).get("step")
    place = (wrapper.__module__, f"{wrapper.__qualname__}.step")
    return isinstance(step, FunctionType) and (step.__module__, step.__qualname__) == place


def _counts(wrapper: Any) -> bool:
    """Whether a time limit counts, cuts episodes, and does nothing else."""
    inside = _inside()
    limit = wrapper(inside, max_episode_steps=_MAX_STEPS)
    limit._elapsed_steps = 0
    before = dict(vars(limit))
    for step in range(1, _MAX_STEPS + 2):
        values = limit.step(inside.action)
        cut = step >= _MAX_STEPS
        same = all(value is given for value, given in zip(values, (*inside.values[:3], cut, inside.values[4]), strict=True))
        if not same or vars(limit) != {**before, "_elapsed_steps": step}:
            return False
    return bool(inside.seen == [inside.action] * (_MAX_STEPS + 1))


def _passes_on(wrapper: Any, ready: str) -> bool:
    """Whether a wrapper whose attribute `ready` is True hands on action and values, and does nothing else."""
    inside = _inside()
    wrapped = wrapper(inside)
    if not hasattr(wrapped, ready):
        return False
    setattr(wrapped, ready, True)
    before = dict(vars(wrapped))
    values = wrapped.step(inside.action)
    return values is inside.values and vars(wrapped) == before and inside.seen == [inside.action]


def _inside() -> Any:
    """An environment that notes what reaches it."""
    import gymnasium

    class Inside(gymnasium.Env[Any, Any]):
        observation_space = action_space = gymnasium.spaces.Discrete(2)

        def __init__(self) -> None:
            self.action: Any = object()
            self.seen: list[Any] = []
            self.values: tuple[Any, ...] = (object(), object(), False, False, {})

        def step(self, action: Any) -> Any:
            self.seen.append(action)
            return self.values

    return Inside()


_TRIED: dict[str, Callable[[Any], bool]] = {
    "TimeLimit": _counts,
    "OrderEnforcing": lambda wrapper: _passes_on(wrapper, "_has_reset"),
    "PassiveEnvChecker": lambda wrapper: _passes_on(wrapper, "checked_step"),
}
