"""Evaluation by a function of one's own: greedy and exploring, side by side.

python examples/python/custom_evaluation.py [--iterations 6]
"""

import argparse

import gymnasium as gym

from skirl.algorithms.ppo import PPOConfig


def play(algorithm, explore, episodes=5):
    """Mean length of some episodes; `explore` is chosen per call, whatever the configuration says."""
    env, steps = gym.make("CartPole-v1"), 0
    for episode in range(episodes):
        obs, _ = env.reset(seed=episode)
        ended = False
        while not ended:
            action = algorithm.compute_single_action(obs, explore=explore)
            obs, _, terminated, truncated, _ = env.step(action)
            steps, ended = steps + 1, terminated or truncated
    return steps / episodes


def greedy_and_exploring(algorithm, env_runner_group):
    return {"greedy": play(algorithm, explore=False), "exploring": play(algorithm, explore=True)}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--iterations", type=int, default=6)
    config = (
        PPOConfig()
        .environment("CartPole-v1")
        .env_runners(num_envs_per_env_runner=8)
        .training(lr=1e-3, train_batch_size=2048, minibatch_size=256, num_epochs=10)
        .evaluation(evaluation_interval=2, custom_evaluation_function=greedy_and_exploring)
        .debugging(seed=1)
    )
    with config.build_algo() as algo:
        for _ in range(parser.parse_args().iterations):
            result = algo.train()
            if "evaluation" in result:
                print({name: result["evaluation"][name] for name in ("greedy", "exploring")})
