"""Raw stepping of gymnasium's environments with random actions drawn beforehand.

Tasks: a single environment through `gymnasium.make`, `SyncVectorEnv`, and the NumPy-vector CartPole
(`vectorization_mode="vector_entry_point"`). --num-envs defaults to 1, 64 and 1024 in this order.
"""

from __future__ import annotations

import measure

import gymnasium as gym
import numpy as np

DEFAULT_NUM_ENVS = {"single": 1, "sync": 64, "native": 1024}
DEFAULT_STEPS = {"single": 100_000, "sync": 131_072, "native": 8_388_608}
TASKS = ["raw_cartpole_native", "raw_cartpole_sync", "raw_cartpole_single", "raw_pendulum_sync", "raw_pendulum_single"]
ENV_IDS = {"cartpole": "CartPole-v1", "pendulum": "Pendulum-v1"}
NUM_ACTION_BATCHES = 64


def step_single(env_id: str, num_steps: int, seed: int) -> measure.Clock:
    env = gym.make(env_id)
    env.reset(seed=seed)
    env.action_space.seed(seed)
    actions = [env.action_space.sample() for _ in range(NUM_ACTION_BATCHES)]
    clock = measure.Clock()
    for step in range(num_steps):
        _, _, terminated, truncated, _ = env.step(actions[step % NUM_ACTION_BATCHES])
        if terminated or truncated:
            env.reset()
    clock.stop()
    return clock


def step_vector(envs: gym.vector.VectorEnv, num_steps: int, seed: int) -> measure.Clock:
    envs.reset(seed=seed)
    envs.action_space.seed(seed)
    actions = [np.asarray(envs.action_space.sample()) for _ in range(NUM_ACTION_BATCHES)]
    clock = measure.Clock()
    for step in range(num_steps):
        envs.step(actions[step % NUM_ACTION_BATCHES])
    clock.stop()
    return clock


def main() -> None:
    parser = measure.parser(__doc__, TASKS, default_steps=0)
    parser.add_argument("--num-envs", type=int, default=0)
    args = parser.parse_args()
    _, env_name, manner = args.task.split("_")
    num_envs = args.num_envs or DEFAULT_NUM_ENVS[manner]
    num_steps = (args.steps or DEFAULT_STEPS[manner]) // num_envs
    if manner == "single":
        clock = step_single(ENV_IDS[env_name], num_steps, args.seed)
    else:
        mode = {"sync": "sync", "native": "vector_entry_point"}[manner]
        envs = gym.make_vec(ENV_IDS[env_name], num_envs=num_envs, vectorization_mode=mode)
        clock = step_vector(envs, num_steps, args.seed)
    measure.emit(measure.record("gymnasium", args.task, args, num_steps * num_envs, clock, num_envs=num_envs))


if __name__ == "__main__":
    main()
