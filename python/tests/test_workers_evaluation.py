"""Evaluation in processes of its own: the same episodes as in one process, also when a runner is killed."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest
import worker_runs as runs
from skirl.errors import EnvError
from worker_runs import Corridor, build

pytestmark = pytest.mark.usefixtures("no_runners_of_other_tests")

#: An untrained policy that takes its most likely action would never arrive.
DRAWN = {"explore": True}


def evaluated(env: Any, runners: int, env_config: dict[str, Any] | None = None, **evaluation: Any) -> Any:
    """A run with four environments of evaluation, in so many processes."""
    number = {"evaluation_num_env_runners": runners} if runners else {"evaluation_num_envs": 4}
    options = {"evaluation_interval": 1, "evaluation_duration": 10, "evaluation_config": DRAWN, **number, **evaluation}
    envs = 4 // (runners or 1)
    sections = {"env_runners": {"observation_filter": "MeanStdFilter"}, "evaluation": options}
    return build(env, 0, envs, env_config, **sections)


def episodes(result: dict[str, Any]) -> dict[str, Any]:
    """What was played, without the state of the processes."""
    return dict(result["evaluation"]["env_runners"])


@pytest.mark.parametrize("unit", ["episodes", "timesteps"])
@pytest.mark.parametrize("beside", [False, True])
def test_the_same_episodes_as_in_the_process(unit: str, beside: bool) -> None:
    options = {"evaluation_duration_unit": unit, "evaluation_duration": {"episodes": 10, "timesteps": 300}[unit]}
    if beside:
        options["evaluation_parallel_to_training"] = True
    options["evaluation_config"] = DRAWN
    # The number of training environments goes with it, so both have the same.
    here = build(Corridor, 0, 2, evaluation={"evaluation_interval": 1, "evaluation_num_envs": 4, **options})
    there = build(Corridor, 0, 2, evaluation={"evaluation_interval": 1, "evaluation_num_env_runners": 2, **options})
    for _ in range(3):
        mine, theirs = here.train(), there.train()
        assert episodes(mine) == episodes(theirs)
        assert "num_healthy_workers" not in mine["evaluation"]
        assert theirs["evaluation"]["num_healthy_workers"] == 2
    assert len(runs.workers()) == 2
    assert here.evaluate(seed=3)["env_runners"] == there.evaluate(seed=3)["env_runners"]
    there.stop()
    assert runs.workers() == []


class KilledOnce(Corridor):
    """Kills its process in a step, the first time that it comes so far."""

    def __init__(self, mark: str = "", at: int = 0, how: str = "kill") -> None:
        super().__init__(length=9)
        self.mark, self.fatal, self.how, self.steps = Path(mark), at, how, 0

    def step(self, action: Any) -> Any:
        self.steps += 1
        if self.fatal and self.steps == self.fatal and self.is_first():
            if self.how == "raise":
                raise ValueError("once")
            os.kill(os.getpid(), signal.SIGKILL)
        return super().step(action)

    def is_first(self) -> bool:
        try:
            self.mark.touch(exist_ok=False)
        except FileExistsError:
            return False
        return True


@pytest.mark.parametrize(("at", "how"), [(1, "kill"), (20, "raise"), (150, "kill")])
def test_a_killed_runner_plays_the_same_round(at: int, how: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    fatal = {"evaluation_config": {"env_config": {"mark": str(tmp_path / "mark"), "at": at, "how": how}, **DRAWN}}
    number = {"evaluation_interval": 1, "evaluation_duration": 40, "evaluation_num_env_runners": 2, "evaluation_config": DRAWN}
    told = []

    def recreated(env_runner_group: Any, env_runner_indices: list[int], is_evaluation: bool) -> None:
        told.append((len(env_runner_indices), is_evaluation, env_runner_group.num_remote_env_runners()))

    whole = build(KilledOnce, 0, 2, evaluation=number)
    callbacks = {"on_env_runners_recreated": recreated}
    broken = build(KilledOnce, 0, 2, evaluation={**number, **fatal}, callbacks=callbacks)
    for _ in range(2):
        mine, theirs = whole.train(), broken.train()
        assert episodes(mine) == episodes(theirs)
    assert (tmp_path / "mark").exists()
    assert theirs["evaluation"]["num_healthy_workers"] == 2
    assert theirs["evaluation"]["num_remote_worker_restarts"] == 1
    assert told == [(1, True, 2)]
    assert "[evaluation env_runner " in capfd.readouterr().err


def test_a_bug_in_an_environment_of_evaluation_ends_the_run(tmp_path: Path) -> None:
    class Broken(Corridor):
        def __init__(self, broken: bool = False) -> None:
            super().__init__()
            self.broken = broken

        def step(self, action: Any) -> Any:
            if self.broken:
                raise ValueError("always")
            return super().step(action)

    wrong = {"evaluation_config": {"env_config": {"broken": True}, **DRAWN}}
    algorithm = evaluated(Broken, 2, **wrong)
    with pytest.raises(EnvError, match=r"(?s)evaluation's env_runner 1: .*ValueError: always.*failed again 3 times"):
        algorithm.train()


def test_workers_of_training_and_of_evaluation() -> None:
    options = {"evaluation_interval": 1, "evaluation_num_env_runners": 1, "evaluation_config": DRAWN}
    algorithm = build(Corridor, 2, 1, evaluation=options)
    result = algorithm.train()
    assert result["fault_tolerance"]["num_healthy_workers"] == 2
    assert result["evaluation"]["num_healthy_workers"] == 1
    assert len(runs.workers()) == 3
    algorithm.stop()
    assert runs.workers() == []


def test_native_environments_are_evaluated_in_the_process() -> None:
    algorithm = evaluated("CartPole-v1", 2)
    assert "num_healthy_workers" not in algorithm.train()["evaluation"]
    assert runs.workers() == []


def test_the_environments_of_evaluation_are_reached_in_their_processes() -> None:
    algorithm = evaluated(Corridor, 2)
    group = algorithm.eval_env_runner_group
    pids = group.foreach_env(lambda env: os.getpid())
    assert len(pids) == 2 and pids[0] == [pids[0][0]] * 2 and os.getpid() not in pids[0] + pids[1]
    assert group.num_remote_env_runners() == group.num_healthy_remote_env_runners() == 2
    assert algorithm.train()["evaluation"]["env_runners"]["num_episodes"] == 10
    assert group.foreach_env(lambda env: os.getpid()) == pids
