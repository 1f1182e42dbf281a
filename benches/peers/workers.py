"""Environment runners in two processes against one process, in turn: Python's Pendulum, and pictures.

Tasks:

- `sample`: collecting alone, Python's Pendulum, 32 environments in all; the stage's own clock;
- `ppo`: whole PPO under the protocol of ppo_tasks.py, 8 environments in all;
- `pictures`: collecting 84x84x4 pictures of bytes from 8 environments that cost next to nothing, with a small network.

Prints the median of the ratios (two processes / one), and both rates; with `pictures` also bytes of rows per second, beside a plain copy. With `--seconds` each side of a round takes about as long.

Each round also measures the machine: two processes that do nothing but step Python's Pendulum, side by side, against one of them alone (`bare`). Two
cores of a virtual machine are not always two whole ones: two such loops were seen to make 1.3 of one, and workers that wait for each other do no better.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
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


class BareLoops:
    """Two processes that step Python's Pendulum for as long as they are told."""

    def __init__(self) -> None:
        command = [sys.executable, __file__, "--bare-loop"]
        start = lambda: subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)  # noqa: E731
        self.loops = [start(), start()]
        for loop in self.loops:
            loop.stdout.readline()

    def ratio(self, seconds: float) -> float:
        alone = [self.rate([loop], seconds / 2) for loop in self.loops]
        return 2 * self.rate(self.loops, seconds) / sum(alone)

    def rate(self, loops: list[Any], seconds: float) -> float:
        for loop in loops:
            loop.stdin.write(f"{seconds}\n")
        return sum(float(loop.stdout.readline()) for loop in loops)

    def stop(self) -> None:
        for loop in self.loops:
            loop.stdin.close()
            loop.wait()


def bare_loop() -> None:
    env = gym.make("Pendulum-v1", disable_env_checker=True)
    action = np.zeros(1, np.float32)
    print("ready", flush=True)
    for line in sys.stdin:
        steps, start = 0, time.perf_counter()
        while (spent := time.perf_counter() - start) < float(line):
            env.reset(seed=1)
            for _ in range(200):
                env.step(action)
            steps += 200
        print(steps / spent, flush=True)


def algorithm(env: Any, runners: int, total: int, training: dict[str, Any], hidden: list[int], threads: int | None) -> Any:
    config = PPOConfig().resources(num_threads=threads).environment(env).training(**training).debugging(seed=1)
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


def build(task: str, runners: int, threads: int | None = None) -> Any:
    if task == "ppo":
        return algorithm("gymnasium:Pendulum-v1", runners, 8, protocol(), [64, 64], threads)
    if task == "sample":
        return algorithm("gymnasium:Pendulum-v1", runners, 32, collecting(32 * 128), [64, 64], threads)
    return algorithm(Pictures, runners, 8, collecting(8 * 64), [16], threads)


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
    parser.add_argument("--task", choices=["sample", "ppo", "pictures"], default="ppo")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=1.5)
    parser.add_argument("--threads", type=int, help="num_threads of both sides; skirl's default without it")
    parser.add_argument("--bare-loop", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.bare_loop:
        return bare_loop()
    one, two = build(args.task, 0, args.threads), build(args.task, 2, args.threads)
    one.train(), two.train()
    bare_loops = BareLoops()
    ones, twos, bare = [], [], []
    for _ in range(args.rounds):
        ones.append(rate(one, args.task, args.seconds))
        twos.append(rate(two, args.task, args.seconds))
        bare.append(bare_loops.ratio(args.seconds))
    bare_loops.stop()
    ratios = [b / a for a, b in zip(ones, twos)]
    record: dict[str, Any] = {
        "task": args.task,
        "one_process": round(statistics.median(ones)),
        "two_workers": round(statistics.median(twos)),
        "ratio": round(statistics.median(ratios), 3),
        "ratios": [round(ratio, 3) for ratio in ratios],
        "bare": round(statistics.median(bare), 3),
        "bares": [round(ratio, 3) for ratio in bare],
    }
    if args.task == "pictures":
        record["two_workers_gb_per_s"] = round(statistics.median(twos) * 84 * 84 * 4 * 4 / 1e9, 2)
        record["memcpy_gb_per_s"] = round(memcpy_gb_per_s(), 1)
    print(json.dumps(record))
    one.stop(), two.stop()


if __name__ == "__main__":
    main()
