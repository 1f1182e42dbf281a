"""Trajectories rewritten before advantages are estimated: a bonus for places that were seldom visited.

python examples/python/rewrite_trajectories.py [--iterations 15]
"""

import argparse
from collections import Counter

from skirl.algorithms.ppo import PPOConfig
from skirl.callbacks.callbacks import DefaultCallbacks


class Curiosity(DefaultCallbacks):
    """Adds 1 / sqrt(visits) to the reward of every step into a cell of a 12 x 12 grid over position and speed."""

    def __init__(self):
        self.visits = Counter()

    def on_postprocess_trajectory(self, *, postprocessed_batch, **kwargs):
        rewards = postprocessed_batch["rewards"]
        for row, (position, speed) in enumerate(postprocessed_batch["obs"]):
            cell = (int((position + 1.2) / 0.15), int((speed + 0.07) / 0.012))
            self.visits[cell] += 1
            rewards[row] += self.visits[cell] ** -0.5

    def on_train_result(self, *, result, **kwargs):
        result["cells"] = len(self.visits)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--iterations", type=int, default=15)
    config = (
        PPOConfig()
        .environment("MountainCar-v0")
        .env_runners(num_envs_per_env_runner=8)
        .training(lr=5e-4, train_batch_size=2048, minibatch_size=256, num_epochs=5, entropy_coeff=0.01)
        .callbacks(Curiosity)
        .debugging(seed=1)
    )
    with config.build_algo() as algo:
        for _ in range(parser.parse_args().iterations):
            result = algo.train()
            print(f"iteration {result['training_iteration']}: {result['cells']} cells visited")
