"""Counters that all environments share, and that the training loop reads and writes: a mine with ore for all miners.

An environment reads what a counter said when the training step began, and what it adds is there after the step; the loop between
two iterations reads and writes at once.

python examples/python/shared_counter.py [--days 10]
"""

import argparse

import gymnasium as gym
import numpy as np

import skirl
from skirl.algorithms.ppo import PPOConfig


class Mine(gym.Env):
    """One step is one episode: dig, or leave it. Digging pays while there is ore, for all miners together."""

    observation_space = gym.spaces.Box(0.0, 1.0, (1,), np.float32)
    action_space = gym.spaces.Discrete(2)

    def __init__(self):
        self.ore = skirl.shared.counter("ore")
        self.dug = skirl.shared.counter("dug")

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return self.observation(), {}

    def step(self, action):
        reward = 0.0
        if action == 1:
            self.dug.add(1)
            self.ore.add(-1)
            reward = 1.0 if self.ore.get() > 0 else -1.0
        return self.observation(), reward, True, False, {}

    def observation(self):
        return np.array([self.ore.get() > 0], np.float32)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--days", type=int, default=10)
    config = (
        PPOConfig()
        .environment(Mine)
        .env_runners(num_env_runners=0, num_envs_per_env_runner=8)
        .training(lr=3e-3, train_batch_size=256, minibatch_size=128, num_epochs=4)
        .rl_module(fcnet_hiddens=[16])
        .debugging(seed=1)
    )
    with config.build_algo() as algo:
        ore, dug = algo.shared_state.counter("ore"), algo.shared_state.counter("dug")
        for day in range(1, parser.parse_args().days + 1):
            # Ore is found on every other day; the environments see it from the next training step on.
            ore.add(200 if day % 2 == 0 else -ore.get())
            before = dug.get()
            algo.train()
            print(f"day {day:2}: dug {dug.get() - before:3} of 256 times")
        print(f"dug {dug.get()} times in {256 * day} steps")
