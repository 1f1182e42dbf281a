"""Policy evaluation with RLlib (new API stack): `SingleAgentEnvRunner.sample()`, in this process, exploring.

RLlib's exploration forward pass runs the actor only; the critic runs later, in the learner. The other peers run both:
the comparison favours RLlib. `--vectorize vector_entry_point` uses gymnasium's NumPy-vector CartPole where there is one.
"""

from __future__ import annotations

import measure
import eval_tasks
from ppo_rllib import start_ray

import ray
import torch
from ray.rllib.algorithms.ppo import PPOConfig
from ray.rllib.core.rl_module.default_model_config import DefaultModelConfig
from ray.rllib.env.single_agent_env_runner import SingleAgentEnvRunner


def make_runner(args) -> SingleAgentEnvRunner:
    config = (
        PPOConfig()
        .environment(args.env_id)
        .framework("torch")
        .env_runners(num_env_runners=0, num_envs_per_env_runner=args.num_envs, gym_env_vectorize_mode=args.vectorize)
        .rl_module(model_config=DefaultModelConfig(fcnet_hiddens=[args.hidden] * 2, fcnet_activation="tanh",
                                                   vf_share_layers=False))
        .debugging(seed=args.seed, log_level="ERROR")
    )
    return SingleAgentEnvRunner(config=config)


def main() -> None:
    args = eval_tasks.parse(__doc__, default_steps=32_768, vectorize=["sync", "vector_entry_point"])
    start_ray()
    runner = make_runner(args)
    torch.set_num_threads(args.threads)
    runner.sample(num_timesteps=16 * args.num_envs)
    clock = measure.Clock()
    episodes = runner.sample(num_timesteps=args.steps)
    clock.stop()
    eval_tasks.emit("rllib" if args.vectorize == "sync" else "rllib_vector_entry_point", args,
                    sum(len(episode) for episode in episodes), clock)
    ray.shutdown()


if __name__ == "__main__":
    main()
