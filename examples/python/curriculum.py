"""Curriculum learning, both ways: from one's own loop, and from a callback.

python examples/python/curriculum.py [--iterations 40]
"""

import argparse

from custom_env import Corridor

from skirl.algorithms.ppo import PPOConfig
from skirl.callbacks.callbacks import DefaultCallbacks

LENGTHS = [3, 6, 12]


class Lessons(Corridor):
    """A corridor whose length is set from outside."""

    def set_phase(self, phase):
        self.length = LENGTHS[phase]


def config():
    return (
        PPOConfig()
        .environment(Lessons, env_config={"length": LENGTHS[0], "max_episode_steps": 100})
        .env_runners(num_envs_per_env_runner=8)
        .training(lr=1e-3, train_batch_size=512, minibatch_size=128, num_epochs=8)
        .debugging(seed=1)
    )


def phase_for(result, phase):
    """The next lesson once this one is learned: walking straight to the end gives 1.1 - 0.1 * length."""
    best = 1.1 - 0.1 * LENGTHS[phase]
    learned = result["env_runners"].get("episode_return_mean", -100.0) > best - 0.2
    return min(phase + 1, len(LENGTHS) - 1) if learned else phase


def own_loop(iterations):
    """The first way: the loop is yours, and reaches every environment between two iterations."""
    phase = 0
    with config().build_algo() as algo:
        for _ in range(iterations):
            phase = phase_for(algo.train(), phase)
            algo.env_runner_group.foreach_env_runner(
                lambda runner: runner.foreach_env(lambda env: env.unwrapped.set_phase(phase))
            )
    return phase


class Teacher(DefaultCallbacks):
    """The second way: a callback does the same, wherever the algorithm is run."""

    phase = 0

    def on_train_result(self, *, algorithm, result, **kwargs):
        self.phase = phase_for(result, self.phase)
        algorithm.env_runner_group.foreach_env_runner(
            lambda runner: runner.foreach_env(lambda env: env.unwrapped.set_phase(self.phase))
        )
        result["phase"] = self.phase


def by_callback(iterations):
    phase = 0
    with config().callbacks(Teacher).build_algo() as algo:
        for _ in range(iterations):
            phase = algo.train()["phase"]
    return phase


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--iterations", type=int, default=40)
    options = parser.parse_args()
    print("own loop: reached lesson", own_loop(options.iterations) + 1, "of", len(LENGTHS))
    print("callback: reached lesson", by_callback(options.iterations) + 1, "of", len(LENGTHS))
