"""PPO with Stable-Baselines3 under the protocol of ppo_tasks.py. The clock covers `PPO.learn`."""

from __future__ import annotations

import measure
import ppo_tasks
from ppo_tasks import PpoTask

import torch
from stable_baselines3 import PPO
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.env_util import make_vec_env


class WatchReturns(BaseCallback):
    """Feeds finished episodes to the watch; ends the training at the goal if asked to."""

    def __init__(self, watch: measure.SolveWatch, stop_when_solved: bool) -> None:
        super().__init__()
        self.watch = watch
        self.stop_when_solved = stop_when_solved

    def _on_step(self) -> bool:
        for info in self.locals["infos"]:
            if "episode" in info:
                self.watch.add(info["episode"]["r"], self.num_timesteps)
        return not (self.stop_when_solved and self.watch.solved)


def make_model(task: PpoTask, seed: int, env_steps: int) -> PPO:
    """SB3 hands its schedules the remaining share of the `env_steps` of this run."""
    return PPO(
        "MlpPolicy",
        make_vec_env(task.env_id, n_envs=task.num_envs, seed=seed),
        n_steps=task.num_steps,
        batch_size=task.minibatch_size,
        n_epochs=task.num_epochs,
        gamma=task.gamma,
        gae_lambda=task.gae_lambda,
        learning_rate=lambda remaining: task.lr_at((1.0 - remaining) * env_steps),
        clip_range=lambda remaining: task.clip_at((1.0 - remaining) * env_steps),
        clip_range_vf=task.clip if task.clip_value_loss else None,
        ent_coef=task.entropy_coeff,
        vf_coef=task.value_coeff,
        max_grad_norm=task.max_grad_norm,
        policy_kwargs={"net_arch": {"pi": list(task.hidden), "vf": list(task.hidden)}, "activation_fn": torch.nn.Tanh},
        seed=seed,
        device="cpu",
    )


def train(task: PpoTask, seed: int, env_steps: int,
          stop_when_solved: bool) -> tuple[int, measure.Clock, measure.SolveWatch]:
    model = make_model(task, seed, env_steps)
    clock = measure.Clock()
    watch = measure.SolveWatch(task.solved_return, clock)
    model.learn(env_steps, callback=WatchReturns(watch, stop_when_solved))
    clock.stop()
    return model.num_timesteps, clock, watch


def main() -> None:
    args, task = ppo_tasks.parse(__doc__, default_steps=40_960)
    torch.set_num_threads(args.threads)
    env_steps, clock, watch = train(task, args.seed, args.steps, args.solve)
    measure.emit(measure.record("sb3", args.task, args, env_steps, clock, watch))


if __name__ == "__main__":
    main()
