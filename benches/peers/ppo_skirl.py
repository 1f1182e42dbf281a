"""PPO with skirl's Python package under the protocol of ppo_tasks.py. The clock covers the calls of `train`.

    python ppo_skirl.py --task ppo_cartpole                 the native environment (as `cargo bench --bench engine -- ppo`)
    python ppo_skirl.py --task ppo_cartpole --python-env    Gymnasium's, written in Python, in the process
    python ppo_skirl.py --task ppo_pendulum --python-env --workers 2
"""

from __future__ import annotations

import argparse
import json
import statistics
import time

import ppo_tasks
from skirl.algorithms.ppo import PPOConfig

REPEATS = 3


def config_of(task: ppo_tasks.PpoTask, options: argparse.Namespace) -> PPOConfig:
    env = f"gymnasium:{task.env_id}" if options.python_env else task.env_id
    workers = options.workers
    return (
        PPOConfig()
        .environment(env)
        .env_runners(num_env_runners=workers, num_envs_per_env_runner=task.num_envs // max(1, workers))
        .training(
            lr=1e-3, gamma=task.gamma, lambda_=task.gae_lambda,
            train_batch_size=task.num_envs * task.num_steps, minibatch_size=task.minibatch_size,
            num_epochs=task.num_epochs, clip_param=0.2, use_kl_loss=False, vf_clip_param=None, grad_clip=0.5,
            standardize_advantages="minibatch",
        )
        .rl_module(fcnet_hiddens=list(task.hidden), fcnet_kernel_initializer="orthogonal")
        .resources(num_threads=options.threads)
        .debugging(seed=options.seed)
    )


def rate(config: PPOConfig, steps: int) -> float:
    with config.build_algo() as algo:
        started, done = time.perf_counter(), 0
        while done < steps:
            done = algo.train()["num_env_steps_sampled_lifetime"]
        return done / (time.perf_counter() - started)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--task", choices=["ppo_cartpole", "ppo_pendulum"], default="ppo_cartpole")
    parser.add_argument("--python-env", action="store_true")
    parser.add_argument("--workers", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--steps", type=int, default=300_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    config = config_of(ppo_tasks.TASKS[options.task], options)
    rates = [rate(config, options.steps) for _ in range(REPEATS)]
    print(json.dumps({
        "peer": "skirl_python", "task": options.task, "python_env": options.python_env, "workers": options.workers,
        "threads": options.threads, "steps_per_s": statistics.median(rates), "max": max(rates),
    }))


if __name__ == "__main__":
    main()
