"""Metrics of one's own: measured in every episode, reported as mean, least and largest, and plotted.

python examples/python/custom_metrics.py [--iterations 10] [--output pole_angle.svg]
"""

import argparse
import subprocess
import sys
import tempfile

from skirl import tune
from skirl.algorithms.ppo import PPOConfig
from skirl.callbacks.callbacks import DefaultCallbacks


class PoleAngle(DefaultCallbacks):
    """How far the pole leans, in radians."""

    def on_episode_start(self, *, episode, **kwargs):
        episode.user_data["angles"] = []

    def on_episode_step(self, *, episode, **kwargs):
        episode.user_data["angles"].append(abs(float(episode.get_observations(-1)[2])))

    def on_episode_end(self, *, episode, **kwargs):
        angles = episode.user_data["angles"]
        episode.custom_metrics["pole_angle"] = sum(angles) / len(angles)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--iterations", type=int, default=10)
    parser.add_argument("--output", default="pole_angle.svg")
    options = parser.parse_args()
    config = (
        PPOConfig()
        .environment("CartPole-v1")
        .env_runners(num_envs_per_env_runner=8)
        .training(lr=5e-4, train_batch_size=1024, minibatch_size=128, num_epochs=10)
        .callbacks(PoleAngle)
        .debugging(seed=1)
    )
    with tempfile.TemporaryDirectory() as storage_path:
        run_config = tune.RunConfig(
            name="pole", stop={"training_iteration": options.iterations}, storage_path=storage_path
        )
        results = tune.Tuner("PPO", param_space=config, run_config=run_config).fit()
        metrics = results[0].metrics["env_runners"]["custom_metrics"]
        print({name: round(value, 4) for name, value in metrics.items()})
        metric = "env_runners/custom_metrics/pole_angle_mean"
        plot = ["plot", results[0].path, "--metric", metric, "--output", options.output]
        subprocess.run([sys.executable, "-m", "skirl", *plot], check=True)
