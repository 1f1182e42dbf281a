"""`skirl.testing`: faults happen when they are ordered, and only then."""

from __future__ import annotations

import math
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from skirl.testing import FaultCounter, Faults, FaultyEnv, PlantedFault, faults_in


class Context(dict[str, Any]):
    """What a runner hands to a creator: options, and which environment is meant."""

    def __init__(self, options: dict[str, Any], worker_index: int = 0, vector_index: int = 0) -> None:
        super().__init__(options)
        self.worker_index = worker_index
        self.vector_index = vector_index


def play(env: FaultyEnv, steps: int, action: int = 1) -> list[Any]:
    """The results of that many steps, through as many episodes as it takes."""
    results = []
    env.reset(seed=5)
    for _ in range(steps):
        result = env.step(np.int64(action))
        results.append(result)
        if result[2] or result[3]:
            env.reset()
    return results


def in_process(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Runs code in a process of its own, in which `FaultyEnv` and `play` are known."""
    prelude = "import sys; from skirl.testing import FaultyEnv\n"
    return subprocess.run([sys.executable, "-c", prelude + code, *arguments], capture_output=True, text=True, timeout=20)


def test_without_orders_it_is_a_sound_environment() -> None:
    env = FaultyEnv()
    results = play(env, 25)
    assert [index for index, result in enumerate(results, start=1) if result[2]] == [10, 20]
    assert not any(result[3] for result in results)
    assert all(env.observation_space.contains(result[0]) for result in results)
    assert {result[1] for result in results} == {0.0, 1.0}
    env.close()


def test_reward_follows_the_sign_that_was_seen() -> None:
    env = FaultyEnv()
    observation, _ = env.reset(seed=0)
    for _ in range(10):
        action = np.int64(observation[0] > 0)
        observation, reward, *_ = env.step(action)
        assert reward == 1.0


def test_same_seed_same_episode() -> None:
    first, second = (play(FaultyEnv(), 30) for _ in range(2))
    for one, other in zip(first, second, strict=True):
        np.testing.assert_array_equal(one[0], other[0])
        assert one[1:] == other[1:]


def test_truncation() -> None:
    results = play(FaultyEnv(episode_length=4, truncates=True), 8)
    assert [result[3] for result in results] == [False, False, False, True] * 2
    assert not any(result[2] for result in results)


@pytest.mark.parametrize("at", [1, 7, 13])
def test_raises_in_that_step_and_works_again(at: int) -> None:
    env = FaultyEnv(raise_at=at)
    play(env, at - 1)
    with pytest.raises(PlantedFault, match=f"step {at} "):
        env.step(np.int64(0))
    env.reset()
    env.step(np.int64(0))


def test_times() -> None:
    env = FaultyEnv(nan_reward_at=3, times=2)
    assert [math.isnan(result[1]) for result in play(env, 6)] == [False, False, True, True, False, False]
    env = FaultyEnv(nan_reward_at=3, times=None)
    assert [math.isnan(result[1]) for result in play(env, 6)] == [False, False, True, True, True, True]


def test_in_reset() -> None:
    env = FaultyEnv(raise_at=2, in_reset=True)
    env.reset(seed=1)
    env.step(np.int64(0))
    env.step(np.int64(0))
    with pytest.raises(PlantedFault, match="reset 2 "):
        env.reset()
    env.reset()


@pytest.mark.parametrize(
    ("options", "is_wrong"),
    [
        ({"nan_obs_at": 2}, lambda observation: np.isnan(observation[0])),
        ({"out_of_bounds_at": 2}, lambda observation: observation[0] == 1e6),
        ({"shape_at": 2}, lambda observation: observation.shape == (7,)),
        ({"shape_at": 2, "wrong_shape": ()}, lambda observation: observation.shape == ()),
        ({"dtype_at": 2, "wrong_dtype": "float64"}, lambda observation: observation.dtype == np.float64),
    ],
)
def test_spoiled_observations(options: dict[str, Any], is_wrong: Any) -> None:
    env = FaultyEnv(options)
    wrong = [not env.observation_space.contains(result[0]) for result in play(env, 5)]
    # A float64 array is not contained in a float32 box: `contains` sees all five.
    assert wrong == [False, True, False, False, False]
    assert is_wrong(play(FaultyEnv(options), 2)[1][0])


def test_only_where_ordered() -> None:
    options = {"raise_at": 1, "only_worker": 2, "only_env": 1}
    for worker, vector in [(0, 0), (2, 0), (1, 1), (0, 1)]:
        play(FaultyEnv(Context(options, worker, vector)), 3)
    with pytest.raises(PlantedFault, match="worker=2 env=1"):
        play(FaultyEnv(Context(options, 2, 1)), 3)


def test_sleep() -> None:
    start = time.monotonic()
    play(FaultyEnv(sleep=0.02), 5)
    assert time.monotonic() - start >= 6 * 0.02
    start = time.monotonic()
    play(FaultyEnv(sleep=0.1, sleep_at=2), 5)
    assert 0.1 <= time.monotonic() - start < 0.5
    start = time.monotonic()
    FaultyEnv(init_sleep=0.05)
    assert time.monotonic() - start >= 0.05


def test_hang_leaves_other_threads_alone() -> None:
    env = FaultyEnv(hang_at=2)
    thread = threading.Thread(target=play, args=(env, 3), daemon=True)
    thread.start()
    thread.join(0.2)
    assert thread.is_alive()


def test_hang_that_keeps_the_lock() -> None:
    code = """
import threading, time
env = FaultyEnv(hang_at=1, hang_keeps_gil=True); env.reset()
threading.Thread(target=env.step, args=(0,), daemon=True).start()
time.sleep(0.1); print("went on", flush=True)
"""
    with pytest.raises(subprocess.TimeoutExpired) as stopped:
        subprocess.run(
            [sys.executable, "-c", "from skirl.testing import FaultyEnv" + code], capture_output=True, timeout=2.0
        )
    assert not stopped.value.stdout


def test_init_and_close() -> None:
    with pytest.raises(PlantedFault, match="constructor"):
        FaultyEnv(init_fails=True)
    with pytest.raises(PlantedFault, match="close"):
        FaultyEnv(close_fails=True).close()


def test_init_fails_once_across_restarts(tmp_path: Path) -> None:
    options = {"init_fails": True, "times": 2, "counter_file": str(tmp_path / "faults")}
    for _ in range(2):
        with pytest.raises(PlantedFault):
            FaultyEnv(options)
    play(FaultyEnv(options), 3)


def test_reused_buffer() -> None:
    first, second = (result[0] for result in play(FaultyEnv(reuses_buffer=True), 2))
    assert first is second
    first, second = (result[0] for result in play(FaultyEnv(), 2))
    assert not np.shares_memory(first, second)


def test_print(capfd: pytest.CaptureFixture[str]) -> None:
    play(FaultyEnv(print_at=2, print_text="so far"), 4)
    assert capfd.readouterr().out == "so far\n"


def test_ends_of_a_process(tmp_path: Path) -> None:
    counter = tmp_path / "faults"
    code = """
env = FaultyEnv({sys.argv[1]: 3, "counter_file": sys.argv[2], "exit_code": 9}); env.reset(seed=0)
for _ in range(5): env.step(0)
print("survived")
"""
    for option, expected in [("kill_at", -signal.SIGKILL), ("exit_at", 9), ("system_exit_at", 9)]:
        assert in_process(code, option, str(counter)).returncode == expected
        # The second process is told by the file that it has happened.
        again = in_process(code, option, str(counter))
        assert (again.returncode, again.stdout) == (0, "survived\n"), again.stderr
    assert [line.split()[0] for line in faults_in(counter)] == ["kill", "exit", "system_exit"]
    assert faults_in(counter)[0].endswith("worker=0 env=0 call=3")


def test_a_counter_shared_by_processes_gives_each_place_once(tmp_path: Path) -> None:
    path = tmp_path / "faults"
    code = """
from skirl.testing import FaultCounter
counter = FaultCounter(20, sys.argv[1])
print(sum(counter.take("raise") for _ in range(40)))
"""
    prelude = "import sys\n"
    processes = [
        subprocess.Popen([sys.executable, "-c", prelude + code, str(path)], stdout=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    assert sum(int(process.communicate(timeout=20)[0]) for process in processes) == 20


def test_counters_of_kinds_are_apart(tmp_path: Path) -> None:
    for counter in (FaultCounter(1), FaultCounter(1, tmp_path / "faults")):
        assert [counter.take("raise"), counter.take("kill"), counter.take("raise")] == [True, True, False]
    assert faults_in(tmp_path / "missing") == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"raise_att": 3}, "did you mean raise_at"),
        ({"raise_at": 0}, "first call is 1"),
        ({"nan_reward_at": 1, "in_reset": True}, "in_reset"),
        ({"observation_size": 1}, "observation_size"),
    ],
)
def test_orders_that_make_no_sense(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        FaultyEnv(options)


def test_faults_name_their_moment() -> None:
    faults = Faults(raise_at=3, kill_at=5)
    assert [faults.due(call) for call in (2, 3, 5)] == [[], ["raise"], ["raise", "kill"]]


def test_step_needs_reset() -> None:
    env = FaultyEnv(episode_length=1)
    with pytest.raises(RuntimeError, match="before reset"):
        env.step(np.int64(0))
    env.reset()
    env.step(np.int64(0))
    with pytest.raises(RuntimeError, match="end of an episode"):
        env.step(np.int64(0))
