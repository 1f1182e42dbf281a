"""Exhibits: spaces that are missing, wrong, or do not stay."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np

from skirl.testing.gallery.entry import exhibit
from skirl.testing.gallery.sound import Drift, Step, Walk


@exhibit("space_missing", "observation_space", "has no observation_space")
class NoObservationSpace(Walk):
    """The observation space was never set."""

    def __init__(self) -> None:
        super().__init__()
        del self.observation_space


@exhibit("space_missing", "action_space", "None")
class ActionSpaceNone(Walk):
    """The action space is None."""

    def __init__(self) -> None:
        super().__init__()
        self.action_space = None  # type: ignore[assignment]


@exhibit("space_missing", "action_space", "[0, 1]", "list")
class ActionSpaceList(Walk):
    """The action space is a list of actions."""

    def __init__(self) -> None:
        super().__init__()
        self.action_space = [0, 1]  # type: ignore[assignment]


@exhibit("space_missing", "observation_space", "2", "int")
class ObservationSpaceNumber(Walk):
    """The observation space is the number of elements."""

    def __init__(self) -> None:
        super().__init__()
        self.observation_space = 2  # type: ignore[assignment]


@exhibit("space_changed", "observation_space", "(3,)", "largest")
class SpaceGrows(Walk):
    """The observation space, and the observation, grow by one with each episode."""

    size = 1

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, Any]:
        if seed is None:
            self.size += 1
        else:
            self.size = 2
        self.observation_space = gym.spaces.Box(-1.0, 1.0, (self.size,), np.float32)
        return super().reset(seed=seed)

    def observe(self) -> Any:
        return np.full(self.size, self.place / 5, np.float32)


@exhibit("space_bounds", "low", "above high", "observation_space")
class LowAboveHigh(Walk):
    """The bounds of the observation space are swapped."""

    def __init__(self) -> None:
        super().__init__()
        space = gym.spaces.Box(-1.0, 1.0, (2,), np.float32)
        # Gymnasium refuses such a Box when it is built, but not when its bounds are set.
        space.low, space.high = space.high, space.low
        self.observation_space = space


@exhibit("init_raises", "low", "high")
class LowAboveHighWhenBuilt(Walk):
    """The bounds of the action space are swapped, which Gymnasium refuses."""

    def __init__(self) -> None:
        super().__init__()
        self.action_space = gym.spaces.Box(1.0, -1.0, (2,), np.float32)


@exhibit("action_unbounded", "bounds", "-1 and 1", severity="warning")
class UnboundedActions(Drift):
    """The action space has no bounds."""

    def __init__(self) -> None:
        super().__init__()
        self.action_space = gym.spaces.Box(-np.inf, np.inf, (2,), np.float32)


@exhibit("space_unsupported", "Sequence", "fixed number")
class EndlessObservation(Walk):
    """The observation has no fixed length."""

    def __init__(self) -> None:
        super().__init__()
        self.observation_space = gym.spaces.Sequence(gym.spaces.Discrete(11))

    def observe(self) -> Any:
        return tuple(range(self.elapsed % 11))


@exhibit("space_unsupported", "observation_space", "float16", "float32")
class HalfPrecision(Walk):
    """The observation is of a type that the engine does not have."""

    def __init__(self) -> None:
        super().__init__()
        self.observation_space = gym.spaces.Box(-1.0, 1.0, (2,), np.float16)

    def observe(self) -> Any:
        return super().observe().astype(np.float16)


@exhibit("space_unsupported", "observation_space", "key 7", "names")
class NumberedParts(Walk):
    """The parts of the observation have numbers, not names."""

    def __init__(self) -> None:
        super().__init__()
        self.observation_space = gym.spaces.Dict({7: gym.spaces.Discrete(11)})  # type: ignore[dict-item]

    def observe(self) -> Any:
        return {7: self.place + 5}


@exhibit("space_unsupported", "action", "Text", "Discrete")
class SpokenActions(Walk):
    """The action is a text."""

    def __init__(self) -> None:
        super().__init__()
        self.action_space = gym.spaces.Text(4)


@exhibit("step_raises", "Discrete(2, start=1)", "IndexError")
class ActionsFromOne(Walk):
    """Actions start at 1, and `step` counts from 0."""

    def __init__(self) -> None:
        super().__init__()
        self.action_space = gym.spaces.Discrete(2, start=1)

    def move(self, action: Any) -> None:
        self.place += [-1, 1][action]


@exhibit("action_changed", "before the call", "after it", severity="warning")
class ClipsInPlace(Drift):
    """The action is clipped in the array that belongs to the caller."""

    def move(self, action: Any) -> None:
        np.clip(action, -0.5, 0.5, out=action)
        super().move(action)


@exhibit("action_kept", "used again", "copy", severity="warning")
class KeepsAction(Drift):
    """The action is kept without a copy, and read in the next step."""

    def __init__(self) -> None:
        super().__init__()
        self.last_action: Any = np.zeros(2, np.float32)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, Any]:
        self.last_action = np.zeros(2, np.float32)
        return super().reset(seed=seed)

    def step(self, action: Any) -> Step:
        momentum = self.last_action[0] / 2
        self.last_action = action
        self.position += float(momentum)
        return super().step(action)


@exhibit("render_mode", "rgb_array", "metadata")
class RenderModeNotListed(Walk):
    """The render mode is not listed in the class's metadata."""

    render_mode = "rgb_array"


@exhibit("metadata", "metadata", "dict")
class NoMetadata(Walk):
    """The class's metadata is None."""

    metadata = None  # type: ignore[assignment]
