"""The group of environment runners: a function is called once for each runner, and reaches each environment once."""

from __future__ import annotations

import os
import signal
from typing import Any

import pytest
import worker_runs as runs
from test_workers_evaluation import evaluated
from worker_runs import Corridor, build

pytestmark = pytest.mark.usefixtures("no_runners_of_other_tests")


def test_every_runner_is_visited_once_and_every_environment() -> None:
    algorithm = build(Corridor, 2, 3)
    group = algorithm.env_runner_group
    assert group.foreach_env_runner(lambda runner: (runner.worker_index, runner.num_envs)) == [(1, 3), (2, 3)]
    assert group.foreach_worker(lambda index, runner: (index, runner.worker_index), with_id=True) == [(1, 1), (2, 2)]
    assert group.foreach_env_runner(lambda runner: runner.worker_index, remote_worker_ids=[2], local_env_runner=False) == [2]
    pids = group.foreach_env_runner(lambda runner: runner.foreach_env(lambda env: os.getpid()))
    assert pids == group.foreach_env(lambda env: os.getpid()) and len({pid for each in pids for pid in each}) == 2
    contexts = group.foreach_env_runner(
        lambda runner: runner.foreach_env_with_context(lambda env, context: [context.worker_index, context.vector_index])
    )
    assert contexts == [[[1, 0], [1, 1], [1, 2]], [[2, 0], [2, 1], [2, 2]]]
    # Each is told once.
    group.foreach_env_runner(lambda runner: runner.foreach_env(lambda env: env.unwrapped.set_task(env.unwrapped.get_task() + 1)))
    assert algorithm.env_runner.foreach_env(lambda env: env.unwrapped.get_task()) == [7] * 6
    assert algorithm.env_runner.worker_index == 0 and group.local_env_runner.num_envs == 6


def test_a_curriculum_that_differs_by_runner_outlives_a_worker() -> None:
    algorithm = build(Corridor, 2, 2)

    # As RLlib's users write it: the runner itself is used in the function that goes to its process.
    algorithm.workers.foreach_worker(lambda ev: ev.foreach_env(lambda env: env.unwrapped.set_task(10 * ev.worker_index + ev.num_envs)))
    told = [12, 12, 22, 22]
    assert algorithm.env_runner.foreach_env(lambda env: env.unwrapped.get_task()) == told
    for pid in runs.workers():
        os.kill(pid, signal.SIGKILL)
    algorithm.train()
    assert algorithm.env_runner.foreach_env(lambda env: env.unwrapped.get_task()) == told


def test_what_a_runner_cannot_do_in_a_process_is_said() -> None:
    algorithm = build(Corridor, 1, 1)
    with pytest.raises(Exception, match="get_weights.*environment runner 1.*worker_index and num_envs"):
        algorithm.env_runner_group.foreach_env_runner(lambda runner: runner.foreach_env(lambda env: runner.get_weights()))


def test_one_runner_reaches_the_environments_of_the_process() -> None:
    group = build(Corridor, 0, 3).env_runner_group
    for more in ({}, {"local_env_runner": False}, {"remote_worker_ids": [1]}):
        found: Any = group.foreach_env_runner(lambda runner: (runner.worker_index, runner.foreach_env(lambda env: env.unwrapped.get_task())), **more)
        assert found == [(0, [6, 6, 6])]


def test_runners_of_evaluation() -> None:
    group = evaluated(Corridor, 2).eval_env_runner_group
    assert group.foreach_env_runner(lambda runner: (runner.worker_index, runner.num_envs)) == [(1, 2), (2, 2)]
    pids = group.foreach_env_runner(lambda runner: runner.foreach_env(lambda env: os.getpid()))
    assert pids == group.foreach_env(lambda env: os.getpid()) and os.getpid() not in pids[0] + pids[1]
