"""An environment of one's own: a corridor to walk to its end. It trains in the process, many side by side.

python examples/python/custom_env.py [--iterations 30]
"""

import argparse

import gymnasium as gym
import numpy as np

from skirl.algorithms.ppo import PPOConfig


class Corridor(gym.Env):
    """Walk right for `length` cells; every step costs 0.1, the end gives 1."""

    observation_space = gym.spaces.Box(0.0, 1.0, (1,), np.float32)
    action_space = gym.spaces.Discrete(2)

    def __init__(self, config):
        self.length = config.get("length", 6)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.cell = 0
        return self.observation(), {}

    def step(self, action):
        self.cell = max(0, self.cell + (1 if action == 1 else -1))
        at_end = self.cell >= self.length
        return self.observation(), 1.0 if at_end else -0.1, at_end, False, {}

    def observation(self):
        return np.array([self.cell / self.length], np.float32)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--iterations", type=int, default=30)
    config = PPOConfig().environment(Corridor, env_config={"length": 6, "max_episode_steps": 100})
    config.env_runners(num_envs_per_env_runner=8).debugging(seed=1)
    config.training(lr=1e-3, train_batch_size=512, minibatch_size=128, num_epochs=8)
    with config.build_algo() as algo:
        for iteration in range(parser.parse_args().iterations):
            episode_return = algo.train()["env_runners"].get("episode_return_mean", float("nan"))
            print(f"iteration {iteration + 1}: return {episode_return:.2f} (0.5 is the best there is)")
            if episode_return > 0.49:
                break
