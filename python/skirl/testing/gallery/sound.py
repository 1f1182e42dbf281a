"""Environments without a fault, which the exhibits spoil in one place each."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np

Step = tuple[Any, Any, Any, Any, Any]


class Walk(gym.Env[Any, Any]):
    """A walk on the places -5 to 5 that begins near 0 and ends at either end, or after 20 steps."""

    metadata: dict[str, Any] = {"render_modes": []}

    def __init__(self) -> None:
        self.observation_space: gym.spaces.Space[Any] = gym.spaces.Box(-1.0, 1.0, (2,), np.float32)
        self.action_space: gym.spaces.Space[Any] = gym.spaces.Discrete(2)
        self.place = 0
        self.elapsed = 0

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, Any]:
        super().reset(seed=seed)
        self.place = int(self.np_random.integers(-2, 3))
        self.elapsed = 0
        return self.observe(), {}

    def step(self, action: Any) -> Step:
        # The ends are places to stay: a step after the end changes nothing.
        if abs(self.place) < 5:
            self.move(action)
        self.elapsed += 1
        return self.observe(), self.reward(), self.arrived(), self.elapsed >= 20, {}

    def move(self, action: Any) -> None:
        self.place += 1 if action == 1 else -1

    def observe(self) -> Any:
        # Half of the elapsed steps: the observation is never the same twice in an episode.
        return np.array([self.place / 5, self.elapsed / 40], np.float32)

    def reward(self) -> Any:
        return 1.0 if self.place >= 5 else -0.1

    def arrived(self) -> Any:
        return abs(self.place) >= 5


class Drift(Walk):
    """The same walk with steps of any length from -1 to 1 along each of two axes, of which the first counts."""

    def __init__(self) -> None:
        super().__init__()
        self.action_space = gym.spaces.Box(-1.0, 1.0, (2,), np.float32)
        self.position = 0.0

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, Any]:
        gym.Env.reset(self, seed=seed)
        self.position = float(self.np_random.uniform(-2, 2))
        self.elapsed = 0
        return self.observe(), {}

    def move(self, action: Any) -> None:
        if abs(self.position) < 5:
            self.position += float(action[0])

    def observe(self) -> Any:
        return np.array([np.clip(self.position / 6, -1, 1), self.elapsed / 40], np.float32)

    def arrived(self) -> Any:
        return bool(abs(self.position) >= 5)


class Rooms(Walk):
    """The walk with an observation in parts: `place` (0 to 10) and `time`."""

    def __init__(self) -> None:
        super().__init__()
        self.observation_space = gym.spaces.Dict(
            {"place": gym.spaces.Discrete(11), "time": gym.spaces.Box(0.0, 1.0, (1,), np.float32)}
        )

    def observe(self) -> Any:
        return {"place": self.place + 5, "time": np.array([self.elapsed / 20], np.float32)}


class Pair(Walk):
    """The walk with an observation that is a tuple of place and time."""

    def __init__(self) -> None:
        super().__init__()
        self.observation_space = gym.spaces.Tuple(
            (gym.spaces.Discrete(11), gym.spaces.Box(0.0, 1.0, (1,), np.float32))
        )

    def observe(self) -> Any:
        return self.place + 5, np.array([self.elapsed / 20], np.float32)


class Counters(Walk):
    """The walk with two whole numbers as observation: place (0 to 10) and elapsed steps (0 to 20)."""

    def __init__(self) -> None:
        super().__init__()
        self.observation_space = gym.spaces.MultiDiscrete([11, 21])

    def observe(self) -> Any:
        return np.array([self.place + 5, self.elapsed])


#: All of them; a checker finds nothing in these.
SOUND = (Walk, Drift, Rooms, Pair, Counters)
