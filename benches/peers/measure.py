"""Command line, clocks and the one JSON line shared by every peer script.

A measured span covers the work only: imports and the building of environments and networks come before it, except
where a script says otherwise. `pairs.py` measures whole processes.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections import deque
from dataclasses import dataclass, field

RETURN_WINDOW = 100


def prepare_libraries(num_threads: int) -> None:
    """Bounds the thread pools of OpenMP, MKL and OpenBLAS and lets OpenBLAS choose its kernels by the processor.

    Must run before numpy or torch is imported: the libraries read the environment when they are loaded.
    """
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ[name] = str(num_threads)
    for name in ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE"):
        os.environ.pop(name, None)


def num_threads_from_argv() -> int:
    """`--threads` as given on the command line, read before the real parser can be built."""
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--threads", type=int, default=1)
    return parser.parse_known_args()[0].threads


prepare_libraries(num_threads_from_argv())


def parser(description: str, tasks: list[str], default_steps: int) -> argparse.ArgumentParser:
    """The arguments that every script takes."""
    result = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    result.add_argument("--task", choices=tasks, default=tasks[0])
    result.add_argument("--steps", type=int, default=default_steps, help="environment steps, over all environments")
    result.add_argument("--seed", type=int, default=1)
    result.add_argument("--threads", type=int, default=1, help="threads of the numerical libraries")
    return result


class Clock:
    """Wall and CPU seconds of this process since the clock was made."""

    def __init__(self) -> None:
        self._wall_start = time.perf_counter()
        self._cpu_start = time.process_time()
        self.wall_s = 0.0
        self.cpu_s = 0.0

    def elapsed(self) -> float:
        return time.perf_counter() - self._wall_start

    def stop(self) -> None:
        self.wall_s = time.perf_counter() - self._wall_start
        self.cpu_s = time.process_time() - self._cpu_start


@dataclass
class SolveWatch:
    """Notes when the mean return of the last 100 training episodes first reaches `solved_return`."""

    solved_return: float
    clock: Clock
    returns: deque = field(default_factory=lambda: deque(maxlen=RETURN_WINDOW))
    solved_at_steps: int | None = None
    solved_at_wall_s: float | None = None

    def add(self, episode_return: float, env_steps: int) -> None:
        self.returns.append(float(episode_return))
        if len(self.returns) == RETURN_WINDOW:
            self.check(self.mean(), env_steps)

    def check(self, mean_return: float, env_steps: int) -> None:
        if self.solved_at_steps is None and mean_return >= self.solved_return:
            self.solved_at_steps = env_steps
            self.solved_at_wall_s = round(self.clock.elapsed(), 3)

    @property
    def solved(self) -> bool:
        return self.solved_at_steps is not None

    def mean(self) -> float | None:
        return sum(self.returns) / len(self.returns) if self.returns else None


def record(peer: str, task: str, args: argparse.Namespace, env_steps: int, clock: Clock, watch: SolveWatch | None = None,
           **extra: object) -> dict:
    """The fields of one measurement."""
    line = {
        "peer": peer,
        "task": task,
        "threads": args.threads,
        "env_steps": env_steps,
        "wall_s": round(clock.wall_s, 4),
        "cpu_s": round(clock.cpu_s, 4),
        "steps_per_s": round(env_steps / clock.wall_s, 1),
        "steps_per_cpu_s": round(env_steps / clock.cpu_s, 1),
        "solved_at_steps": watch.solved_at_steps if watch else None,
        "solved_at_wall_s": watch.solved_at_wall_s if watch else None,
        "seed": args.seed,
    }
    if watch is not None and watch.mean() is not None:
        line["last_mean_return"] = round(watch.mean(), 2)
    return line | extra


def emit(line: dict) -> None:
    print(json.dumps(line))
    sys.stdout.flush()
