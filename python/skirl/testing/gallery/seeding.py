"""Exhibits: the same seed does not give the same episode."""

from __future__ import annotations

import random
import time
from typing import Any, ClassVar

import numpy as np

from skirl.testing.gallery.entry import exhibit
from skirl.testing.gallery.sound import Step, Walk


@exhibit("not_deterministic", "reset(seed=0)", "self.np_random")
class SeedIgnored(Walk):
    """A generator of its own is never seeded."""

    def __init__(self) -> None:
        super().__init__()
        self.generator = np.random.default_rng()

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, Any]:
        super().reset(seed=seed)
        self.place = int(self.generator.integers(-2, 3))
        return self.observe(), {}

    def move(self, action: Any) -> None:
        self.place += 1 if self.generator.random() < 0.5 else -1


@exhibit("global_random", "numpy.random", "self.np_random")
class GlobalNumpyRandom(Walk):
    """Draws from `numpy.random`, which belongs to the whole process."""

    def move(self, action: Any) -> None:
        self.place += 1 if np.random.random() < 0.5 else -1


@exhibit("global_random", "random", "self.np_random")
class GlobalRandomModule(Walk):
    """Draws from the module `random`, which belongs to the whole process."""

    def move(self, action: Any) -> None:
        self.place += random.choice([-1, 1])


@exhibit("global_random", "disturb each other", "self.np_random")
class GlobalSeeded(Walk):
    """Seeds `numpy.random` in `reset`: alone it repeats, beside another one it does not."""

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, Any]:
        if seed is not None:
            np.random.seed(seed % 2**32)
        self.place = int(np.random.randint(-2, 3))
        self.elapsed = 0
        return self.observe(), {}

    def move(self, action: Any) -> None:
        self.place += 1 if np.random.random() < 0.5 else -1


@exhibit("large_seed", "2**31 - 1", "65535", "self.np_random")
class SmallSeedsOnly(Walk):
    """A generator that takes seeds of 16 bits only."""

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, Any]:
        if seed is not None:
            if seed > 65535:
                raise ValueError(f"expected a seed of at most 65535, found {seed}")
            self.generator = np.random.RandomState(seed)
        self.place = int(self.generator.randint(-2, 3))
        self.elapsed = 0
        return self.observe(), {}


@exhibit("not_deterministic", "observation[1]", "clock")
class WallClock(Walk):
    """The observation depends on the time of day."""

    def observe(self) -> Any:
        return np.array([self.place / 5, time.time() % 1], np.float32)


@exhibit("not_deterministic", "reset does not clear")
class NotCleared(Walk):
    """`reset` forgets to clear a counter."""

    def __init__(self) -> None:
        super().__init__()
        self.total = 0

    def step(self, action: Any) -> Step:
        self.total += 1
        return super().step(action)

    def observe(self) -> Any:
        return np.array([self.place / 5, np.tanh(self.total / 1000)], np.float32)


@exhibit("not_deterministic", "without a seed")
class FreshWithoutSeed(Walk):
    """`reset` without a seed makes a generator that nothing determines."""

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, Any]:
        self.np_random = np.random.default_rng(seed)
        self.place = int(self.np_random.integers(-2, 3))
        self.elapsed = 0
        return self.observe(), {}

    def move(self, action: Any) -> None:
        self.place += 1 if self.np_random.random() < 0.5 else -1


@exhibit("instances_differ", "every instance")
class DrawnWhenBuilt(Walk):
    """Something is drawn in the constructor, and no seed reaches it."""

    def __init__(self) -> None:
        super().__init__()
        self.wind = float(np.random.default_rng().uniform(0, 0.1))

    def observe(self) -> Any:
        return np.array([self.place / 6 + self.wind, self.elapsed / 40], np.float32)


@exhibit("shared_state", "two instances", "class")
class SharedList(Walk):
    """The state is a list of the class: all instances have the same one."""

    places: ClassVar[list[int]] = [0]

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, Any]:
        super().reset(seed=seed)
        self.places[0] = self.place
        return self.observe(), {}

    def move(self, action: Any) -> None:
        self.places[0] += 1 if action == 1 else -1
        self.place = self.places[0]


@exhibit("always_the_same_start", "without a seed", severity="warning")
class SeedsItself(Walk):
    """`reset` without a seed takes the last one again: every episode starts alike."""

    last_seed = 0

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, Any]:
        self.last_seed = self.last_seed if seed is None else seed
        return super().reset(seed=self.last_seed)
