"""Ctrl-C: prompt, as `KeyboardInterrupt`, and the algorithm goes on from its last whole iteration."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="sends SIGINT")

LONG = """
import sys, time
from skirl import PPOConfig
config = PPOConfig().environment("CartPole-v1").debugging(seed=1)
config.training(train_batch_size=4000, minibatch_size=100, num_epochs=2).rl_module(fcnet_hiddens=[16])
algo = config.build_algo()
algo.train()
weights = algo.get_weights()
twin = config.build_algo()
twin.train()
# An iteration of very many rollouts: far longer than anybody waits.
algo.stop()
config.reporting(min_time_s_per_iteration=600)
algo = config.build_algo()
algo.set_weights(weights)
print("ready", flush=True)
started = time.time()
try:
    algo.train()
except KeyboardInterrupt:
    print("interrupted", flush=True)
same = all((algo.get_weights()["default_policy"][name] == array).all() for name, array in weights["default_policy"].items())
print("same" if same else "changed", algo.iteration, algo.compute_single_action([0.0] * 4) in (0, 1), flush=True)
algo.evaluate(episodes=2)
"""


STARTED: list["subprocess.Popen[str]"] = []


@pytest.fixture(autouse=True)
def _nothing_goes_on() -> Iterator[None]:
    yield
    while STARTED:
        STARTED.pop().kill()


def start(code: str) -> "subprocess.Popen[str]":
    script = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    STARTED.append(script)
    assert script.stdout is not None
    assert script.stdout.readline() == "ready\n", script.communicate()[1]
    return script


def test_a_long_iteration_is_cut_and_taken_back() -> None:
    script = start(LONG)
    time.sleep(0.7)
    os.kill(script.pid, signal.SIGINT)
    sent = time.monotonic()
    out, err = script.communicate(timeout=60)
    assert out == "interrupted\nsame 0 True\n", (out, err)
    assert script.returncode == 0 and err == ""
    assert time.monotonic() - sent < 10


NO_STATE = """
import time, warnings
import gymnasium, numpy as np
from skirl import PPOConfig

SLOW = [True]

class Walk(gymnasium.Env):
    observation_space = gymnasium.spaces.Box(0.0, 1.0, (1,), np.float32)
    action_space = gymnasium.spaces.Discrete(2)

    def reset(self, *, seed=None, options=None):
        self.steps = 0
        return np.zeros(1, np.float32), {}

    def step(self, action):
        if SLOW:
            time.sleep(0.01)
        self.steps += 1
        return np.zeros(1, np.float32), 1.0, self.steps >= 9, False, {}

config = PPOConfig().environment(Walk).env_runners(num_envs_per_env_runner=1).rl_module(fcnet_hiddens=[4]).debugging(seed=1)
algo = config.training(train_batch_size=2000, minibatch_size=500, num_epochs=1).build_algo()
print("ready", flush=True)
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    try:
        algo.train()
    except KeyboardInterrupt:
        print("interrupted", flush=True)
    SLOW.clear()
    algo.train()
print(*[warning.message for warning in caught], sep="; ", flush=True)
"""


def test_nobody_is_told_of_a_checkpoint_after_an_interrupt() -> None:
    script = start(NO_STATE)
    time.sleep(0.7)
    os.kill(script.pid, signal.SIGINT)
    out, err = script.communicate(timeout=60)
    assert out.startswith("interrupted\n") and script.returncode == 0, (out, err)
    assert "checkpoint" not in out
    assert "the state that was put back does not hold the state of environment" in out


LOOP = """
from skirl import PPOConfig
config = PPOConfig().environment("CartPole-v1").debugging(seed=1)
algo = config.training(train_batch_size=500, num_epochs=2).rl_module(fcnet_hiddens=[16]).build_algo()
algo.train()
print("ready", flush=True)
while True:
    algo.train()
"""


def test_a_script_that_trains_in_a_loop_ends_with_its_traceback() -> None:
    script = start(LOOP)
    time.sleep(0.3)
    os.kill(script.pid, signal.SIGINT)
    _, err = script.communicate(timeout=30)
    assert err.rstrip().endswith("KeyboardInterrupt") and "in train" in err
    # Python's own end of an interrupted script.
    assert script.returncode in (-signal.SIGINT, 130)


HANDLER = """
import signal, sys
from skirl import PPOConfig
def handler(number, frame):
    raise TimeoutError("my own")
signal.signal(signal.SIGALRM, handler)
config = PPOConfig().environment("CartPole-v1").reporting(min_time_s_per_iteration=600)
algo = config.training(train_batch_size=500, num_epochs=2).rl_module(fcnet_hiddens=[16]).build_algo()
print("ready", flush=True)
signal.setitimer(signal.ITIMER_REAL, 0.2)
try:
    algo.train()
except TimeoutError as error:
    print(error)
"""


def test_other_signal_handlers_may_raise_as_well() -> None:
    out, err = start(HANDLER).communicate(timeout=60)
    assert (out, err) == ("my own\n", "")
