"""RLlib's sixty-minute tour on skirl: configure, train, save, evaluate, tune, deploy. Takes seconds.

python examples/python/sixty_minutes.py [--iterations 4] [--stop-return -1100]
"""

import argparse
import tempfile
from pathlib import Path
from pprint import pprint

import gymnasium as gym
import numpy as np

from skirl import tune
from skirl.algorithms.ppo import PPOConfig
from skirl.core.rl_module import RLModule


def train(iterations: int) -> None:
    """Configure and build the algorithm, train it, save it."""
    config = (
        PPOConfig()
        .environment("Pendulum-v1")
        .env_runners(num_env_runners=2)
        .training(lr=0.0002, train_batch_size_per_learner=2000, num_epochs=10)
    )
    ppo = config.build_algo()
    for _ in range(iterations):
        pprint(ppo.train())
    print("saved in", ppo.save_to_path())

    # Evaluation in environments of its own, after every iteration.
    config.evaluation(
        evaluation_interval=1,
        evaluation_num_env_runners=2,
        evaluation_duration_unit="episodes",
        evaluation_duration=10,
    )
    ppo_with_evaluation = config.build_algo()
    for _ in range(iterations):
        result = ppo_with_evaluation.train()
        print("evaluation:", result["evaluation"]["env_runners"]["episode_return_mean"])


def search(stop_return: float, max_iterations: int, storage_path: str) -> tune.Result:
    """A small hyperparameter search: three trials, as many at once as there are cores."""
    config = (
        PPOConfig()
        .environment("Pendulum-v1")
        .env_runners(num_envs_per_env_runner=4)
        .training(lr=tune.grid_search([0.001, 0.0005, 0.0001]), gamma=0.95, lambda_=0.9)
    )
    tuner = tune.Tuner(
        config.algo_class,
        param_space=config,
        run_config=tune.RunConfig(
            stop={"env_runners/episode_return_mean": stop_return, "training_iteration": max_iterations},
            checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=True),
            storage_path=storage_path,
        ),
    )
    results = tuner.fit()
    return results.get_best_result(metric="env_runners/episode_return_mean", mode="max")


def deploy(checkpoint: str) -> float:
    """Only the network, from the checkpoint, in an environment of Gymnasium's."""
    rl_module = RLModule.from_checkpoint(
        Path(checkpoint) / "learner_group" / "learner" / "rl_module" / "default_policy"
    )
    env = gym.make("Pendulum-v1")
    episode_return, done = 0.0, False
    obs, _ = env.reset(seed=0)
    while not done:
        outputs = rl_module.forward_inference({"obs": obs[np.newaxis]})
        # A Gaussian's parameters: the mean, then the logarithm of the standard deviation. Actions are normalised to [-1, 1].
        mean = outputs["action_dist_inputs"][0][:1]
        action = np.clip(mean * env.action_space.high, env.action_space.low, env.action_space.high)
        obs, reward, terminated, truncated, _ = env.step(action)
        episode_return += float(reward)
        done = terminated or truncated
    return episode_return


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--iterations", type=int, default=4)
    parser.add_argument("--stop-return", type=float, default=-1100.0)
    parser.add_argument("--max-iterations", type=int, default=60)
    options = parser.parse_args()
    train(options.iterations)
    with tempfile.TemporaryDirectory() as storage_path:
        best = search(options.stop_return, options.max_iterations, storage_path)
        print("best learning rate:", best.config["lr"])
        print("episode return of the best, alone:", deploy(best.checkpoint.path))


main()
