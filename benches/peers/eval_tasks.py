"""What the policy evaluation scripts share: actor and critic forward, an action sampled, the environments stepped."""

from __future__ import annotations

import argparse

import measure

ENV_IDS = {"eval_cartpole": "CartPole-v1", "eval_pendulum": "Pendulum-v1"}


def parse(description: str, default_steps: int, **choices: list[str]) -> argparse.Namespace:
    """The shared command line; each keyword adds an option with these choices, the first being the default."""
    parser = measure.parser(description, list(ENV_IDS), default_steps)
    parser.add_argument("--hidden", type=int, default=64, help="width of both hidden layers of both networks (tanh)")
    parser.add_argument("--num-envs", type=int, default=64)
    for name, values in choices.items():
        parser.add_argument(f"--{name}", choices=values, default=values[0])
    args = parser.parse_args()
    args.env_id = ENV_IDS[args.task]
    args.task_name = f"{args.task}_{args.hidden}x{args.hidden}"
    return args


def emit(peer: str, args: argparse.Namespace, env_steps: int, clock: measure.Clock) -> None:
    measure.emit(measure.record(peer, args.task_name, args, env_steps, clock, num_envs=args.num_envs))
