"""Gymnasium's LunarLander (Box2D) and HalfCheetah (MuJoCo), with the settings that ship beside this file.

python examples/python/gymnasium_tuned.py lunar_lander [--iterations N] [--seed 1]
python examples/python/gymnasium_tuned.py half_cheetah
"""

import argparse
from pathlib import Path

from skirl.algorithms.ppo import PPOConfig

CONFIGS = Path(__file__).parent / "configs"

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", choices=sorted(path.stem for path in CONFIGS.glob("*.toml")))
    parser.add_argument("--iterations", type=int, default=None, help="fewer than the file's stop criterion")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    config = PPOConfig.from_file(CONFIGS / f"{options.name}.toml").debugging(seed=options.seed)
    stop = config.to_dict()["stop"]
    max_steps, goal = stop["num_env_steps_sampled_lifetime"], stop.get("env_runners/episode_return_mean", float("inf"))
    with config.build_algo() as algo:
        steps = iteration = 0
        episode_return = -float("inf")
        while steps < max_steps and episode_return < goal and iteration != options.iterations:
            result = algo.train()
            iteration, steps = result["training_iteration"], result["num_env_steps_sampled_lifetime"]
            episode_return = result["env_runners"].get("episode_return_mean", episode_return)
            print(f"iteration {iteration}: {steps} steps, return {episode_return:.1f}")
        greedy = algo.evaluate()["env_runners"]["episode_return_mean"]
        print(f"greedy return over 10 episodes: {greedy:.1f}")
