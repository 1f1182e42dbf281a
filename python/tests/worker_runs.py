"""Runs for the tests of environment runners in processes of their own."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
from skirl.algorithms.algorithm import Algorithm
from skirl.algorithms.ppo import PPOConfig

PACKAGE = Path(sys.modules["skirl"].__file__ or "").parents[1]


class Corridor(gymnasium.Env):
    """Walks to the right until the end; saves its whole state."""

    def __init__(self, length: int = 6, shout: str = "", os_shout: str = "") -> None:
        self.observation_space = gymnasium.spaces.Box(0.0, 100.0, (2,), np.float32)
        self.action_space = gymnasium.spaces.Discrete(2)
        self.length, self.at = length, 0
        if shout:
            print(shout)
        if os_shout:
            os.write(1, os_shout.encode() + b"\n")

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        super().reset(seed=seed)
        self.at = int(self.np_random.integers(0, 3))
        return self._see(), {}

    def step(self, action: Any) -> Any:
        self.at = max(0, self.at + (1 if action == 1 else -1))
        noise = float(self.np_random.random())
        return self._see(), noise, self.at >= self.length, False, {}

    def _see(self) -> Any:
        return np.array([self.at, float(self.np_random.random())], np.float32)

    def set_task(self, task: int) -> None:
        self.length = task

    def get_task(self) -> int:
        return self.length

    def get_state(self) -> dict[str, Any]:
        return {"at": self.at}

    def set_state(self, state: dict[str, Any]) -> None:
        self.at = state["at"]


class NeverBuilt(Corridor):
    """Its constructor does not return."""

    def __init__(self) -> None:
        time.sleep(600)


def config(
    env: Any, runners: int, envs: int, env_config: dict[str, Any] | None = None, **sections: dict[str, Any]
) -> PPOConfig:
    """A small PPO configuration."""
    runner_options = {"num_env_runners": runners, "num_envs_per_env_runner": envs, **sections.pop("env_runners", {})}
    training = {"train_batch_size": 128, "minibatch_size": 64, "num_epochs": 2, **sections.pop("training", {})}
    made = PPOConfig().environment(env, env_config=env_config or {}).env_runners(**runner_options).training(**training)
    made = made.rl_module(fcnet_hiddens=[16]).debugging(seed=5)
    for section, options in sections.items():
        getattr(made, section)(**options)
    return made


def build(*arguments: Any, **sections: Any) -> Algorithm:
    return config(*arguments, **sections).build_algo()


def weights(algorithm: Any, directory: Path) -> str:
    """Hash of everything that training changed: weights, optimizer, statistics."""
    algorithm.save_to_path(directory)
    digest = hashlib.sha256()
    for file in sorted(directory.rglob("*.safetensors")):
        digest.update(file.read_bytes())
    return digest.hexdigest()


def workers(parent: int | None = None) -> list[int]:
    """Process ids of the workers of a process."""
    listed = subprocess.run(["ps", "-eo", "pid=,ppid=,stat=,args="], capture_output=True, text=True, check=True).stdout
    rows = [line.split(None, 3) for line in listed.splitlines()]
    return [
        int(pid)
        for pid, ppid, state, args in rows
        if int(ppid) == (parent or os.getpid()) and "skirl._worker" in args and not state.startswith("Z")
    ]


def alive(pid: int) -> bool:
    listed = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False).stdout
    return listed.strip() != "" and not listed.startswith("Z")


def wait_for(what: Any, seconds: float = 10.0) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if what():
            return True
        time.sleep(0.02)
    return bool(what())


def script(text: str, directory: Path, **environment: str) -> subprocess.Popen[str]:
    """A Python program of its own, started."""
    path = directory / "script.py"
    path.write_text(text)
    return subprocess.Popen(
        [sys.executable, str(path)],
        cwd=directory,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": f"{PACKAGE}{os.pathsep}{Path(__file__).parent}", **environment},
    )
