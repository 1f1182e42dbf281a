"""Environments of Python in the process: the same bytes as native ones, errors, interrupts, state, tasks."""

import os
import signal
import threading
import time
import traceback

import gymnasium
import numpy as np
import pytest
from env_runs import Env, build, train, weights
from gymnasium import spaces

from skirl.env import EnvContext, register_env
from skirl.errors import EnvError


@pytest.mark.parametrize("name", ["CartPole-v1", "Pendulum-v1", "Acrobot-v1", "MountainCarContinuous-v0"])
def test_training_on_the_python_environment_gives_the_bytes_of_the_native_one(name, tmp_path):
    found = []
    for env in (name, f"gymnasium:{name}"):
        algorithm = build(env, num_envs=4, steps=64)
        for _ in range(4):
            algorithm.train()
        found.append(weights(algorithm, tmp_path / env.replace(":", "_")))
    assert found[0] == found[1]


def test_a_time_limit_in_env_config_is_that_of_the_native_environment(tmp_path):
    found = []
    for env in ("CartPole-v1", "gymnasium:CartPole-v1"):
        algorithm = build(env, env_config={"max_episode_steps": 7})
        result = algorithm.train()
        assert result["env_runners"]["episode_len_mean"] <= 7
        found.append(weights(algorithm, tmp_path / env.replace(":", "_")))
    assert found[0] == found[1]
    result = train("gymnasium:MountainCar-v0", steps=300, env_config={"max_episode_steps": None})
    assert result["env_runners"]["num_episodes_lifetime"] == 0


@pytest.mark.parametrize("num_threads", [1, 2])
def test_the_number_of_threads_changes_nothing(num_threads, tmp_path):
    algorithm = build("gymnasium:CartPole-v1", num_envs=4, resources={"num_threads": num_threads})
    algorithm.train()
    one = build("gymnasium:CartPole-v1", num_envs=4)
    one.train()
    assert weights(algorithm, tmp_path / "many") == weights(one, tmp_path / "one")


@pytest.mark.parametrize("num_threads", [1, 2])
def test_subnormal_numbers_are_kept_in_python(num_threads):
    class Subnormal(Env):
        def reset(self, **kwargs):
            self.check()
            return super().reset(**kwargs)

        def step(self, action):
            self.check()
            return super().step(action)

        def check(self):
            assert np.float32(1e-38) * np.float32(self.length / 500) > 0
            assert 2.3e-308 * (self.length / 500) > 0

    train(Subnormal, num_envs=4, resources={"num_threads": num_threads})


@pytest.mark.parametrize("num_threads", [1, 2, 3])
def test_an_environment_stays_on_one_thread(num_threads):
    seen = set()

    class Threads(Env):
        def __init__(self):
            super().__init__()
            seen.add(threading.get_ident())

        def step(self, action):
            seen.add(threading.get_ident())
            return super().step(action)

        def close(self):
            seen.add(threading.get_ident())

    train(Threads, resources={"num_threads": num_threads})
    assert len(seen) == 1


class Raising(Env):
    def step(self, action):
        if self.total == 8:
            raise ValueError("the motor is off")
        return super().step(action)


def test_an_exception_comes_out_as_the_cause_with_its_traceback():
    with pytest.raises(EnvError) as caught:
        train(Raising, seed=11)
    message = str(caught.value)
    assert "environment 0 failed at its step 9 of this run" in message
    assert "Raising.step" in message and "test_env_in_process.py:" in message
    assert "ValueError: the motor is off" in message
    assert "last reset with seed " in message and "once without one since, step 4 of the episode, action " in message
    cause = caught.value.__cause__
    assert type(cause) is ValueError
    lines = "".join(traceback.format_exception(cause))
    assert 'raise ValueError("the motor is off")' in lines


def test_the_same_error_in_a_creator_and_a_reset():
    def creator(context):
        if context.vector_index == 1:
            raise OSError("no port left")
        return Env()

    register_env("Port", creator)
    with pytest.raises(EnvError, match="environment `Port` could not be made: OSError: no port left") as caught:
        train("Port")
    assert type(caught.value.__cause__) is OSError

    class Unresettable(Env):
        def reset(self, *, seed=None, options=None):
            raise RuntimeError("stuck")

    with pytest.raises(EnvError, match="Unresettable.reset .* raised RuntimeError: stuck; last reset with seed") as caught:
        train(Unresettable)
    assert type(caught.value.__cause__) is RuntimeError


def test_a_constructor_that_calls_its_config_otherwise_is_told_how():
    class Other(Env):
        def __init__(self, cfg=None):
            super().__init__()

    with pytest.raises(EnvError, match=r"Other\(cfg=None\) got an unexpected keyword argument 'length'.* names its first parameter config"):
        build(Other, env_config={"length": 3})


