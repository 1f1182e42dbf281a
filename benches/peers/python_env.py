"""What stepping Python's own environments costs: our bridge beside a bare loop that calls `env.step`, and whole PPO.

Tasks:

- `loop_cartpole`, `loop_pendulum`: the bare loop: 64 environments of `gymnasium.make` (without its checker, as in the bridge), actions drawn beforehand;
- `sample_cartpole`, `sample_pendulum`: skirl collecting on `gymnasium:ID`, 64 environments, policy and value function 64x64,
  actions drawn, log-probabilities and values kept;
- `ppo_cartpole`, `ppo_pendulum`: whole PPO on `gymnasium:ID` under the protocol of ppo_tasks.py, beside ppo_sb3.py.

`--rounds N` runs the loop and the sampling in turn and prints the median of their ratios as well.
"""

from __future__ import annotations

import argparse
import json
import statistics
from typing import Any

import measure
import ppo_tasks

import gymnasium as gym

from skirl import _native

ENV_IDS = {"cartpole": "CartPole-v1", "pendulum": "Pendulum-v1"}
TASKS = [f"{what}_{name}" for what in ("loop", "sample", "ppo") for name in ENV_IDS]
NUM_ENVS = 64
STEPS_PER_ENV = 128


def bare_loop(env_id: str, num_steps: int, seed: int, num_envs: int = NUM_ENVS) -> tuple[int, measure.Clock]:
    # As the bridge makes them, so that both go through the same wrappers.
    envs = [gym.make(env_id, disable_env_checker=True) for _ in range(num_envs)]
    for index, env in enumerate(envs):
        env.reset(seed=seed + index)
    envs[0].action_space.seed(seed)
    rounds = max(1, num_steps // num_envs)
    actions = [[envs[0].action_space.sample() for _ in envs] for _ in range(64)]
    clock = measure.Clock()
    for round_ in range(rounds):
        for env, action in zip(envs, actions[round_ % 64]):
            _, _, terminated, truncated, _ = env.step(action)
            if terminated or truncated:
                env.reset()
    clock.stop()
    return rounds * num_envs, clock


def algorithm(env_id: str, seed: int, env_runners: dict[str, Any], training: dict[str, Any]) -> Any:
    options = {
        "environment": {"env": f"gymnasium:{env_id}"},
        "env_runners": env_runners,
        "debugging": {"seed": seed},
        "training": training,
        "rl_module": {"fcnet_hiddens": [64, 64], "fcnet_activation": "tanh", "vf_share_layers": False},
    }
    config, problems = _native.NativeConfig("ppo").with_options(None, options)
    if problems:
        raise SystemExit(f"{problems}")
    return _native.NativeAlgorithm.build(config)


def sample(env_id: str, num_steps: int, seed: int, num_envs: int = NUM_ENVS) -> tuple[int, measure.Clock]:
    """Collecting alone: the stage's own clock, in iterations that learn next to nothing."""
    batch = num_envs * STEPS_PER_ENV
    training = {"train_batch_size": batch, "minibatch_size": batch, "num_epochs": 1, "lr": 0.0}
    algo = algorithm(env_id, seed, {"num_env_runners": 0, "num_envs_per_env_runner": num_envs}, training)
    algo.train()
    clock = measure.Clock()
    clock.wall_s = clock.cpu_s = 0.0
    steps = 0
    while steps < num_steps:
        clock.wall_s += algo.train()["timers"]["env_runner_sampling_timer"]
        steps += batch
    clock.cpu_s = clock.wall_s  # One thread: the stage has no clock for processor time.
    algo.stop()
    return steps, clock


def ppo(task: ppo_tasks.PpoTask, num_steps: int, seed: int) -> tuple[int, measure.Clock]:
    lr: Any = task.lr if task.lr_zero_at is None else [[0, task.lr], [task.lr_zero_at, 0.0]]
    training = {
        "train_batch_size": task.batch_size,
        "minibatch_size": task.minibatch_size,
        "num_epochs": task.num_epochs,
        "gamma": task.gamma,
        "lambda": task.gae_lambda,
        "lr": lr,
        "clip_param": task.clip,
        "vf_loss_coeff": task.value_coeff,
        "entropy_coeff": task.entropy_coeff,
        "grad_clip": task.max_grad_norm,
        "use_kl_loss": False,
    }
    algo = algorithm(task.env_id, seed, {"num_env_runners": 0, "num_envs_per_env_runner": task.num_envs}, training)
    clock = measure.Clock()
    steps = 0
    while steps < num_steps:
        algo.train()
        steps += task.batch_size
    clock.stop()
    algo.stop()
    return steps, clock


def run(task: str, steps: int, seed: int) -> tuple[int, measure.Clock]:
    what, name = task.split("_")
    if what == "ppo":
        return ppo(ppo_tasks.TASKS[task], steps, seed)
    return (bare_loop if what == "loop" else sample)(ENV_IDS[name], steps, seed)


def compare(name: str, rounds: int, steps: int, seed: int) -> None:
    """The bare loop and the sampling in turn."""
    ratios, rates = [], {"loop": [], "sample": []}
    for round_ in range(rounds):
        rate = {}
        for what in ("loop", "sample"):
            done, clock = run(f"{what}_{name}", steps, seed + round_)
            rate[what] = done / clock.wall_s
            rates[what].append(rate[what])
        ratios.append(rate["sample"] / rate["loop"])
    medians = {what: round(statistics.median(each)) for what, each in rates.items()}
    ratio = {"ratio": round(statistics.median(ratios), 3), "ratios": [round(each, 3) for each in ratios]}
    print(json.dumps({"task": f"compare_{name}", **medians, **ratio}))


def arguments() -> argparse.Namespace:
    parser = measure.parser(__doc__, TASKS, default_steps=65_536)
    parser.add_argument("--rounds", type=int, default=0)
    return parser.parse_args()


def main() -> None:
    args = arguments()
    if args.rounds:
        return compare(args.task.split("_")[1], args.rounds, args.steps, args.seed)
    steps, clock = run(args.task, args.steps, args.seed)
    measure.emit(measure.record("skirl", args.task, args, steps, clock))


if __name__ == "__main__":
    main()
