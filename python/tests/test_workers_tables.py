"""The table that workers write their observations to: the rows of one process, in place, and never those of a killed worker."""

from __future__ import annotations

import os
import random
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
import worker_runs as runs
from worker_runs import build

pytestmark = pytest.mark.usefixtures("no_runners_of_other_tests")


class Pictures(gymnasium.Env):
    """Bytes at random, and episodes of random length."""

    def __init__(self) -> None:
        self.observation_space = gymnasium.spaces.Box(0, 255, (6, 5, 2), np.uint8)
        self.action_space = gymnasium.spaces.Discrete(2)

    def _see(self) -> Any:
        return self.np_random.integers(0, 256, (6, 5, 2), np.uint8)

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        super().reset(seed=seed)
        return self._see(), {}

    def step(self, action: Any) -> Any:
        return self._see(), float(action), bool(self.np_random.random() < 0.1), False, {}


def memory_of(array: Any) -> str:
    """What the memory of an array is called in the table of this process's memory."""
    for line in Path("/proc/self/maps").read_text().splitlines():
        span, *_, name = line.split(None, 5) if len(line.split(None, 5)) == 6 else [*line.split(None, 5), ""]
        first, end = (int(bound, 16) for bound in span.split("-"))
        if first <= array.ctypes.data < end:
            return name
    return ""


def is_shared(array: Any) -> bool:
    return "memfd:skirl" in memory_of(array)


def learned(runners: int, envs: int, iterations: int, look: Any, **sections: Any) -> list[Any]:
    """What `look(train_batch)` returned in each iteration."""
    seen = []

    def keep(train_batch: Any, **kwargs: Any) -> None:
        seen.append(look(train_batch))

    algorithm = build(Pictures, runners, envs, callbacks={"on_learn_on_batch": keep}, **sections)
    for _ in range(iterations):
        algorithm.train()
    algorithm.stop()
    return seen


def copied(batch: Any) -> dict[str, Any]:
    return {name: np.array(column) for name, column in batch.items()}


