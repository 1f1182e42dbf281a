"""Random actions, the same for the same seed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from gymnasium import spaces

from skirl.check.same import copy_of

if TYPE_CHECKING:
    from skirl.check.player import Outcome


class Actions:
    """Draws legal actions; the environment's own space is left alone."""

    def __init__(self, space: Any, seed: int) -> None:
        self._space = copy_of(space)
        self._space.seed(seed)

    def draw(self, outcome: Outcome) -> Any:
        """An action after what a reset or step returned."""
        return self.draw_for(outcome.info)

    def draw_for(self, info: Any) -> Any:
        """An action; one that `info["action_mask"]` allows, where the environment gives such a mask."""
        mask = info.get("action_mask") if isinstance(info, dict) else None
        discrete = isinstance(self._space, spaces.Discrete)
        if discrete and isinstance(mask, np.ndarray) and mask.shape == (self._space.n,) and mask.any():
            return self._space.sample(mask.astype(np.int8))
        return self._space.sample()


class TeamActions:
    """Draws an action for each agent that acts next."""

    def __init__(self, by_agent: Mapping[Any, Any], seed: int) -> None:
        self._actions = {agent: Actions(space, seed + index) for index, (agent, space) in enumerate(by_agent.items())}

    def draw(self, outcome: Outcome) -> Any:
        """Actions by agent after what a reset or step returned."""
        infos = outcome.info if isinstance(outcome.info, dict) else {}
        return {agent: self._actions[agent].draw_for(infos.get(agent)) for agent in outcome.acting}
