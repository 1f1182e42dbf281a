"""Environment runners in two processes against one process, in turn: Python's Pendulum, and pictures.

Tasks:

- `sample`: collecting alone, Python's Pendulum, 32 environments in all; the stage's own clock;
- `ppo`: whole PPO under the protocol of ppo_tasks.py, 8 environments in all;
- `pictures`: collecting 84x84x4 pictures of bytes from 8 environments that cost next to nothing, with a small network.

Prints the median of the ratios (two processes / one), and both rates; with `pictures` also bytes of rows per second, beside a plain copy. With `--seconds` each side of a round takes about as long.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from typing import Any

import measure  # noqa: F401  (bounds the thread pools before numpy is imported)
import ppo_tasks

import gymnasium as gym
import numpy as np

from skirl.algorithms.ppo import PPOConfig


class Pictures(gym.Env):
    """Frames of noise, drawn beforehand."""

    def __init__(self) -> None:
        self.observation_space = gym.spaces.Box(0, 255, (84, 84, 4), np.uint8)
        self.action_space = gym.spaces.Discrete(4)
        self.frames = [np.random.default_rng(seed).integers(0, 256, (84, 84, 4), np.uint8) for seed in range(8)]
        self.steps = 0

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        self.steps = 0
        return self.frames[0], {}

    def step(self, action: Any) -> Any:
        self.steps += 1
        return self.frames[self.steps % 8], 0.0, False, self.steps >= 500, {}


def algorithm(env: Any, runners: int, total: int, training: dict[str, Any], hidden: list[int]) -> Any:
    config = PPOConfig().environment(env).training(**training).debugging(seed=1)
    config = config.env_runners(num_env_runners=runners, num_envs_per_env_runner=total // max(1, runners))
    config = config.rl_module(fcnet_hiddens=hidden, fcnet_activation="tanh", vf_share_layers=False)
    return config.build_algo()


def protocol() -> dict[str, Any]:
    task = ppo_tasks.TASKS["ppo_pendulum"]
    return {
        "train_batch_size": task.batch_size,
        "minibatch_size": task.minibatch_size,
        "num_epochs": task.num_epochs,
        "gamma": task.gamma,
        "lambda_": task.gae_lambda,
        "lr": task.lr,
        "clip_param": task.clip,
        "vf_loss_coeff": task.value_coeff,
        "grad_clip": task.max_grad_norm,
        "use_kl_loss": False,
    }


def collecting(batch: int) -> dict[str, Any]:
    return {"train_batch_size": batch, "minibatch_size": batch, "num_epochs": 1, "lr": 0.0}


def build(task: str, runners: int) -> Any:
    if task == "ppo":
        return algorithm("gymnasium:Pendulum-v1", runners, 8, protocol(), [64, 64])
    if task == "sample":
        return algorithm("gymnasium:Pendulum-v1", runners, 32, collecting(32 * 128), [64, 64])
    return algorithm(Pictures, runners, 8, collecting(8 * 64), [16])


def rate(algo: Any, task: str, seconds: float) -> float:
    """Steps per second over at least `seconds` of work."""
    steps, spent = 0, 0.0
    while spent < seconds:
        start = time.perf_counter()
        result = algo.train()
        spent += time.perf_counter() - start if task == "ppo" else result["timers"]["env_runner_sampling_timer"]
        steps += result["env_runners"]["num_env_steps_sampled"]
    return steps / spent


def memcpy_gb_per_s() -> float:
    """A plain copy of as many rows as the table of `pictures` has, into memory that was written to before."""
    source, target = (np.ones((8 * 64, 84 * 84 * 4), np.float32) for _ in range(2))
    best = float("inf")
    for _ in range(8):
        start = time.perf_counter()
        np.copyto(target, source)
        best = min(best, time.perf_counter() - start)
    return source.nbytes / best / 1e9


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--task", choices=["sample", "ppo", "pictures"], required=True)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=1.5)
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    one, two = build(args.task, 0), build(args.task, 2)
    one.train(), two.train()
    ones, twos = [], []
    for _ in range(args.rounds):
        ones.append(rate(one, args.task, args.seconds))
        twos.append(rate(two, args.task, args.seconds))
    ratios = [b / a for a, b in zip(ones, twos)]
    record: dict[str, Any] = {
        "task": args.task,
        "one_process": round(statistics.median(ones)),
        "two_workers": round(statistics.median(twos)),
        "ratio": round(statistics.median(ratios), 3),
        "ratios": [round(ratio, 3) for ratio in ratios],
    }
    if args.task == "pictures":
        record["two_workers_gb_per_s"] = round(statistics.median(twos) * 84 * 84 * 4 * 4 / 1e9, 2)
        record["memcpy_gb_per_s"] = round(memcpy_gb_per_s(), 1)
    print(json.dumps(record))
    one.stop(), two.stop()


if __name__ == "__main__":
    main()
