"""Exhibits: rewards, flags, infos and whole results of the wrong kind."""

from __future__ import annotations

from typing import Any

import numpy as np

from skirl.testing.gallery.entry import exhibit
from skirl.testing.gallery.sound import Walk


@exhibit("reward_not_finite", "reward", "nan")
class NanReward(Walk):
    """The reward is NaN in one step of an episode."""

    def reward(self) -> Any:
        return float("nan") if self.elapsed == 4 else 1.0


@exhibit("reward_not_finite", "reward", "-inf")
class InfinitePenalty(Walk):
    """The reward is minus infinity at a wall."""

    def reward(self) -> Any:
        return -np.inf if self.place <= -5 else 1.0


@exhibit("reward_type", "one number", "NoneType")
class NoReward(Walk):
    """The reward is None unless the goal is reached."""

    def reward(self) -> Any:
        return 1.0 if self.place >= 5 else None


@exhibit("reward_type", "one number", "array of shape (1,)", "float(reward)", severity="warning")
class ArrayReward(Walk):
    """The reward is an array with one element."""

    def reward(self) -> Any:
        return np.array([1.0])


@exhibit("reward_type", "one number", "str")
class TextReward(Walk):
    """The reward is a text."""

    def reward(self) -> Any:
        return "1.0"


@exhibit("step_result", "tuple of five", "4 values", "terminated", "truncated")
class OldStep(Walk):
    """`step` returns four values with `done`, as in the old Gym."""

    def step(self, action: Any) -> Any:
        observation, reward, terminated, truncated, info = super().step(action)
        return observation, reward, terminated or truncated, info


@exhibit("step_result", "tuple of five", "NoneType", "return")
class ForgottenReturn(Walk):
    """`step` returns nothing."""

    def step(self, action: Any) -> Any:
        super().step(action)


@exhibit("step_result", "tuple of five", "length 3")
class ThreeValues(Walk):
    """`step` returns three values."""

    def step(self, action: Any) -> Any:
        return super().step(action)[:3]


@exhibit("reset_result", "(observation, info)", "ndarray alone")
class ResetWithoutInfo(Walk):
    """`reset` returns the observation alone."""

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        return super().reset(seed=seed)[0]


@exhibit("reset_result", "(observation, info)", "NoneType")
class ResetWithoutReturn(Walk):
    """`reset` returns nothing."""

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        super().reset(seed=seed)


@exhibit("flag_type", "terminated", "True or False", "int", severity="warning")
class TerminatedIsANumber(Walk):
    """`terminated` is 0 or 1."""

    def arrived(self) -> Any:
        return int(abs(self.place) >= 5)


@exhibit("flag_type", "terminated", "True or False", "ndarray", severity="warning")
class TerminatedIsAnArray(Walk):
    """`terminated` is an array with one element."""

    def arrived(self) -> Any:
        return np.array([abs(self.place) >= 5])


@exhibit("flag_type", "truncated", "True or False", "NoneType")
class TruncatedIsNothing(Walk):
    """`truncated` is None."""

    def step(self, action: Any) -> Any:
        observation, reward, terminated, _, info = super().step(action)
        return observation, reward, terminated or self.elapsed >= 20, None, info


@exhibit("info_type", "info", "dict", "NoneType")
class NoInfo(Walk):
    """`info` is None."""

    def step(self, action: Any) -> Any:
        return *super().step(action)[:4], None


@exhibit("info_done", "'done'", "terminated", severity="warning")
class DoneInInfo(Walk):
    """The time limit is told in `info["done"]`, where nobody reads it."""

    def step(self, action: Any) -> Any:
        observation, reward, terminated, truncated, info = super().step(action)
        return observation, reward, terminated, truncated, {**info, "done": truncated}


@exhibit("multi_agent", "several agents", "one agent")
class DictsOfAgents(Walk):
    """`step` returns dicts of agents from an environment for one agent."""

    def step(self, action: Any) -> Any:
        observation, reward, terminated, truncated, info = super().step(action)
        flags = {"a": terminated, "__all__": terminated}
        return {"a": observation}, {"a": reward}, flags, {"a": truncated, "__all__": truncated}, {"a": info}
