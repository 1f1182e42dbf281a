"""Wrappers that `gymnasium.make` puts around an environment, and that the engine stands in for when it steps it.

Each of them costs a frame of Python for every step and does next to nothing in it. The engine calls the environment inside and
counts steps itself, but only where a wrapper is exactly Gymnasium's class, with the very `step` that is written down here:
another version of Gymnasium, a subclass or a patched method is called as it is.
"""

from __future__ import annotations

import sys
from types import CodeType
from typing import Any


class _Base:
    """A stand-in for `gymnasium.Wrapper`."""

    def step(self, action: Any) -> Any:
        """Steps."""
        raise NotImplementedError


class TimeLimit:
    """`gymnasium.wrappers.TimeLimit`: cuts an episode after a number of steps."""

    env: Any
    _elapsed_steps: int
    _max_episode_steps: int

    def step(self, action: Any) -> Any:
        """Steps."""
        observation, reward, terminated, truncated, info = self.env.step(action)
        self._elapsed_steps += 1

        if self._elapsed_steps >= self._max_episode_steps:
            truncated = True

        return observation, reward, terminated, truncated, info


class OrderEnforcing(_Base):
    """`gymnasium.wrappers.OrderEnforcing`: refuses a step before the first reset."""

    _has_reset: bool

    def step(self, action: Any) -> Any:
        """Steps."""
        if not self._has_reset:
            raise ResetNeeded("Cannot call env.step() before calling env.reset()")  # type: ignore[name-defined]  # noqa: F821
        return super().step(action)


class PassiveEnvChecker:
    """`gymnasium.wrappers.PassiveEnvChecker`: looks at the first step."""

    env: Any
    checked_step: bool

    def step(self, action: Any) -> Any:
        """Steps."""
        if self.checked_step is False:
            self.checked_step = True
            return env_step_passive_checker(self.env, action)  # type: ignore[name-defined]  # noqa: F821
        else:
            return self.env.step(action)


_DESCRIBED = (TimeLimit, OrderEnforcing, PassiveEnvChecker)


def known() -> list[tuple[type, Any] | None]:
    """Gymnasium's class and its `step`, for each of the three above; None for one that does something else in a step."""
    return [_gymnasiums(described) for described in _DESCRIBED]


def _gymnasiums(described: type) -> tuple[type, Any] | None:
    # What nobody has imported is around no environment.
    wrappers = sys.modules.get("gymnasium.wrappers")
    found = getattr(wrappers, described.__name__, None)
    if not isinstance(found, type):
        return None
    step, ours = vars(found).get("step"), vars(described)["step"]
    code = getattr(step, "__code__", None)
    if not isinstance(code, CodeType) or not _same(code, ours.__code__):
        return None
    return (found, step) if _passes_on(found) else None


def _passes_on(wrapper: type) -> bool:
    """Whether `super().step` is `gymnasium.Wrapper`'s, which calls the environment inside."""
    own: Any = vars(sys.modules["gymnasium"].Wrapper)["step"]
    if not _same(own.__code__, _pass_on.__code__):
        return False
    inherited: Any = getattr(super(wrapper, wrapper), "step", None)
    return own is inherited


def _pass_on(self: Any, action: Any) -> Any:
    """Steps."""
    return self.env.step(action)


def _same(one: CodeType, other: CodeType) -> bool:
    """Whether two functions do the same: their instructions, and what these name. Their docstrings may differ."""

    def meaning(code: CodeType) -> tuple[Any, ...]:
        return code.co_code, code.co_names, code.co_varnames, code.co_freevars, code.co_consts[1:], code.co_flags

    return meaning(one) == meaning(other)
