"""Estimators on arrays: what the algorithms use, for training loops of one's own.

Arrays are `[T, B]` (T steps of B environments) or `[rows]`: one sequence in order of time, or rows that `next_row` chains. They
are computed in float32, as in the engine, whatever the type of what is given; results are float32 arrays of the same shape.
"""

from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from skirl import _native
from skirl.errors import ConfigError
from skirl.policy.sample_batch import SampleBatch

Floats = NDArray[np.float32]


def gae(
    rewards: ArrayLike,
    values: ArrayLike,
    terminateds: ArrayLike,
    truncateds: ArrayLike,
    bootstrap_values: ArrayLike,
    *,
    gamma: float = 0.99,
    lambda_: float = 0.95,
    next_row: ArrayLike | None = None,
) -> tuple[Floats, Floats]:
    """Generalised advantage estimation (Schulman et al. 2016, equation 16).

    Args:
        rewards: Rewards.
        values: V of the observations that were acted on.
        terminateds: The episode ended by its own rules: nothing follows.
        truncateds: The episode was cut: what would have followed is estimated by `bootstrap_values`.
        bootstrap_values: V of the observation after a row, read where the episode was truncated and where the rollout ends.
            Of the shape of `rewards`; or `[B]` (a number for one sequence), the values after the last step, where no episode
            was truncated before it.
        gamma: Discount, in [0, 1].
        lambda_: Trace decay, in [0, 1].
        next_row: For chained rows: the index of the row that follows each, -1 where none does.

    Returns:
        Advantages and value targets.
    """
    sequence = _Sequence(rewards, terminateds, truncateds, bootstrap_values, next_row)
    _check_shares(gamma=gamma, lambda_=lambda_)
    found = _native.gae(sequence.rewards, sequence.column(values, "values"), sequence.native, gamma, lambda_)
    return sequence.shaped(found[0]), sequence.shaped(found[1])


def discounted_returns(
    rewards: ArrayLike,
    terminateds: ArrayLike,
    truncateds: ArrayLike,
    bootstrap_values: ArrayLike | None = None,
    *,
    gamma: float = 0.99,
    next_row: ArrayLike | None = None,
) -> Floats:
    """Discounted returns, `G_t = r_t + gamma * G_{t+1}`.

    Args:
        rewards: Rewards.
        terminateds: The episode ended by its own rules.
        truncateds: The episode was cut.
        bootstrap_values: As in `gae`; None lets returns end where the episode was truncated or the rollout ends.
        gamma: Discount, in [0, 1].
        next_row: As in `gae`.

    Returns:
        The return from each row on.
    """
    bootstrap = np.zeros(_numbers(rewards, "rewards").shape, np.float32) if bootstrap_values is None else bootstrap_values
    sequence = _Sequence(rewards, terminateds, truncateds, bootstrap, next_row)
    _check_shares(gamma=gamma)
    return sequence.shaped(_native.discounted_returns(sequence.rewards, sequence.native, gamma))


def vtrace(
    target_action_logp: ArrayLike,
    behaviour_action_logp: ArrayLike,
    rewards: ArrayLike,
    values: ArrayLike,
    terminateds: ArrayLike,
    truncateds: ArrayLike,
    bootstrap_values: ArrayLike,
    *,
    gamma: float = 0.99,
    lambda_: float = 1.0,
    clip_rho_threshold: float = 1.0,
    clip_pg_rho_threshold: float = 1.0,
    next_row: ArrayLike | None = None,
) -> tuple[Floats, Floats]:
    """V-trace targets for actions of an older policy (Espeholt et al. 2018, equation 1).

    Args:
        target_action_logp: log-probability of the actions under the policy that learns.
        behaviour_action_logp: log-probability when they were drawn.
        rewards: Rewards.
        values: V of the observations that were acted on.
        terminateds: The episode ended by its own rules.
        truncateds: The episode was cut.
        bootstrap_values: As in `gae`.
        gamma: Discount, in [0, 1].
        lambda_: Trace decay, in [0, 1]; 1 in the paper.
        clip_rho_threshold: Bound of the importance weights of the temporal differences.
        clip_pg_rho_threshold: Bound of those of the advantages.
        next_row: As in `gae`.

    Returns:
        Value targets `v_s`, and policy-gradient advantages with their importance weight.
    """
    sequence = _Sequence(rewards, terminateds, truncateds, bootstrap_values, next_row)
    _check_shares(gamma=gamma, lambda_=lambda_)
    _check_bounds(clip_rho_threshold=clip_rho_threshold, clip_pg_rho_threshold=clip_pg_rho_threshold)
    logp = sequence.column(target_action_logp, "target_action_logp")
    log_rhos = logp - sequence.column(behaviour_action_logp, "behaviour_action_logp")
    found = _native.vtrace(
        log_rhos,
        sequence.rewards,
        sequence.column(values, "values"),
        sequence.native,
        gamma,
        lambda_,
        clip_rho_threshold,
        clip_pg_rho_threshold,
    )
    return sequence.shaped(found[0]), sequence.shaped(found[1])


