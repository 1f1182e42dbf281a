"""Rows of experience as columns."""

from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from skirl.core import DEFAULT_POLICY_ID

Array = NDArray[Any]


class SampleBatch(dict[str, Array]):
    """Columns of one module by name, all with the same number of rows.

    From an environment runner whose environments step together (`num_envs` of them) row `t * num_envs + b` is step `t` of
    environment `b`; else `next_row` tells which row follows each (-1: none).
    """

    OBS: ClassVar[str] = "obs"
    NEXT_OBS: ClassVar[str] = "new_obs"
    ACTIONS: ClassVar[str] = "actions"
    REWARDS: ClassVar[str] = "rewards"
    TERMINATEDS: ClassVar[str] = "terminateds"
    TRUNCATEDS: ClassVar[str] = "truncateds"
    EPS_ID: ClassVar[str] = "eps_id"
    ENV_ID: ClassVar[str] = "env_index"
    AGENT_INDEX: ClassVar[str] = "agent_index"
    ACTION_LOGP: ClassVar[str] = "action_logp"
    ACTION_DIST_INPUTS: ClassVar[str] = "action_dist_inputs"
    VF_PREDS: ClassVar[str] = "vf_preds"
    ADVANTAGES: ClassVar[str] = "advantages"
    VALUE_TARGETS: ClassVar[str] = "value_targets"

    #: The module that acted and will learn.
    module_id: str = DEFAULT_POLICY_ID
    #: Of a trajectory: the agent, the episode and its environment.
    agent_id: str = ""
    episode_id: int = 0
    env_index: int = 0
    #: Of a trajectory: the observation after its last row, and its value, 0 where the episode terminated.
    final_obs: Array
    final_value: float = 0.0
    #: Environments that stepped together; 0 where rows are chained by `next_row`.
    num_envs: int = 0
    #: Rows after which there is an observation that no row has, and these observations.
    end_rows: Array
    end_obs: Array

    @property
    def count(self) -> int:
        """Rows."""
        return len(next(iter(self.values()), ()))

    def env_steps(self) -> int:
        """Rows, of a single agent."""
        return self.count

    def agent_steps(self) -> int:
        """Rows."""
        return self.count

    def time_major(self) -> dict[str, Array]:
        """Views of all columns as `[T, num_envs, ...]`."""
        if self.num_envs == 0:
            raise ValueError("the rows of this batch are not a rectangle: expected environments that step together")
        return {name: column.reshape(-1, self.num_envs, *column.shape[1:]) for name, column in self.items()}

    def copy(self) -> "SampleBatch":
        """A copy of all columns."""
        other = SampleBatch({name: np.array(column) for name, column in self.items()})
        other.__dict__.update(self.__dict__)
        return other

    def __missing__(self, key: str) -> Array:
        if key == self.NEXT_OBS and "final_obs" in self.__dict__:
            return np.concatenate([self[self.OBS][1:], self.final_obs.reshape(1, -1)])
        if key == self.NEXT_OBS and "end_obs" in self.__dict__:
            return self._next_obs()
        if key == "infos":
            raise KeyError("infos: rollouts keep none; read what you need from `env` in on_episode_step, into episode.user_data")
        raise KeyError(f"{key!r}: expected one of {', '.join(self)}")

    def _next_obs(self) -> Array:
        obs = self[self.OBS]
        rows = np.arange(self.count) + self.num_envs if self.num_envs else self["next_row"].copy()
        rows[self.end_rows] = 0
        following: Array = obs[np.minimum(rows, self.count - 1)]
        following[self.end_rows] = self.end_obs
        return following


class MultiAgentBatch(dict[str, SampleBatch]):
    """A batch for each module."""

    @property
    def policy_batches(self) -> dict[str, SampleBatch]:
        """The batches by module id (RLlib's older name)."""
        return self

    @property
    def count(self) -> int:
        """Rows of all modules."""
        return sum(batch.count for batch in self.values())
