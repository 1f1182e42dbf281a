"""Policy evaluation with Stable-Baselines3: its own collection of rollouts, without any training.

A short call of `PPO.collect_rollouts` is the warm-up, the second call is measured.
"""

from __future__ import annotations

import measure
import eval_tasks

import torch
from stable_baselines3 import PPO
from stable_baselines3.common.env_util import make_vec_env


def make_model(args) -> PPO:
    return PPO(
        "MlpPolicy",
        make_vec_env(args.env_id, n_envs=args.num_envs, seed=args.seed),
        n_steps=max(2, args.steps // args.num_envs),
        policy_kwargs={"net_arch": {"pi": [args.hidden] * 2, "vf": [args.hidden] * 2}, "activation_fn": torch.nn.Tanh},
        seed=args.seed,
        device="cpu",
    )


def main() -> None:
    args = eval_tasks.parse(__doc__, default_steps=65_536)
    torch.set_num_threads(args.threads)
    model = make_model(args)
    _, callback = model._setup_learn(args.steps)
    model.collect_rollouts(model.env, callback, model.rollout_buffer, n_rollout_steps=32)
    clock = measure.Clock()
    model.collect_rollouts(model.env, callback, model.rollout_buffer, n_rollout_steps=model.n_steps)
    clock.stop()
    eval_tasks.emit("sb3", args, model.n_steps * args.num_envs, clock)


if __name__ == "__main__":
    main()
