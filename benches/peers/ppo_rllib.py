"""PPO with RLlib (new API stack) under the protocol of ppo_tasks.py. The clock covers the calls of `Algorithm.train`.

EnvRunner and learner are local (`num_env_runners=0`, `num_learners=0`): the fastest set-up for small networks, and
the only one whose CPU time this process sees. KL penalty and value clipping are off, as the protocol has none.
RLlib steps one observation more per fragment than it trains on, and counts only trained steps.
"""

from __future__ import annotations

import logging
import os
import warnings

os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
os.environ["RAY_DEDUP_LOGS"] = "0"

import measure
import ppo_tasks
from ppo_tasks import PpoTask

import ray
import torch
from ray.rllib.algorithms.ppo import PPO, PPOConfig
from ray.rllib.core.rl_module.default_model_config import DefaultModelConfig

NO_VALUE_CLIP = 1e9


def start_ray() -> None:
    """A private Ray on the loopback device, without dashboard or usage reports."""
    warnings.filterwarnings("ignore")
    logging.disable(logging.WARNING)
    ray.init(num_cpus=1, include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR,
             _node_ip_address="127.0.0.1")


def config(task: PpoTask, seed: int) -> PPOConfig:
    lr = task.lr if task.lr_zero_at is None else [[0, task.lr], [task.lr_zero_at, 0.0]]
    return (
        PPOConfig()
        .environment(task.env_id)
        .framework("torch")
        .env_runners(num_env_runners=0, num_envs_per_env_runner=task.num_envs, rollout_fragment_length=task.num_steps)
        .learners(num_learners=0, num_gpus_per_learner=0)
        .training(
            train_batch_size_per_learner=task.batch_size,
            minibatch_size=task.minibatch_size,
            num_epochs=task.num_epochs,
            lr=lr,
            gamma=task.gamma,
            lambda_=task.gae_lambda,
            clip_param=task.clip,
            vf_clip_param=NO_VALUE_CLIP,
            vf_loss_coeff=task.value_coeff,
            entropy_coeff=task.entropy_coeff,
            use_kl_loss=False,
            grad_clip=task.max_grad_norm,
            grad_clip_by="global_norm",
        )
        .rl_module(model_config=DefaultModelConfig(fcnet_hiddens=list(task.hidden), fcnet_activation="tanh",
                                                   vf_share_layers=False))
        .reporting(metrics_num_episodes_for_smoothing=measure.RETURN_WINDOW)
        .debugging(seed=seed, log_level="ERROR")
    )


def note_returns(result: dict, watch: measure.SolveWatch, env_steps: int) -> None:
    """RLlib reports the mean over its own window of episodes, once per iteration."""
    runners = result["env_runners"]
    mean_return = runners.get("episode_return_mean")
    if mean_return is None:
        return
    watch.returns.append(mean_return)
    if runners.get("num_episodes_lifetime", 0) >= measure.RETURN_WINDOW:
        watch.check(mean_return, env_steps)


def train(algorithm: PPO, task: PpoTask, env_steps: int, stop_when_solved: bool) -> tuple[int, measure.Clock, measure.SolveWatch]:
    clock = measure.Clock()
    watch = measure.SolveWatch(task.solved_return, clock)
    watch.returns = type(watch.returns)(maxlen=1)
    done_steps = 0
    while done_steps < env_steps and not (stop_when_solved and watch.solved):
        result = algorithm.train()
        done_steps = int(result["env_runners"]["num_env_steps_sampled_lifetime"])
        note_returns(result, watch, done_steps)
    clock.stop()
    return done_steps, clock, watch


def main() -> None:
    args, task = ppo_tasks.parse(__doc__, default_steps=20_480)
    torch.set_num_threads(args.threads)
    start_ray()
    algorithm = config(task, args.seed).build_algo()
    torch.set_num_threads(args.threads)  # building the algorithm may have changed it
    env_steps, clock, watch = train(algorithm, task, args.steps, args.solve)
    measure.emit(measure.record("rllib", args.task, args, env_steps, clock, watch))
    algorithm.stop()
    ray.shutdown()


if __name__ == "__main__":
    main()
