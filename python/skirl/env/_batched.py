"""Batched environments (`gymnasium.vector.VectorEnv`): how they reset, asked once when they are made."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np

from skirl.errors import EnvError

#: How a batched environment goes on after an end.
NEXT_STEP, SAME_STEP, DISABLED = "NextStep", "SameStep", "Disabled"


def describe(env: Any, num_envs: int) -> tuple[str, bool, str]:
    """Autoreset mode, whether single environments can be reset, and how each can have a seed of its own.

    Refuses those whose environments cannot be stepped together from end to end.
    """
    name = type(env.unwrapped).__name__
    if env.num_envs != num_envs:
        raise EnvError(
            f"{name} is a batch of {env.num_envs} environments, expected {num_envs}, as the configuration says "
            f"(num_envs_per_env_runner, num_env_runners). Make as many as EnvContext.num_envs says, or change the configuration"
        )
    mode = _mode(env, name)
    single = mode == DISABLED or num_envs == 1 or _can_reset_single(env)
    if mode == NEXT_STEP and not single:
        raise EnvError(
            f"{name} resets an environment in the step after its end (AutoresetMode.NEXT_STEP), and cannot reset one alone "
            f"(options={{'reset_mask': mask}}): while one resets, the others would have to wait. Make it with "
            f"AutoresetMode.SAME_STEP or DISABLED, use gymnasium's SyncVectorEnv (env_config vectorization_mode='sync'), or return "
            f"a single environment and let skirl make many"
        )
    return mode, single, _seeds_as(env)


def _mode(env: Any, name: str) -> str:
    mode = getattr(env, "metadata", {}).get("autoreset_mode")
    if mode is None:
        # What Gymnasium 1.0 does, which has no such entry.
        return NEXT_STEP
    value = str(getattr(mode, "value", mode))
    if value not in (NEXT_STEP, SAME_STEP, DISABLED):
        raise EnvError(
            f"{name} has metadata['autoreset_mode'] = {mode!r}, expected a gymnasium.vector.AutoresetMode (NEXT_STEP, SAME_STEP "
            f"or DISABLED)"
        )
    return value


def _is_gymnasium_own(env: Any) -> bool:
    """Whether Gymnasium's own `reset` is at work, from 1.1 on: it takes masks and lists of seeds."""
    from gymnasium import vector

    own = (vector.SyncVectorEnv.reset, vector.AsyncVectorEnv.reset)
    return hasattr(vector, "AutoresetMode") and type(env.unwrapped).reset in own


def _seeds_as(env: Any) -> str:
    """"list" or "array" where each environment can have a seed of its own, "number" where there is one for the batch."""
    if _is_gymnasium_own(env):
        return "list"
    seeds: dict[str, Any] = {"list": list(range(env.num_envs)), "array": np.arange(env.num_envs)}
    for kind, given in seeds.items():
        try:
            env.reset(seed=given)
        except Exception:
            continue
        return kind
    return "number"


def _can_reset_single(env: Any) -> bool:
    """Takes a few steps, resets the first environment alone, and looks whether the others stood still."""
    if _is_gymnasium_own(env):
        return True
    try:
        env.reset(seed=0)
        for _ in range(3):
            before = env.step(env.action_space.sample())[0]
        before = copy.deepcopy(before)
        mask = np.zeros(env.num_envs, dtype=np.bool_)
        mask[0] = True
        after, _ = env.reset(options={"reset_mask": mask})
    except Exception:
        return False
    return _others_equal(before, after)


def _others_equal(before: Any, after: Any) -> bool:
    if isinstance(before, dict):
        return all(_others_equal(before[key], after[key]) for key in before)
    if isinstance(before, tuple):
        return all(_others_equal(left, right) for left, right in zip(before, after, strict=True))
    return np.shape(before) == np.shape(after) and np.array_equal(before[1:], after[1:])


def final_observation(infos: dict[str, Any], index: int) -> Any:
    """The last observation of the episode of environment `index`, which ended in this step."""
    found = infos.get("final_obs", infos.get("final_observation"))
    row = _row(found, index)
    if row is None:
        raise EnvError(
            f"environment {index} ended, but infos['final_obs'] holds no last observation of it, which AutoresetMode.SAME_STEP "
            f"promises; found {sorted(infos)}"
        )
    return row


def _row(batch: Any, index: int) -> Any:
    if batch is None:
        return None
    if isinstance(batch, dict):
        return {key: _row(value, index) for key, value in batch.items()}
    if isinstance(batch, tuple):
        return tuple(_row(value, index) for value in batch)
    return batch[index]
