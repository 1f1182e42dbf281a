"""Ctrl-C while workers step: prompt, without tracebacks of their own, and the run goes on from its last whole iteration."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import worker_runs as runs

SLOW = """
import sys, time
import worker_runs
from worker_runs import Corridor, build

class Slow(Corridor):
    def __init__(self, mark="", pause=0.02, hang=0.0):
        super().__init__()
        self.mark, self.pause, self.hang = mark, pause, hang
    def step(self, action):
        # Quick until the mark is there.
        import os
        if os.path.exists(self.mark):
            time.sleep(self.hang or self.pause)
        return super().step(action)

mark, options, evaluation = sys.argv[1], eval(sys.argv[2]), eval(sys.argv[3])
algorithm = build(Slow, {runners}, 2, {{"mark": mark, **options}}, training={{"train_batch_size": 4000}}, **evaluation)
algorithm.train()
before = algorithm.get_weights()["default_policy"]
open(mark, "w").close()
print("ready", flush=True)
try:
    {call}
except KeyboardInterrupt:
    print("interrupted", flush=True)
import os
os.unlink(mark)
after = algorithm.get_weights()["default_policy"]
print("same" if all((after[name] == array).all() for name, array in before.items()) else "changed", algorithm.iteration, flush=True)
result = algorithm.train()
print(result["env_runners"]["num_env_steps_sampled"], result["training_iteration"], flush=True)
print(algorithm.env_runner_group.num_remote_env_runner_restarts(), flush=True)
algorithm.stop()
print(len(worker_runs.workers()), flush=True)
"""


def interrupt(
    tmp_path: Path, call: str = "algorithm.train()", options: str = "{}", evaluation: str = "{}", runners: int = 2
) -> tuple[float, str, str]:
    """Runs the script, sends SIGINT to its whole group as a terminal does; seconds until it noticed, and what it printed."""
    path = tmp_path / "script.py"
    path.write_text(SLOW.format(call=call, runners=runners))
    script = subprocess.Popen(
        [sys.executable, str(path), str(tmp_path / "mark"), options, evaluation],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        bufsize=0,
        start_new_session=True,
        env={**os.environ, "PYTHONPATH": f"{runs.PACKAGE}{os.pathsep}{Path(__file__).parent}"},
    )
    assert script.stdout is not None
    assert script.stdout.readline() == b"ready\n", script.communicate()[1]
    time.sleep(0.5)
    os.killpg(script.pid, signal.SIGINT)
    sent = time.monotonic()
    first = script.stdout.readline()
    noticed = time.monotonic() - sent
    out, err = script.communicate(timeout=60)
    return noticed, (first + out).decode(), err.decode()


def test_a_long_rollout_is_cut(tmp_path: Path) -> None:
    # The workers are those from before.
    # 1000 steps of each environment, of 20 ms each and two in a process: 40 seconds.
    seconds, out, err = interrupt(tmp_path)
    assert out == "interrupted\nsame 1\n4000 2\n0\n0\n", (out, err)
    assert err == ""
    assert seconds < 5.0


def test_an_environment_that_hangs_does_not_hold_it(tmp_path: Path) -> None:
    # Both workers had to be killed.
    seconds, out, err = interrupt(tmp_path, options='{"hang": 20.0}')
    assert out == "interrupted\nsame 1\n4000 2\n2\n0\n", (out, err)
    assert err == ""
    assert seconds < 8.0


def test_evaluation_is_cut(tmp_path: Path) -> None:
    evaluation = '{"evaluation": {"evaluation_num_env_runners": 2, "evaluation_duration": 4000, "evaluation_config": {"explore": True}}}'
    seconds, out, err = interrupt(tmp_path, "algorithm.evaluate()", evaluation=evaluation, runners=0)
    assert out == "interrupted\nsame 1\n4000 2\n0\n0\n", (out, err)
    assert err == ""
    assert seconds < 5.0


STARTING = """
import time
from worker_runs import Corridor, build

class Slow(Corridor):
    def __init__(self):
        print("building")
        time.sleep(30)

try:
    build(Slow, 2, 1)
except KeyboardInterrupt:
    print("interrupted", flush=True)
"""


def test_workers_that_start_are_ended(tmp_path: Path) -> None:
    script = runs.script(STARTING, tmp_path)
    assert runs.wait_for(lambda: len(runs.workers(script.pid)) == 2)
    children = runs.workers(script.pid)
    assert script.stderr is not None and "building" in script.stderr.readline()
    os.kill(script.pid, signal.SIGINT)
    sent = time.monotonic()
    out, err = script.communicate(timeout=60)
    assert out == "interrupted\n" and "Traceback" not in err, (out, err)
    assert time.monotonic() - sent < 10.0
    assert runs.wait_for(lambda: not any(map(runs.alive, children)), 5.0)


@pytest.mark.parametrize("moment", [0.0, 0.05, 0.15, 0.3])
def test_workers_print_no_tracebacks_while_they_start(moment: float, tmp_path: Path) -> None:
    text = STARTING.replace("time.sleep(30)", "time.sleep(1)")
    script = subprocess.Popen(
        [sys.executable, "-c", text],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env={**os.environ, "PYTHONPATH": f"{runs.PACKAGE}{os.pathsep}{Path(__file__).parent}"},
    )
    assert runs.wait_for(lambda: len(runs.workers(script.pid)) == 2)
    time.sleep(moment)
    os.killpg(script.pid, signal.SIGINT)
    out, err = script.communicate(timeout=60)
    assert out == "interrupted\n" and "Traceback" not in err, (out, err)


TAKEN_BACK = """
import os, signal, threading, time
from worker_runs import Corridor, build

class Slow(Corridor):
    def __init__(self):
        super().__init__()
        # Four of them in a worker: longer than an interruption leaves to what is under way.
        time.sleep(0.8)
    def step(self, action):
        if os.path.exists("mark"):
            time.sleep(60)
        return super().step(action)

def interrupt():
    time.sleep(0.6)
    open("mark", "w").close()
    time.sleep(0.3)
    os.kill(os.getpid(), signal.SIGINT)

algorithm = build(Slow, 1, 4, reporting={"min_time_s_per_iteration": 1.1})
result = algorithm.train()
before = algorithm.get_weights()["default_policy"]
threading.Thread(target=interrupt).start()
try:
    algorithm.train()
except KeyboardInterrupt:
    print("interrupted")
os.unlink("mark")
after = algorithm.get_weights()["default_policy"]
print("same" if all((after[name] == array).all() for name, array in before.items()) else "changed", algorithm.iteration)
steps = result["num_env_steps_sampled_lifetime"]
result = algorithm.train()
calls = result["num_training_step_calls_per_iteration"]
print(result["training_iteration"], result["num_env_steps_sampled_lifetime"] - steps - 128 * calls)
"""


def test_an_iteration_is_taken_back_where_workers_take_long_to_start(tmp_path: Path) -> None:
    out, err = runs.script(TAKEN_BACK, tmp_path).communicate(timeout=60)
    assert out == "interrupted\nsame 1\n2 0\n", (out, err)
