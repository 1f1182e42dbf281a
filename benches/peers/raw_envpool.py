"""Raw stepping of EnvPool's environments, synchronous, with random actions drawn beforehand."""

from __future__ import annotations

import measure

import envpool
import numpy as np

ENV_IDS = {"raw_cartpole": "CartPole-v1", "raw_pendulum": "Pendulum-v1"}
NUM_ACTION_BATCHES = 64


def draw_actions(task: str, num_envs: int, seed: int) -> list[np.ndarray]:
    random = np.random.default_rng(seed)
    if task == "raw_cartpole":
        return [random.integers(0, 2, num_envs).astype(np.int32) for _ in range(NUM_ACTION_BATCHES)]
    return [random.uniform(-2.0, 2.0, (num_envs, 1)).astype(np.float32) for _ in range(NUM_ACTION_BATCHES)]


def main() -> None:
    parser = measure.parser(__doc__, list(ENV_IDS), default_steps=2_097_152)
    parser.add_argument("--num-envs", type=int, default=1024)
    args = parser.parse_args()
    envs = envpool.make_gymnasium(ENV_IDS[args.task], num_envs=args.num_envs, num_threads=args.threads, seed=args.seed)
    envs.reset()
    actions = draw_actions(args.task, args.num_envs, args.seed)
    num_steps = args.steps // args.num_envs
    clock = measure.Clock()
    for step in range(num_steps):
        envs.step(actions[step % NUM_ACTION_BATCHES])
    clock.stop()
    measure.emit(measure.record("envpool", args.task, args, num_steps * args.num_envs, clock, num_envs=args.num_envs))


if __name__ == "__main__":
    main()