def add_gae(batch: SampleBatch, *, gamma: float = 0.99, lambda_: float = 0.95) -> SampleBatch:
    """Adds the columns `advantages` and `value_targets` to a batch that an environment runner sampled, and returns it."""
    shape: tuple[int, ...] = (-1, batch.num_envs) if batch.num_envs else (-1,)
    columns = [batch[name].reshape(shape) for name in ("rewards", "vf_preds", "terminateds", "truncateds", "bootstrap_values")]
    advantages, targets = gae(*columns, gamma=gamma, lambda_=lambda_, next_row=batch.get("next_row"))
    batch["advantages"], batch["value_targets"] = advantages.reshape(-1), targets.reshape(-1)
    return batch


def _check_shares(**given: float) -> None:
    for name, value in given.items():
        if not isinstance(value, Real) or not 0 <= value <= 1:
            raise ConfigError(f"{name}: expected a number from 0 to 1, found {value!r}")


def _check_bounds(**given: float) -> None:
    for name, value in given.items():
        if not isinstance(value, Real) or not value > 0:
            raise ConfigError(f"{name}: expected a number above 0 (math.inf does not clip), found {value!r}")


def _numbers(values: ArrayLike, name: str) -> NDArray[Any]:
    """An array of numbers, one way or the other."""
    try:
        array = np.asarray(values)
        found = f"an array of {array.dtype}"
    except (TypeError, ValueError) as error:
        array, found = np.empty(0, object), str(error)
    if array.dtype.kind not in "biuf":
        raise ConfigError(f"{name}: expected an array of numbers, found {found}")
    return array


class _Sequence:
    """Rows in order of time, for the engine."""

    def __init__(
        self,
        rewards: ArrayLike,
        terminateds: ArrayLike,
        truncateds: ArrayLike,
        bootstrap_values: ArrayLike,
        next_row: ArrayLike | None,
    ) -> None:
        self.shape = _numbers(rewards, "rewards").shape
        if len(self.shape) not in (1, 2) or 0 in self.shape:
            raise ConfigError(f"rewards: expected the shape [T, B] or [rows] with at least one row, found {list(self.shape)}")
        self.rewards = self.column(rewards, "rewards")
        truncated = self._flags(truncateds, "truncateds")
        terminated = self._flags(terminateds, "terminateds")
        self.native: dict[str, NDArray[Any]] = {
            "terminateds": terminated,
            "truncateds": truncated,
            "bootstrap_values": self._bootstrap(bootstrap_values, (truncated == 1) & (terminated == 0)),
            "next_row": self._followers(next_row),
        }

    def column(self, values: ArrayLike, name: str) -> Floats:
        """A flat float32 column."""
        array = _numbers(values, name)
        if array.shape != self.shape:
            raise ConfigError(f"{name}: expected the shape of rewards, {list(self.shape)}, found {list(array.shape)}")
        return np.ascontiguousarray(array, np.float32).reshape(-1)

    def shaped(self, column: Floats) -> Floats:
        """A result in the shape of the rewards."""
        return column.reshape(self.shape)

    def _flags(self, flags: ArrayLike, name: str) -> NDArray[np.uint8]:
        array = _numbers(flags, name)
        if array.shape != self.shape:
            raise ConfigError(f"{name}: expected the shape of rewards, {list(self.shape)}, found {list(array.shape)}")
        return np.ascontiguousarray(array != 0).astype(np.uint8).reshape(-1)

    def _bootstrap(self, values: ArrayLike, cut: NDArray[np.bool_]) -> Floats:
        array = _numbers(values, "bootstrap_values").astype(np.float32)
        if array.shape == self.shape:
            return np.ascontiguousarray(array).reshape(-1)
        last = self.shape[1:]
        if array.shape not in (last, (1,) if not last else last):
            raise ConfigError(
                f"bootstrap_values: expected the shape of rewards, {list(self.shape)}, or of its last step, {list(last)}, found "
                f"{list(array.shape)}"
            )
        inside = cut.reshape(self.shape)[:-1]
        if inside.any():
            raise ConfigError(
                "bootstrap_values: an episode was truncated before the last step, and the value of its final observation is "
                f"needed there: expected the shape of rewards, {list(self.shape)}, found {list(array.shape)}"
            )
        whole = np.zeros(self.shape, np.float32)
        whole[-1] = array.reshape(last)
        return whole.reshape(-1)

    def _followers(self, next_row: ArrayLike | None) -> NDArray[np.int64]:
        rows = self.rewards.size
        if next_row is not None:
            if len(self.shape) != 1:
                raise ConfigError("next_row: chained rows are flat, expected arrays of the shape [rows]")
            return np.ascontiguousarray(self._like(next_row), np.int64)
        width = self.shape[1] if len(self.shape) == 2 else 1
        followers = np.arange(rows, dtype=np.int64) + width
        followers[-width:] = -1
        return followers

    def _like(self, next_row: ArrayLike) -> Any:
        array = _numbers(next_row, "next_row")
        if array.shape != self.shape:
            raise ConfigError(f"next_row: expected the shape of rewards, {list(self.shape)}, found {list(array.shape)}")
        return array
