"""Environments without a fault, which the exhibits spoil in one place each."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np

from skirl.env.multi_agent_env import MultiAgentEnv

Step = tuple[Any, Any, Any, Any, Any]
#: The same by agent.
TeamStep = tuple[dict[Any, Any], dict[Any, Any], dict[Any, Any], dict[Any, Any], dict[Any, Any]]


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


class Meeting(MultiAgentEnv):
    """Two agents walk on the places -5 to 5 at the same time; each leaves at either end, and all is over after 12 steps."""

    metadata: dict[str, Any] = {"render_modes": []}
    observation_spaces: dict[Any, gym.spaces.Space[Any]]
    action_spaces: dict[Any, gym.spaces.Space[Any]]

    def __init__(self) -> None:
        self.possible_agents: list[Any] = ["left", "right"]
        self.agents: list[Any] = ["left", "right"]
        self.observation_spaces = {agent: gym.spaces.Box(-1.0, 1.0, (2,), np.float32) for agent in self.agents}
        self.action_spaces = {agent: gym.spaces.Discrete(2) for agent in self.agents}
        self.places: dict[str, int] = {}
        self.elapsed = 0
        self.acting: list[Any] = []

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, Any]:
        super().reset(seed=seed)
        self.begin(int(self.np_random.integers(-3, 0)), int(self.np_random.integers(1, 4)))
        self.elapsed = 0
        self.acting = ["left", "right"]
        return self.observe(), {}

    def begin(self, left: int, right: int) -> None:
        self.places = {"left": left, "right": right}

    def step(self, action_dict: Any) -> TeamStep:
        self.acting = list(action_dict)
        for agent, action in action_dict.items():
            self.places[agent] += 1 if action == 1 else -1
        self.elapsed += 1
        left = [abs(place) >= 5 for place in self.places.values()]
        ends = {agent: abs(self.places[agent]) >= 5 for agent in self.acting}
        late = self.elapsed >= 12 and not all(left)
        return self.observe(), self.pay(self.acting), {**ends, "__all__": all(left)}, {"__all__": late}, {}

    def present(self) -> list[Any]:
        """Whom the step just taken concerns."""
        return self.acting

    def observe(self) -> dict[Any, Any]:
        return {agent: np.array([self.places[agent] / 5, self.elapsed / 12], np.float32) for agent in self.present()}

    def pay(self, agents: list[Any]) -> dict[Any, Any]:
        return {agent: 1.0 if abs(self.places[agent]) >= 5 else -0.1 for agent in agents}


class Rally(MultiAgentEnv):
    """Players 0 and 1 hit a ball in turns, one with whole numbers and one with any; it is lost by chance, or after 12 hits."""

    metadata: dict[str, Any] = {"render_modes": []}

    def __init__(self) -> None:
        self.possible_agents: list[Any] = [0, 1]
        self.agents: list[Any] = [0, 1]
        self.observation_space = gym.spaces.Dict({"ball": gym.spaces.Box(-1.0, 1.0, (1,), np.float32), "hits": gym.spaces.Discrete(13)})
        self.action_spaces = {0: gym.spaces.Discrete(3), 1: gym.spaces.Box(-1.0, 1.0, (1,), np.float32)}
        self.ball, self.elapsed, self.lost = 0.0, 0, False

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, Any]:
        super().reset(seed=seed)
        self.ball, self.elapsed, self.lost = float(self.np_random.uniform(-0.5, 0.5)), 0, False
        return self.observe(), {}

    def step(self, action_dict: Any) -> TeamStep:
        for agent, action in action_dict.items():
            self.ball = 0.5 * self.ball + 0.2 * (float(action) - 1 if agent == 0 else float(action[0]))
        self.elapsed += 1
        self.lost = bool(self.np_random.random() < 0.1)
        lost = self.lost and self.over()
        ends = dict.fromkeys(self.possible_agents, lost)
        return self.observe(), self.pay(list(action_dict)), {**ends, "__all__": lost}, {"__all__": self.over() and not lost}, {}

    def over(self) -> bool:
        return self.lost or self.elapsed >= 12

    def observe(self) -> dict[Any, Any]:
        # In the end both see what has become of it.
        agents = [0, 1] if self.over() else [self.elapsed % 2]
        return {agent: {"ball": np.array([self.ball], np.float32), "hits": min(self.elapsed, 12)} for agent in agents}

    def pay(self, agents: list[Any]) -> dict[Any, Any]:
        return dict.fromkeys(agents, 0.25)


#: All of them; a checker finds nothing in these.
SOUND = (Walk, Drift, Rooms, Pair, Counters, Meeting, Rally)
