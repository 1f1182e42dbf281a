"""Exhibits: methods that are missing or take the wrong arguments, episodes that do not end, resources that stay."""

from __future__ import annotations

import sys
import time
from typing import Any, ClassVar

import gymnasium as gym
import numpy as np

from skirl.testing.gallery.entry import exhibit
from skirl.testing.gallery.sound import Step, Walk


@exhibit("reset_signature", "seed", "options", "super().reset(seed=seed)")
class ResetWithoutArguments(Walk):
    """`reset` takes neither seed nor options."""

    def reset(self) -> Any:  # type: ignore[override]
        return super().reset()


@exhibit("reset_signature", "options")
class ResetWithoutOptions(Walk):
    """`reset` takes a seed, but no options."""

    def reset(self, seed: int | None = None) -> Any:  # type: ignore[override]
        return super().reset(seed=seed)


@exhibit("reset_signature", "seed", "no default")
class ResetNeedsSeed(Walk):
    """`reset` cannot be called without a seed."""

    def reset(self, seed: int, options: dict[str, Any] | None = None) -> Any:  # type: ignore[override]
        return super().reset(seed=seed)


@exhibit("no_method", "step(self, action)")
class NoStep(gym.Env[Any, Any]):
    """There is no method `step`."""

    observation_space = gym.spaces.Discrete(2)
    action_space = gym.spaces.Discrete(2)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        return 0, {}


@exhibit("step_signature", "step(self, action)")
class StepTakesTwo(Walk):
    """`step` wants two arguments."""

    def step(self, action: Any, speed: Any) -> Any:  # type: ignore[override]
        return super().step(action)


@exhibit("not_gymnasium", "gymnasium.Env", severity="warning")
class NoBaseClass:
    """The class does not derive from `gymnasium.Env`."""

    metadata: ClassVar[dict[str, Any]] = {"render_modes": []}

    def __init__(self) -> None:
        walk = Walk()
        self.observation_space, self.action_space = walk.observation_space, walk.action_space
        self.reset, self.step, self.close = walk.reset, walk.step, walk.close


@exhibit("never_ends", "time limit", severity="warning")
class NeverEnds(Walk):
    """No episode ever ends."""

    def step(self, action: Any) -> Step:
        self.elapsed = (self.elapsed + 1) % 20
        self.place = (self.place + 6 + (1 if action == 1 else -1)) % 11 - 5
        return self.observe(), self.reward(), False, False, {}


@exhibit("ends_at_once", "first step", severity="warning")
class EndsAtOnce(Walk):
    """Every episode ends in its first step."""

    def arrived(self) -> Any:
        return abs(self.place) < 5


@exhibit("step_after_end", "without reset", severity="note")
class GoesOnAfterTheEnd(Walk):
    """An episode that has ended goes on when nobody resets it."""

    def step(self, action: Any) -> Step:
        if abs(self.place) >= 5 or self.elapsed >= 20:
            self.place = self.elapsed = 0
        return super().step(action)


@exhibit("step_raises", "KeyError", "step 7")
class RaisesLater(Walk):
    """`step` raises in the seventh step of an episode."""

    def move(self, action: Any) -> None:
        table = dict.fromkeys(range(6), 1)
        self.place = (self.place + table[self.elapsed]) % 5


@exhibit("reset_raises", "AttributeError", "reset()")
class ResetRaises(Walk):
    """`reset` raises."""

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        return self.start_place, {}  # type: ignore[attr-defined]


@exhibit("step_raises", "SystemExit", "sys.exit")
class ExitsProgram(Walk):
    """`step` ends the program at the goal."""

    def arrived(self) -> Any:
        if abs(self.place) >= 5:
            sys.exit("goal reached")
        return False


@exhibit("hangs", "step", "still running")
class Hangs(Walk):
    """`step` waits for something that never comes."""

    def move(self, action: Any) -> None:
        super().move(action)
        while self.elapsed == 6:
            time.sleep(0.01)


@exhibit("init_raises", "FileNotFoundError", "built")
class CannotBeBuilt(Walk):
    """The constructor raises."""

    def __init__(self) -> None:
        super().__init__()
        raise FileNotFoundError("maze.txt")


@exhibit("init_raises", "another time", "OSError")
class OnlyOnce(Walk):
    """A second instance cannot be built beside the first: it wants the same port."""

    taken: ClassVar[list[int]] = []

    def __init__(self) -> None:
        super().__init__()
        if self.taken:
            raise OSError("port 5005 is in use")
        self.taken.append(5005)

    def close(self) -> None:
        self.taken.clear()


@exhibit("close_raises", "close()", "AttributeError")
class CloseRaises(Walk):
    """`close` raises."""

    def close(self) -> None:
        self.window.destroy()  # type: ignore[attr-defined]


@exhibit("memory_grows", "KiB", "reset", severity="warning")
class KeepsEverything(Walk):
    """Each step leaves an array behind that nobody reads."""

    def __init__(self) -> None:
        super().__init__()
        self.history: list[Any] = []

    def step(self, action: Any) -> Step:
        self.history.append(np.zeros(512))
        return super().step(action)
