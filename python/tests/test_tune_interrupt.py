"""Scripts as users write them: without a `__main__` guard, interrupted, killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

HERE = Path(__file__).parent

SCRIPT = """
import sys, time
sys.path.insert(0, {here!r})
print("the script runs", flush=True)
from skirl import tune
from tune_fakes import FakeConfig

config = FakeConfig(lr=tune.grid_search([1.0, 2.0, 3.0]), sleep=0.05)
results = tune.Tuner(
    config.algo_class,
    param_space=config,
    tune_config=tune.TuneConfig(max_concurrent_trials=2),
    run_config=tune.RunConfig(name="mine", storage_path={where!r}, stop={stop!r}, verbose=1,
        checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False)),
).fit()
print("fit returned", [r.metrics.get("training_iteration", 0) for r in results], results.num_errors)
"""

FUNCTION = """
import os
from skirl import tune

print("the script runs", flush=True)

class Doubler:
    def __call__(self, x):
        return 2 * x

def train(config):
    tune.report({{"y": Doubler()(config["x"]), "process": os.getpid()}})

results = tune.Tuner(
    train, param_space={{"x": tune.grid_search([1, 2])}}, run_config=tune.RunConfig(storage_path={where!r}, verbose=0)
).fit()
print([r.metrics["y"] for r in results], len({{r.metrics["process"] for r in results}} | {{os.getpid()}}))
"""

posix = pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")


def start(script: str, path: Path) -> subprocess.Popen[str]:
    file = path / "script.py"
    file.write_text(script)
    return subprocess.Popen(
        [sys.executable, str(file)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    )


def endless(path: Path, sleep: str = "sleep=0.05") -> subprocess.Popen[str]:
    script = SCRIPT.replace("sleep=0.05", sleep)
    return start(script.format(here=str(HERE), where=str(path), stop={"training_iteration": 100000}), path)


#: The third iteration takes a minute.
LONG = "sleep=0.0, sleeps_at=3, long=60.0"


def until(condition: Callable[[], bool], seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.02)


def result_files(path: Path) -> list[Path]:
    return [file for file in path.glob("mine/*/result.json") if file.read_text().count("\n") >= 2]


def pids(path: Path) -> list[int]:
    return [json.loads(file.read_text().splitlines()[0])["pid"] for file in result_files(path)]


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    # A child that nobody waits for yet has ended as well.
    return "(zombie)" not in Path(f"/proc/{pid}/status").read_text() if Path(f"/proc/{pid}/status").exists() else True


def test_a_script_without_a_main_guard(tmp_path: Path) -> None:
    script = start(FUNCTION.format(where=str(tmp_path)), tmp_path)
    output, _ = script.communicate(timeout=30)
    assert output.splitlines() == ["the script runs", "[2, 4] 3"]


@posix
def test_ctrl_c_saves_and_ends_all(tmp_path: Path) -> None:
    script = endless(tmp_path)
    until(lambda: len(result_files(tmp_path)) == 2)
    trials = pids(tmp_path)
    # As a terminal does: the whole process group.
    os.killpg(script.pid, signal.SIGINT)
    output, _ = script.communicate(timeout=20)
    assert script.returncode == 0, output
    assert "stopping: trials finish what is under way, then save" in output
    assert "fit returned" in output and output.rstrip().endswith("0"), output
    assert "Traceback" not in output
    saved = list(tmp_path.glob("mine/*/checkpoint_*/state.json"))
    assert len(saved) == 2
    for file in saved:
        lines = (file.parent.parent / "result.json").read_text().splitlines()
        assert json.loads(file.read_text())["iteration"] == json.loads(lines[-1])["training_iteration"] == len(lines)
    until(lambda: not any(map(is_alive, trials)))


@posix
def test_ctrl_c_ends_a_long_iteration(tmp_path: Path) -> None:
    script = endless(tmp_path, LONG)
    until(lambda: len(result_files(tmp_path)) == 2)
    time.sleep(0.2)
    started = time.monotonic()
    os.killpg(script.pid, signal.SIGINT)
    output, _ = script.communicate(timeout=20)
    assert time.monotonic() - started < 10
    assert output.splitlines()[-1] == "fit returned [2, 2, 0] 0"
    states = [json.loads(file.read_text()) for file in tmp_path.glob("mine/*/checkpoint_*/state.json")]
    assert [state["iteration"] for state in states] == [2, 2]


@posix
def test_a_pipe_that_nobody_reads_any_more(tmp_path: Path) -> None:
    script = endless(tmp_path)
    until(lambda: len(result_files(tmp_path)) == 2)
    assert script.stdout is not None
    script.stdout.close()
    script.wait(timeout=20)
    assert len(list(tmp_path.glob("mine/*/checkpoint_*/state.json"))) == 2


@posix
def test_sigterm_saves_as_well_and_then_ends(tmp_path: Path) -> None:
    # Nearly always between two iterations.
    script = endless(tmp_path, "sleep=0.0")
    until(lambda: len(result_files(tmp_path)) == 2)
    script.terminate()
    output, _ = script.communicate(timeout=20)
    assert script.returncode == -signal.SIGTERM, output
    assert len(list(tmp_path.glob("mine/*/checkpoint_*/state.json"))) == 2
    assert "fit returned" not in output
    assert "Trial status: 2 TERMINATED | 1 PENDING" in output


@posix
def test_a_second_ctrl_c_ends_at_once(tmp_path: Path) -> None:
    script = endless(tmp_path)
    until(lambda: len(result_files(tmp_path)) == 2)
    trials = pids(tmp_path)
    for pid in trials:
        os.kill(pid, signal.SIGSTOP)
    os.kill(script.pid, signal.SIGINT)
    time.sleep(0.5)
    assert script.poll() is None, "it waits for trials that do not answer"
    os.kill(script.pid, signal.SIGINT)
    output, _ = script.communicate(timeout=10)
    assert script.returncode in (130, -signal.SIGINT), output
    assert "KeyboardInterrupt" in output and "fit returned" not in output
    until(lambda: not any(map(is_alive, trials)))


@posix
def test_no_orphans_when_the_parent_is_killed(tmp_path: Path) -> None:
    script = endless(tmp_path, LONG)
    until(lambda: len(result_files(tmp_path)) == 2)
    trials = pids(tmp_path)
    assert all(map(is_alive, trials))
    script.kill()
    script.wait()
    until(lambda: not any(map(is_alive, trials)), 5.0)
    assert script.stdout is not None
    script.stdout.close()


@posix
def test_a_killed_trial_is_named(tmp_path: Path) -> None:
    script = start(SCRIPT.format(here=str(HERE), where=str(tmp_path), stop={"training_iteration": 20}), tmp_path)
    until(lambda: len(result_files(tmp_path)) == 2)
    os.kill(pids(tmp_path)[0], signal.SIGKILL)
    output, _ = script.communicate(timeout=30)
    assert "killed by SIGKILL (9)" in output
    last = output.splitlines()[-1]
    assert last.count("20") == 2 and last.endswith("] 1"), output