def same(mine: list[dict[str, Any]], theirs: list[dict[str, Any]]) -> bool:
    columns = [[each[name].tobytes() for name in sorted(each)] for each in mine]
    return columns == [[each[name].tobytes() for name in sorted(each)] for each in theirs]


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("mode", ["truncate_episodes", "complete_episodes"])
def test_learning_happens_in_the_memory_that_workers_wrote_to(mode: str) -> None:
    options = {"env_runners": {"observation_filter": "MeanStdFilter", "batch_mode": mode}}
    here = learned(0, 4, 3, copied, **options)
    for runners in (1, 2, 4):
        shared: list[bool] = []

        def look(batch: Any) -> Any:
            shared.append(is_shared(batch["obs"]))
            return copied(batch)

        there = learned(runners, 4 // runners, 3, look, **options)
        assert same(here, there)
        # Whole episodes are put together from several rollouts.
        assert shared == [mode == "truncate_episodes"] * 3


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_kept_rollouts_stay_as_they_were() -> None:
    here = learned(0, 4, 12, lambda batch: batch["obs"].copy())
    kept = learned(2, 2, 12, lambda batch: batch["obs"])
    assert [is_shared(obs) for obs in kept] == [True] * 8 + [False] * 4
    assert all(np.array_equal(mine, theirs) for mine, theirs in zip(here, kept, strict=True))
    # Memory that workers of another run write to is no part of it.
    learned(2, 2, 2, lambda batch: None)
    assert all(np.array_equal(mine, theirs) for mine, theirs in zip(here, kept, strict=True))


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_workers_have_one_table_that_is_the_owners_alone() -> None:
    algorithm = build(Pictures, 2, 2)
    for _ in range(3):
        algorithm.train()
    for worker in runs.workers():
        files = Path(f"/proc/{worker}/fd").iterdir()
        shared = {os.stat(link).st_ino: os.stat(link) for link in files if "memfd:skirl" in os.readlink(link)}
        assert len(shared) == 2
        assert all(status.st_mode & 0o777 == 0o600 for status in shared.values())
    algorithm.stop()


def test_too_little_memory_for_the_table_is_an_error_at_the_start(tmp_path: Path) -> None:
    text = """
import resource, test_workers_tables, worker_runs, skirl.errors
resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))
try:
    worker_runs.build(test_workers_tables.Pictures, 2, 2, training={"train_batch_size": 6000})
except skirl.errors.EnvError as error:
    print(error)
"""
    out, err = runs.script(text, tmp_path).communicate(timeout=60)
    # One column for both workers, and only that one is too large.
    assert f"need {6000 * 60 * 4} bytes of shared memory" in out, (out, err)


class Marked(gymnasium.Env):
    """Every number of an observation but the first is how many there were so far; the first is the process."""

    WIDTH = 2048

    def __init__(self) -> None:
        self.observation_space = gymnasium.spaces.Box(0.0, 1e9, (self.WIDTH,), np.float32)
        self.action_space = gymnasium.spaces.Discrete(2)
        self.seen = 0

    def _see(self) -> Any:
        self.seen += 1
        observation = np.full(self.WIDTH, self.seen, np.float32)
        observation[0] = os.getpid()
        return observation

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        return self._see(), {}

    def step(self, action: Any) -> Any:
        time.sleep(0.0005)
        return self._see(), 0.0, False, False, {}


def check_marks(batch: Any) -> set[int]:
    """Every environment's rows are those of one process, whole, and one after the other."""
    rows = batch["obs"].reshape(-1, 4, Marked.WIDTH)
    assert (rows[:, :, 0] == rows[0, :, 0]).all(), "rows of two processes"
    assert (rows[:, :, 1:] == rows[:, :, 1:2]).all(), "a row that is written in part"
    assert (np.diff(rows[:, :, 1], axis=0) == 1).all(), "rows of two tries"
    assert rows[0, 0, 0] == rows[0, 1, 0] != rows[0, 2, 0] == rows[0, 3, 0]
    return {int(pid) for pid in rows[0, :, 0]}


def test_rows_of_a_killed_worker_are_never_learned_from() -> None:
    generator, processes, failed = random.Random(3), set[int](), []
    stopped: list[int] = []

    def look(train_batch: Any, **kwargs: Any) -> None:
        # One that was stopped had half a rollout before it, which it would write now if it was not killed for good.
        for victim in filter(runs.alive, stopped):
            os.kill(victim, signal.SIGCONT)
            time.sleep(0.2)
        stopped.clear()
        try:
            processes.update(check_marks(train_batch))
        except AssertionError as error:
            failed.append(error)

    tolerance = {"fault_tolerance": {"num_consecutive_env_runner_failures_tolerance": 50}}
    options = {"env_runners": {"sample_timeout_s": 0.3}, "callbacks": {"on_learn_on_batch": look}, **tolerance}
    algorithm = build(Marked, 2, 2, training={"train_batch_size": 256, "num_epochs": 1}, **options)
    for iteration in range(6):
        victim = generator.choice(runs.workers())
        kind = signal.SIGSTOP if iteration % 2 else signal.SIGKILL
        stopped += [victim] * (kind == signal.SIGSTOP)
        timer = threading.Timer(generator.uniform(0.0, 0.04), os.kill, (victim, kind))
        timer.start()
        algorithm.train()
        timer.join()
    restarts = algorithm.train()["fault_tolerance"]["num_remote_worker_restarts"]
    algorithm.stop()
    assert not failed, failed
    assert restarts >= 3 and len(processes) >= restarts


class Forks(Pictures):
    """Forks once, and tells what of its memory the child has."""

    def __init__(self, report: str) -> None:
        super().__init__()
        self.report, self.steps = Path(report), 0

    def step(self, action: Any) -> Any:
        self.steps += 1
        if self.steps == 3:
            child = os.fork()
            if child == 0:
                self.report.write_text(Path("/proc/self/maps").read_text())
                os._exit(0)
            os.waitpid(child, 0)
        return super().step(action)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_what_an_environment_forks_cannot_reach_the_table(tmp_path: Path) -> None:
    algorithm = build(Forks, 1, 1, {"report": str(tmp_path / "report")})
    algorithm.train()
    (worker,) = runs.workers()

    def tables(maps: str) -> list[int]:
        spans = [line.split()[0].split("-") for line in maps.splitlines() if "memfd:skirl" in line]
        return [int(end, 16) - int(first, 16) for first, end in spans]

    rows = 128 * 60 * 4
    assert max(tables(Path(f"/proc/{worker}/maps").read_text())) >= rows
    assert max(tables((tmp_path / "report").read_text())) < rows
    algorithm.stop()


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_runner_of_evaluation_gives_arrays_of_the_shared_table() -> None:
    shared, seen = [], []

    def own(algorithm: Any, env_runner: Any) -> Any:
        batches = [env_runner.local_env_runner.sample(num_timesteps=steps) for steps in (64, 160, 32)]
        shared.append([is_shared(batch["obs"]) for batch in batches])
        seen.append([batch["obs"].tobytes() for batch in batches])
        return {"batches": len(batches)}, 1, 1

    for number in ({"evaluation_num_envs": 4}, {"evaluation_num_env_runners": 2}):
        options = {"evaluation_interval": 1, "custom_evaluation_function": own, **number}
        algorithm = build(Pictures, 0, 2, evaluation=options)
        algorithm.train()
        algorithm.stop()
    assert shared == [[False] * 3, [True] * 3]
    assert seen[0] == seen[1]
