"""PPO with RLlib (new API stack) under the protocol of ppo_tasks.py. The clock covers the calls of `Algorithm.train`.

EnvRunner and learner are local (`num_env_runners=0`, `num_learners=0`): the fastest set-up for small networks, and
the only one whose CPU time this process sees. KL penalty and value clipping are off, as the protocol has none.
Returns come from a callback: in this set-up RLlib's own `episode_return_mean` follows the episodes that ended in the
newest iteration, and reaches 475 long before the mean of the last 100 episodes does.
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
CHUNK_RETURNS: dict[str, float] = {}  # of episodes still running, by id
FINISHED_RETURNS: list[float] = []  # of episodes that ended in the current iteration


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
        .callbacks(on_sample_end=note_chunks)
        .debugging(seed=seed, log_level="ERROR")
    )


def note_chunks(*, samples, **_: object) -> None:
    """Callback of the EnvRunner, which lives in this process: adds up the chunks that RLlib cuts episodes into."""
    for chunk in samples:
        episode_return = CHUNK_RETURNS.pop(chunk.id_, 0.0) + chunk.get_return()
        if chunk.is_done:
            FINISHED_RETURNS.append(episode_return)
        else:
            CHUNK_RETURNS[chunk.id_] = episode_return


def train(algorithm: PPO, task: PpoTask, env_steps: int,
          stop_when_solved: bool) -> tuple[int, measure.Clock, measure.SolveWatch]:
    clock = measure.Clock()
    watch = measure.SolveWatch(task.solved_return, clock)
    done_steps = 0
    while done_steps < env_steps and not (stop_when_solved and watch.solved):
        result = algorithm.train()
        done_steps = int(result["env_runners"]["num_env_steps_sampled_lifetime"])
        for episode_return in FINISHED_RETURNS:
            watch.add(episode_return, done_steps)
        FINISHED_RETURNS.clear()
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
