"""Environment runners that die, hang or raise: the run goes on, or ends with what failed first."""

from __future__ import annotations

import os
import random
import re
import signal
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import worker_runs as runs
from skirl.callbacks.callbacks import RLlibCallback
from skirl.errors import EnvError
from skirl.testing import FaultyEnv
from worker_runs import Corridor, build, config

pytestmark = pytest.mark.usefixtures("no_runners_of_other_tests")


def faulty(tmp_path: Path, faults: dict[str, Any], **sections: Any) -> Any:
    return build(FaultyEnv, 2, 2, {"counter_file": str(tmp_path / "faults"), **faults}, **sections)


def train(algorithm: Any, iterations: int) -> dict[str, Any]:
    for _ in range(iterations):
        result = algorithm.train()
        assert result["env_runners"]["num_env_steps_sampled"] == 128
        assert result["learners"]["default_policy"]["num_module_steps_trained"] == 256
    algorithm.stop()
    return result  # type: ignore[no-any-return]


def test_a_killed_runner_is_named_and_replaced(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    started = time.monotonic()
    result = train(faulty(tmp_path, {"kill_at": 20, "only_worker": 2}), 4)
    assert time.monotonic() - started < 10
    assert result["fault_tolerance"]["num_healthy_workers"] == 2
    assert result["fault_tolerance"]["num_remote_worker_restarts"] == 1
    # 19 steps of both environments; the first had made the twentieth one when the second … was killed with it.
    assert result["env_runners"]["num_env_steps_dropped_lifetime"] == 38
    error = capfd.readouterr().err
    assert re.search(r"\[env_runner 2\] \(pid \d+\) was killed by signal 9 \(SIGKILL\).*it is replaced, and the run goes on", error)


def test_callbacks_are_told_which_runners_were_replaced(tmp_path: Path) -> None:
    told: list[tuple[int, list[int], bool]] = []

    class Watches(RLlibCallback):
        def on_env_runners_recreated(
            self, *, algorithm: Any, env_runner_group: Any, env_runner_indices: list[int], is_evaluation: bool, **kwargs: Any
        ) -> None:
            assert env_runner_group.foreach_env_runner(lambda runner: runner)
            told.append((algorithm.iteration, env_runner_indices, is_evaluation))

    faults = {"counter_file": str(tmp_path / "faults"), "kill_at": 20, "only_worker": 2}
    train(config(FaultyEnv, 2, 2, faults).callbacks(Watches).build_algo(), 4)
    assert told == [(0, [2], False)]


def test_a_runner_that_exits_is_replaced(tmp_path: Path) -> None:
    result = train(faulty(tmp_path, {"exit_at": 40, "only_env": 1, "times": 2}), 3)
    assert result["fault_tolerance"]["num_remote_worker_restarts"] == 2


@pytest.mark.parametrize("keeps_lock", [False, True])
def test_a_runner_that_hangs_is_killed_with_a_dump_of_its_stack(
    keeps_lock: bool, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    faults = {"hang_at": 20, "only_worker": 1, "only_env": 0, "hang_keeps_gil": keeps_lock}
    result = train(faulty(tmp_path, faults, env_runners={"sample_timeout_s": 0.5}), 3)
    assert result["fault_tolerance"]["num_remote_worker_restarts"] == 1
    error = capfd.readouterr().err
    assert re.search(r"no step and no reset for 0\.5 s and was killed \(.*\); it is replaced, and the run goes on\nIt hangs here:\n", error)
    assert "in _hang" in error and "faulty_env.py" in error


def test_the_number_of_failures_stands_before_the_stack(tmp_path: Path) -> None:
    tolerant = {"num_consecutive_env_runner_failures_tolerance": 1}
    faults = {"hang_at": 1, "times": 2, "only_worker": 1}
    algorithm = faulty(tmp_path, faults, env_runners={"sample_timeout_s": 0.5}, fault_tolerance=tolerant)
    with pytest.raises(EnvError, match=r"was killed \(env_runners\.sample_timeout_s\) \(and failed again 1 times.*\)\nIt hangs here:\n"):
        algorithm.train()
    algorithm.stop()


def test_a_constructor_that_hangs_is_called_so() -> None:
    with pytest.raises(EnvError, match=r"did not come back from the constructors of its environments for 3 s and was killed"):
        build(runs.NeverBuilt, 1, 1, fault_tolerance={"env_runner_restore_timeout_s": 3.0})


def test_slow_steps_are_no_hang(tmp_path: Path) -> None:
    result = train(faulty(tmp_path, {"sleep": 0.02}, env_runners={"sample_timeout_s": 0.4}), 1)
    assert result["fault_tolerance"]["num_remote_worker_restarts"] == 0


def test_a_runner_that_raises_once_is_replaced(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    result = train(faulty(tmp_path, {"raise_at": 20, "only_worker": 1, "only_env": 1}), 3)
    assert result["fault_tolerance"]["num_remote_worker_restarts"] == 1
    assert "PlantedFault: fault planted in step 20" in capfd.readouterr().err


def test_environments_are_reset_where_that_is_asked_for(tmp_path: Path) -> None:
    keep = {"fault_tolerance": {"restart_failed_sub_environments": True}}
    result = train(faulty(tmp_path, {"raise_at": 20, "times": 3}, **keep), 3)
    assert result["fault_tolerance"]["num_remote_worker_restarts"] == 0
    assert result["fault_tolerance"]["num_sub_environment_restarts"] == 3


def test_an_error_that_repeats_ends_the_run_with_the_first_one(tmp_path: Path) -> None:
    algorithm = faulty(tmp_path, {"raise_at": 20, "times": None})
    with pytest.raises(EnvError) as caught:
        algorithm.train()
    text = str(caught.value)
    for part in (
        "env_runner 1: environment 0 failed at its step 20",
        "Traceback (most recent call last)",
        "PlantedFault: fault planted in step 20",
        "seed ",
        "action ",
        "failed again 3 times without completing a rollout",
        "(+1 runner failed the same way)",
    ):
        assert part in text, (part, text)


def test_without_restarts_the_first_failure_ends_the_run(tmp_path: Path) -> None:
    algorithm = faulty(tmp_path, {"kill_at": 20}, fault_tolerance={"restart_failed_env_runners": False})
    with pytest.raises(EnvError, match="was killed by signal 9"):
        algorithm.train()
    # Those who try again find everything in its place.
    assert algorithm.train()["fault_tolerance"]["num_healthy_workers"] == 2


def test_restarts_are_counted_and_end(tmp_path: Path) -> None:
    limits = {"max_num_env_runner_restarts": 2, "num_consecutive_env_runner_failures_tolerance": 100}
    algorithm = faulty(tmp_path, {"kill_at": 20, "times": None, "only_worker": 2}, fault_tolerance=limits)
    with pytest.raises(EnvError, match=r"env_runner 2: .*after 2 restarts, max_num_env_runner_restarts"):
        algorithm.train()


def test_a_start_that_takes_too_long_is_an_error(tmp_path: Path) -> None:
    limits = {"env_runner_restore_timeout_s": 1.5}
    with pytest.raises(EnvError, match="env_runner_restore_timeout_s"):
        faulty(tmp_path, {"init_sleep": 60.0}, fault_tolerance=limits)
    assert runs.wait_for(lambda: not runs.workers())


class Counted(Corridor):
    """Counts its steps where they survive it: one number for each environment and process."""

    def __init__(self, directory: str) -> None:
        super().__init__()
        name = f"{os.getpid()}-{id(self)}"
        self.counter = np.memmap(Path(directory) / name, np.int64, "w+", shape=(1,))

    def step(self, action: Any) -> Any:
        self.counter[0] += 1
        # Most of the time goes into stepping, so most kills strike there.
        time.sleep(0.0005)
        return super().step(action)


def kill_at_random(algorithm: Any, kills: int, generator: random.Random) -> dict[str, Any]:
    """Trains while runners are killed at any moment: while they step, wait, or start."""
    done, killed, iterations = threading.Event(), [], [0]

    def kill() -> None:
        while len(killed) < kills and not done.is_set():
            present = runs.workers()
            if generator.random() < 0.75:
                # Not while it starts.
                before = iterations[0]
                runs.wait_for(lambda: iterations[0] > before, 60.0)
            time.sleep(generator.uniform(0.0, 0.3))
            victim = generator.choice(present)
            if runs.alive(victim):
                os.kill(victim, signal.SIGKILL)
                killed.append(victim)
                runs.wait_for(lambda: len(runs.workers()) == 2 and victim not in runs.workers(), 60.0)

    thread = threading.Thread(target=kill)
    thread.start()
    try:
        while thread.is_alive():
            result = algorithm.train()
            assert result["env_runners"]["num_env_steps_sampled"] == 128
            iterations[0] += 1
    finally:
        done.set()
        thread.join()
    return algorithm.train()  # type: ignore[no-any-return]


@pytest.mark.parametrize("kills", [3, 200])
def test_every_step_is_accounted_for_whenever_runners_are_killed(kills: int, tmp_path: Path) -> None:
    if kills > 100 and not os.environ.get("SKIRL_SLOW_TESTS"):
        pytest.skip("takes minutes: set SKIRL_SLOW_TESTS=1")
    tolerance = {"fault_tolerance": {"num_consecutive_env_runner_failures_tolerance": 50}}
    algorithm = build(Counted, 2, 2, {"directory": str(tmp_path)}, **tolerance)
    result = kill_at_random(algorithm, kills, random.Random(kills))
    algorithm.stop()
    gone = runs.wait_for(lambda: not runs.workers())
    made = sum(int(np.memmap(file, np.int64, "r", shape=(1,))[0]) for file in tmp_path.iterdir())
    trained = result["env_runners"]["num_env_steps_sampled_lifetime"]
    dropped = result["env_runners"]["num_env_steps_dropped_lifetime"]
    restarts = result["fault_tolerance"]["num_remote_worker_restarts"]
    print(f"{kills} kills, {restarts} restarts: {made} steps made = {trained} trained + {dropped} dropped + rest")
    assert gone and restarts == kills
    assert result["fault_tolerance"]["num_healthy_workers"] == 2
    # A step is counted once both environments of a runner have made it: a kill may leave one of them ahead.
    assert 0 <= made - trained - dropped <= 2 * kills


def test_a_bug_of_all_workers_shows_its_traceback_once(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    algorithm = faulty(tmp_path, {"raise_at": 23, "times": None})
    with pytest.raises(EnvError) as caught:
        algorithm.train()
    printed = capfd.readouterr().err
    assert printed.count("Traceback (most recent call last)") == 1
    assert printed.count("(the traceback ends as the one above)") >= 2
    first, *rest = str(caught.value).splitlines()
    # The first line tells it all, and what follows is the traceback as Python prints it.
    assert "PlantedFault: fault planted in step 23" in first and "(+1 runner failed the same way)" in first
    assert rest[0] == "Traceback (most recent call last):" and "fault planted in step 23" in rest[-1]