def test_a_constructor_may_annotate_its_config():
    given = []

    class Annotated(Env):
        def __init__(self, cfg: EnvContext):
            given.append((cfg["length"], cfg.vector_index))
            super().__init__()

    class Quoted(Env):
        def __init__(self, cfg: "EnvContext | None" = None):
            given.append((cfg["length"], cfg.vector_index))
            super().__init__()

    for env in (Annotated, Quoted):
        build(env, env_config={"length": 3})
    assert given == [(3, index) for index in range(len(given) // 2)] * 2


def test_after_an_error_training_goes_on_with_fresh_episodes():
    class Once(Env):
        failed = False

        def step(self, action):
            if self.total == 8 and not Once.failed:
                Once.failed = True
                raise ValueError("once")
            return super().step(action)

    algorithm = build(Once)
    with pytest.raises(EnvError):
        algorithm.train()
    result = algorithm.train()
    assert result["num_env_steps_sampled_lifetime"] == 32
    assert result["env_runners"]["episode_len_mean"] == 5


@pytest.mark.parametrize("raise_it", [lambda: signal.raise_signal(signal.SIGINT), lambda: os.kill(os.getpid(), signal.SIGINT)])
def test_ctrl_c_is_a_keyboard_interrupt(raise_it):
    class Interrupted(Env):
        interrupted = False

        def step(self, action):
            if self.total == 8 and not Interrupted.interrupted:
                Interrupted.interrupted = True
                raise_it()
            return super().step(action)

    algorithm = build(Interrupted)
    with pytest.raises(KeyboardInterrupt):
        algorithm.train()
    # The rollout under way is whole or gone.
    assert algorithm.train()["num_env_steps_sampled_lifetime"] in (32, 64)


def test_ctrl_c_between_two_steps_of_quick_environments():
    algorithm = build("gymnasium:CartPole-v1", num_envs=8, steps=4096)
    timer = threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        while True:
            algorithm.train()
    timer.join()


@pytest.mark.parametrize("num_threads", [1, 2])
def test_ctrl_c_does_not_wait_for_the_rollout_of_slow_environments(num_threads):
    class Slow(Env):
        def step(self, action):
            time.sleep(0.005)
            return super().step(action)

    algorithm = build(Slow, num_envs=1, steps=4096, resources={"num_threads": num_threads})
    timer = threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        algorithm.train()
    # A whole rollout takes twenty seconds.
    assert time.monotonic() - began < 5
    timer.join()


class Counter(Env):
    """All of its state is in `get_state`."""

    observation_space = spaces.Box(-100, 100, (3,), np.float32)
    noise = 0.0

    def observe(self):
        self.noise = float(self.np_random.normal())
        return np.array([self.t, self.noise, self.total], np.float32)

    def reward(self):
        return self.noise + self.np_random.random()

    def get_state(self):
        return {"t": self.t, "total": np.array([[self.total]]), "tag": b"\x00x", "pair": (1, None)}

    def set_state(self, state):
        assert state["tag"] == b"\x00x" and state["pair"] == (1, None) and state["total"].shape == (1, 1)
        self.t, self.total = state["t"], int(state["total"][0, 0])


def limited(context):
    return gymnasium.wrappers.TimeLimit(Counter(length=1000), 6)


@pytest.mark.parametrize("creator", [lambda context: Counter(), limited])
def test_environments_with_get_state_resume_exactly(creator, tmp_path):
    register_env("Counter", creator)
    straight = build("Counter")
    for _ in range(4):
        straight.train()
    first = build("Counter")
    first.train(), first.train()
    first.save_to_path(tmp_path / "saved")
    second = build("Counter")
    second.restore_from_path(tmp_path / "saved")
    assert not second.warnings()
    second.train(), second.train()
    assert weights(second, tmp_path / "resumed") == weights(straight, tmp_path / "straight")


def test_environments_without_get_state_start_new_episodes(tmp_path):
    algorithm = build("gymnasium:CartPole-v1")
    algorithm.train()
    algorithm.save_to_path(tmp_path / "saved")
    second = build("gymnasium:CartPole-v1")
    second.restore_from_path(tmp_path / "saved")
    assert any("episodes" in warning for warning in second.warnings())
    second.train()


def test_environments_are_closed_and_made_once():
    log = []

    class Logged(Env):
        def __init__(self):
            super().__init__()
            log.append("made")

        def close(self):
            log.append("closed")

    algorithm = build(Logged, num_envs=3)
    algorithm.train()
    algorithm.stop()
    assert log == ["made"] * 3 + ["closed"] * 3
