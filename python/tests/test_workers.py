"""Environment runners in processes of their own: the same numbers as in one process, and nothing left behind."""

from __future__ import annotations

import os
import re
import signal
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import worker_runs as runs
from skirl.algorithms.ppo import PPOConfig
from skirl.env.registry import register_env, unregister_env
from skirl.errors import EnvError, SkirlError
from worker_runs import Corridor, build

pytestmark = pytest.mark.usefixtures("no_runners_of_other_tests")

FILTER = {"env_runners": {"observation_filter": "MeanStdFilter"}}


@pytest.mark.parametrize(("runners", "envs"), [(1, 4), (2, 2), (4, 1)])
def test_the_same_bytes_as_in_the_process(runners: int, envs: int, tmp_path: Path) -> None:
    here, there = build(Corridor, 0, 4, **FILTER), build(Corridor, runners, envs, **FILTER)
    for _ in range(3):
        mine, theirs = here.train()["env_runners"], there.train()["env_runners"]
        assert mine["episode_return_mean"] == theirs["episode_return_mean"]
        assert mine["num_env_steps_sampled_lifetime"] == theirs["num_env_steps_sampled_lifetime"]
    assert runs.weights(here, tmp_path / "here") == runs.weights(there, tmp_path / "there")
    assert len(runs.workers()) == runners
    there.stop()
    assert runs.workers() == []


def test_the_process_that_learns_uses_the_cores_of_the_runners_that_wait_for_it() -> None:
    def threads(explained: str) -> int:
        found = re.search(r"^threads +(\d+)$", explained, re.MULTILINE)
        assert found, explained
        return int(found[1])

    given = {"resources": {"num_threads": 1}}
    # Runners of native environments are no processes.
    for env, runners, options in [(Corridor, 2, given), (Corridor, 0, {}), ("CartPole-v1", 2, {})]:
        algorithm = build(env, runners, 1, **options)
        assert threads(algorithm._native.explain()) == 1, (env, runners, options)
        algorithm.stop()
    algorithm = build(Corridor, 2, 1)
    config = PPOConfig().environment(Corridor).env_runners(num_env_runners=2)
    assert threads(algorithm._native.explain()) == threads(config.explain()) == min(2, threads(config.env_runners(num_env_runners=64).explain()))
    algorithm.stop()


def test_continuous_actions_and_cut_episodes(tmp_path: Path) -> None:
    arguments = ("gymnasium:Pendulum-v1",)
    options = {"max_episode_steps": 20}
    here, there = build(*arguments, 0, 4, options), build(*arguments, 2, 2, options)
    for _ in range(2):
        here.train(), there.train()
    assert runs.weights(here, tmp_path / "here") == runs.weights(there, tmp_path / "there")


def test_resuming_gives_the_same_bytes(tmp_path: Path) -> None:
    whole, cut = build(Corridor, 2, 2, **FILTER), build(Corridor, 2, 2, **FILTER)
    for _ in range(4):
        whole.train()
    cut.train(), cut.train()
    cut.save_to_path(tmp_path / "cut")
    cut.stop()
    resumed = build(Corridor, 2, 2, **FILTER)
    resumed.restore_from_path(tmp_path / "cut")
    resumed.train(), resumed.train()
    assert runs.weights(whole, tmp_path / "a") == runs.weights(resumed, tmp_path / "b")


def test_more_episode_ends_than_there_is_room_for(tmp_path: Path) -> None:
    # An episode of one step ends in every row.
    here, there = build(Corridor, 0, 2, {"length": 0}), build(Corridor, 2, 1, {"length": 0})
    for _ in range(2):
        assert there.train()["env_runners"]["episode_len_mean"] == here.train()["env_runners"]["episode_len_mean"] == 1
    assert runs.weights(here, tmp_path / "here") == runs.weights(there, tmp_path / "there")


def test_whole_episodes(tmp_path: Path) -> None:
    cut = {"env_runners": {"batch_mode": "complete_episodes"}}
    here, there = build(Corridor, 0, 4, **cut), build(Corridor, 2, 2, **cut)
    for _ in range(2):
        here.train(), there.train()
    assert runs.weights(here, tmp_path / "here") == runs.weights(there, tmp_path / "there")


