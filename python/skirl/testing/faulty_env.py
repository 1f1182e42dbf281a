"""An environment that misbehaves on order."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import time
from collections.abc import Mapping
from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from skirl.testing.fault_counter import FaultCounter
from skirl.testing.faults import Faults


class PlantedFault(RuntimeError):
    """The exception that a `FaultyEnv` raises on order."""


class FaultyEnv(gym.Env[NDArray[np.float32], np.int64]):
    """A small environment that goes wrong when it is told to, and works otherwise; the options are those of `Faults`.

    The first element of the observation is a sign, drawn anew in each step, the second how much of the episode is over (0 to 1),
    the rest 0. Reward 1 for action 1 at a plus or action 0 at a minus, else 0: PPO learns it in a few iterations. Same seed and
    same actions give the same episode.

    >>> env = FaultyEnv(raise_at=3)
    >>> config = PPOConfig().environment(FaultyEnv, env_config={"kill_at": 50, "only_worker": 1, "counter_file": "faults.txt"})

    `config` is a mapping of options, or the `EnvContext` in which a runner gives them; its `worker_index` and `vector_index`
    (0 and 0 if it has none) say whether this environment is meant.
    """

    metadata: dict[str, Any] = {"render_modes": []}

    def __init__(self, config: Mapping[str, Any] | None = None, **options: Any) -> None:
        self.faults = Faults.from_mapping({**(config or {}), **options})
        self.worker_index = int(getattr(config, "worker_index", 0))
        self.vector_index = int(getattr(config, "vector_index", 0))
        self._concerned = self.faults.concern(self.worker_index, self.vector_index)
        self._counter = FaultCounter(self.faults.times, self.faults.counter_file)
        self._calls = {"reset": 0, "step": 0}
        size = self.faults.observation_size
        self.observation_space = gym.spaces.Box(-1.0, 1.0, (size,), np.float32)
        self.action_space = gym.spaces.Discrete(2)
        self._buffer = np.zeros(size, np.float32)
        self._sign = 1
        self._elapsed = 0
        self._ended = True
        self._fail_to_start()

    def _fail_to_start(self) -> None:
        if not self._concerned:
            return
        time.sleep(self.faults.init_sleep)
        if self.faults.init_fails and self._counter.take("init", self._note(0)):
            raise PlantedFault(f"fault planted in the constructor ({self._note(0)})")

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray[np.float32], dict[str, Any]]:
        super().reset(seed=seed)
        kinds = self._strike("reset")
        self._elapsed = 0
        self._ended = False
        return self._observe(kinds), {}

    def step(self, action: np.int64) -> tuple[NDArray[np.float32], float, bool, bool, dict[str, Any]]:
        if self._ended:
            raise RuntimeError("step was called before reset, or after the end of an episode")
        kinds = self._strike("step")
        reward = 1.0 if (int(action) == 1) == (self._sign == 1) else 0.0
        self._elapsed += 1
        self._ended = self._elapsed >= self.faults.episode_length
        terminated = self._ended and not self.faults.truncates
        truncated = self._ended and self.faults.truncates
        observation = self._observe(kinds)
        return observation, float("nan") if "nan_reward" in kinds else reward, terminated, truncated, {}

    def close(self) -> None:
        if self._concerned and self.faults.close_fails:
            raise PlantedFault("fault planted in close")

    def _note(self, call: int) -> str:
        return f"worker={self.worker_index} env={self.vector_index} call={call}"

    def _strike(self, method: str) -> list[str]:
        """Carries out the faults of this call that strike at once; returns the kinds that spoil what it returns."""
        self._calls[method] += 1
        call = self._calls[method]
        if not self._concerned:
            return []
        if self.faults.sleep_at is None:
            time.sleep(self.faults.sleep)
        if (method == "reset") != self.faults.in_reset:
            return []
        kinds = [kind for kind in self.faults.due(call) if self._counter.take(kind, self._note(call))]
        for kind in kinds:
            self._carry_out(kind, f"fault planted in {method} {call} ({self._note(call)})")
        return kinds

    def _carry_out(self, kind: str, message: str) -> None:
        match kind:
            case "print":
                print(self.faults.print_text, flush=True)
            case "sleep":
                time.sleep(self.faults.sleep)
            case "raise":
                raise PlantedFault(message)
            case "system_exit":
                sys.exit(self.faults.exit_code)
            case "exit":
                os._exit(self.faults.exit_code)
            case "kill":
                # Windows has no SIGKILL; there, SIGTERM ends a process as surely.
                os.kill(os.getpid(), getattr(signal, "SIGKILL", signal.SIGTERM))
            case "hang":
                _hang(keep_gil=self.faults.hang_keeps_gil)

    def _observe(self, kinds: list[str]) -> Any:
        self._sign = 1 if self.np_random.random() < 0.5 else -1
        observation = self._buffer if self.faults.reuses_buffer else np.zeros_like(self._buffer)
        observation[:2] = self._sign, self._elapsed / self.faults.episode_length
        return self._spoil(observation, kinds)

    def _spoil(self, observation: NDArray[np.float32], kinds: list[str]) -> Any:
        if "nan_obs" in kinds:
            observation[0] = np.nan
        if "out_of_bounds" in kinds:
            observation[0] = 1e6
        if "shape" in kinds:
            return np.zeros(self.faults.wrong_shape, np.float32)
        if "dtype" in kinds:
            return observation.astype(self.faults.wrong_dtype)
        return observation


def _hang(keep_gil: bool) -> None:
    while True:
        if keep_gil and os.name == "posix":
            # Functions of a `PyDLL` are called without giving the lock away.
            ctypes.PyDLL(None).sleep(3600)
        else:
            time.sleep(3600)
