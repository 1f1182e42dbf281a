"""Hyperparameters of the PPO tasks, one table for all peers."""

from __future__ import annotations

import argparse
from dataclasses import dataclass

import measure


@dataclass(frozen=True)
class PpoTask:
    """PPO settings; networks are two separate 64x64 tanh MLPs, the optimizer is Adam."""

    env_id: str
    num_envs: int
    num_steps: int  # per environment and iteration
    num_epochs: int
    minibatch_size: int
    gamma: float
    gae_lambda: float
    lr: float
    lr_zero_at: int | None  # environment steps at which the linearly falling lr reaches 0; None: constant
    clip: float = 0.2
    clip_zero_at: int | None = None  # the same for the clip range
    clip_value_loss: bool = False
    entropy_coeff: float = 0.0
    value_coeff: float = 0.5
    max_grad_norm: float = 0.5
    solved_return: float = 475.0
    hidden: tuple[int, int] = (64, 64)
    solve_budget: int = 200_000  # environment steps after which --solve gives up

    @property
    def batch_size(self) -> int:
        return self.num_envs * self.num_steps

    def lr_at(self, env_steps: float) -> float:
        return self.lr * _remaining(env_steps, self.lr_zero_at)

    def clip_at(self, env_steps: float) -> float:
        return self.clip * _remaining(env_steps, self.clip_zero_at)


def _remaining(env_steps: float, zero_at: int | None) -> float:
    return 1.0 if zero_at is None else max(0.0, 1.0 - env_steps / zero_at)


# The common protocol: what every peer and our own engine run side by side.
CARTPOLE = PpoTask("CartPole-v1", 8, 128, 4, 256, gamma=0.98, gae_lambda=0.8, lr=1e-3, lr_zero_at=200_000)
PENDULUM = PpoTask("Pendulum-v1", 8, 256, 4, 256, gamma=0.9, gae_lambda=0.95, lr=1e-3, lr_zero_at=None,
                   solved_return=-200.0, solve_budget=300_000)
TASKS = {"ppo_cartpole": CARTPOLE, "ppo_pendulum": PENDULUM}

# Each library's own tuned settings for CartPole-v1, for sample efficiency.
# SB3: rl-baselines3-zoo, hyperparams/ppo.yml, CartPole-v1, marked "Tuned".
SB3_TUNED_CARTPOLE = PpoTask("CartPole-v1", 8, 32, 20, 256, gamma=0.98, gae_lambda=0.8, lr=1e-3, lr_zero_at=100_000,
                             clip_zero_at=100_000, solve_budget=100_000)
# CleanRL: the defaults of its ppo.py, which are for CartPole-v1.
CLEANRL_TUNED_CARTPOLE = PpoTask("CartPole-v1", 4, 128, 4, 128, gamma=0.99, gae_lambda=0.95, lr=2.5e-4,
                                 lr_zero_at=500_000, clip_value_loss=True, entropy_coeff=0.01, solve_budget=500_000)


def parse(description: str, default_steps: int) -> tuple[argparse.Namespace, PpoTask]:
    """Parses the command line shared by the PPO scripts; with --solve, --steps defaults to the task's budget."""
    parser = measure.parser(description, list(TASKS), default_steps)
    parser.add_argument("--solve", action="store_true",
                        help="stop when the mean return of the last 100 training episodes reaches the task's goal")
    args = parser.parse_args()
    task = TASKS[args.task]
    if args.solve and args.steps == default_steps:
        args.steps = task.solve_budget
    return args, task