def test_a_script_without_a_guard_whose_classes_are_its_own(tmp_path: Path) -> None:
    text = """
print("IMPORTED", flush=True)
import gymnasium, numpy as np, worker_runs
from skirl.env.registry import register_env
class Mine(worker_runs.Corridor):
    def __init__(self, config):
        super().__init__(**config)
        assert config.remote and config.num_workers == 2 and config.worker_index in (1, 2)
gymnasium.register("Own-v0", entry_point=lambda **k: worker_runs.Corridor(**k), max_episode_steps=9)
register_env("mine", lambda config: Mine(config))
for env in (Mine, "mine", "gymnasium:Own-v0"):
    algorithm = worker_runs.build(env, 2, 1, {"length": 5})
    print(algorithm.train()["env_runners"]["num_env_steps_sampled"], flush=True)
"""
    ran = runs.script(text, tmp_path)
    out, err = ran.communicate(timeout=60)
    assert ran.returncode == 0, err
    assert out.split() == ["IMPORTED", "128", "128", "128"]


def test_what_environments_print_is_tagged(capfd: pytest.CaptureFixture[str]) -> None:
    build(Corridor, 2, 1, {"shout": "printed", "os_shout": "written"}).stop()
    runs.wait_for(lambda: False, 0.2)
    lines = capfd.readouterr().err.splitlines()
    assert sorted(lines) == [f"[env_runner {index}] {word}" for index in (1, 2) for word in ("printed", "written")]


def test_native_environments_stay_in_the_process() -> None:
    algorithm = build("CartPole-v1", 2, 1)
    assert "fault_tolerance" not in algorithm.train()
    assert runs.workers() == []


def test_a_constructor_that_fails_names_its_error_once() -> None:
    def broken(config: dict[str, object]) -> None:
        raise ValueError("no such map")

    register_env("broken", broken)
    try:
        with pytest.raises(EnvError, match=r"(?s)env_runner 1: .*ValueError: no such map.*\(\+1 runner failed the same way\)"):
            build("broken", 2, 1)
    finally:
        unregister_env("broken")
    assert runs.wait_for(lambda: not runs.workers())


def test_gymnasium_finds_what_the_script_registered_by_its_own_name(tmp_path: Path) -> None:
    text = """
import gymnasium
import worker_runs
class Walk(worker_runs.Corridor):
    pass
class Twice(gymnasium.RewardWrapper):
    def reward(self, reward):
        return 2.0
wrapper = gymnasium.envs.registration.WrapperSpec("Twice", "__main__:Twice", {})
gymnasium.register("Walk-v0", entry_point="__main__:Walk", additional_wrappers=(wrapper,), max_episode_steps=3)
algorithm = worker_runs.build("Walk-v0", 2, 1)
print(algorithm.train()["env_runners"]["episode_return_mean"], len(worker_runs.workers()), flush=True)
"""
    out, err = runs.script(text, tmp_path).communicate(timeout=60)
    assert out == "6.0 2\n", err


def test_a_creator_that_cannot_be_sent_is_an_error() -> None:
    lock = __import__("threading").Lock()
    register_env("locked", lambda config: (lock, Corridor()))
    try:
        with pytest.raises(EnvError, match="could not be sent to the environment runners"):
            build("locked", 1, 1)
    finally:
        unregister_env("locked")


class Told(Corridor):
    """Asks its `env_config`, which holds more than plain values."""

    def __init__(self, config: Any) -> None:
        super().__init__()
        self.ask, self.key = config["ask"], config.get("key")

    def _see(self) -> Any:
        return np.array([self.at, self.ask(2)], np.float32)


def test_env_config_holds_any_object(tmp_path: Path) -> None:
    config = {"ask": lambda number: number + 40}
    here, there = build(Told, 0, 4, config), build(Told, 2, 2, config)
    here.train(), there.train()
    assert runs.weights(here, tmp_path / "here") == runs.weights(there, tmp_path / "there")
    assert there.env_runner.foreach_env(lambda env: env.unwrapped.ask(0)) == [40] * 4
    with pytest.raises(EnvError, match=r"env_config\['key'\] is _thread.lock, which cannot be sent .*pickle.*constructor"):
        build(Told, 1, 1, {**config, "key": threading.Lock()})


def test_functions_are_called_where_the_environments_are(tmp_path: Path) -> None:
    algorithm = build(Corridor, 2, 2, {"length": 7})
    group = algorithm.env_runner_group
    pids = [pid for runner in group.foreach_env(lambda env: os.getpid()) for pid in runner]
    assert len(pids) == 4 and sorted(set(pids)) == sorted(runs.workers())
    group.foreach_env(lambda env: env.unwrapped.set_task(3))
    for worker in runs.workers():
        os.kill(worker, signal.SIGKILL)
    with pytest.raises(EnvError, match="next training iteration replaces the process.*call the function again after that"):
        group.foreach_env(lambda env: 1)
    algorithm.train()
    assert [length for runner in group.foreach_env(lambda env: env.unwrapped.length) for length in runner] == [3] * 4
    with pytest.raises(EnvError, match=r"(?s)environment 0 .*ZeroDivisionError"):
        group.foreach_env(lambda env: 1 / 0)
    with pytest.raises(EnvError, match="plain value"):
        group.foreach_env(lambda env: env)
    path = algorithm.save_to_path(tmp_path / "saved")
    algorithm.stop()
    resumed = type(algorithm).from_checkpoint(path)
    assert resumed.env_runner.foreach_env(lambda env: env.unwrapped.length) == [3] * 4
    resumed.stop()


TRAINING = """
import worker_runs, sys
algorithm = worker_runs.build({env}, 2, 2, {options})
print("READY", flush=True)
while True:
    algorithm.train()
"""


@pytest.mark.parametrize("hangs", [False, True])
def test_nobody_outlives_a_killed_parent(hangs: bool, tmp_path: Path) -> None:
    env, options = ('"skirl.testing:FaultyEnv"', '{"hang_at": 3, "hang_keeps_gil": True}') if hangs else ("worker_runs.Corridor", "{}")
    memory = tmp_path / "memory"
    memory.mkdir()
    parent = runs.script(TRAINING.format(env=env, options=options), tmp_path, SKIRL_SHARED_MEMORY_DIR=str(memory))
    assert parent.stdout is not None and parent.stdout.readline() == "READY\n"
    time.sleep(0.3)
    children = runs.workers(parent.pid)
    assert len(children) == 2
    os.kill(parent.pid, signal.SIGKILL)
    parent.wait()
    assert runs.wait_for(lambda: not any(map(runs.alive, children)), 5.0)
    assert list(memory.iterdir()) == []


def test_too_little_shared_memory_is_an_error_at_the_start(tmp_path: Path) -> None:
    text = """
import resource, worker_runs, skirl.errors
resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))
try:
    worker_runs.build(worker_runs.Corridor, 2, 2, training={"train_batch_size": 1_000_000})
except skirl.errors.EnvError as error:
    print(error)
"""
    ran = runs.script(text, tmp_path)
    out, err = ran.communicate(timeout=60)
    assert "bytes of shared memory for weights and rollouts" in out, err
    assert "lower env_runners.rollout_fragment_length" in out


def test_shared_memory_is_the_owners_alone() -> None:
    algorithm = build(Corridor, 1, 1)
    (worker,) = runs.workers()
    shared = [link for link in Path(f"/proc/{worker}/fd").iterdir() if "memfd:skirl" in os.readlink(link)]
    assert shared and all(os.stat(link).st_mode & 0o777 == 0o600 for link in shared)
    algorithm.stop()


def test_two_threads_of_one_algorithm_are_refused() -> None:
    with pytest.raises(SkirlError):
        algorithm = build(Corridor, 1, 1)
        algorithm.stop()
        algorithm.train()
