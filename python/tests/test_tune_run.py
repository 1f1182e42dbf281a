"""Experiments with an algorithm that takes no time: files, stop criteria, checkpoints, failures."""

from __future__ import annotations

import csv
import json
import os
from pathlib import Path
from typing import Any

import pytest
from skirl import tune
from skirl.errors import CallbackError, ConfigError, SkirlError, TuneError
from skirl.tune.keeper import CheckpointKeeper
from skirl.tune.trial import Trial
from skirl.tune.variants import Variant
from tune_fakes import PPO, FakeConfig

RETURN = "env_runners/episode_return_mean"


def fit(trainable: Any, space: Any, where: Path, stop: Any = None, tune_config: Any = None, **run: Any) -> tune.ResultGrid:
    run_config = tune.RunConfig(storage_path=where, stop=stop, verbose=run.pop("verbose", 0), **run)
    return tune.Tuner(trainable, param_space=space, tune_config=tune_config, run_config=run_config).fit()


def test_the_tours_search(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = FakeConfig(lr=tune.grid_search([0.001, 0.0005, 0.0001]))
    results = fit(config.algo_class, config, tmp_path, {RETURN: 0.002, "training_iteration": 4}, verbose=1)
    assert len(results) == 3 and results.num_errors == 0 and results.num_terminated == 3
    assert [result.config["lr"] for result in results] == [0.001, 0.0005, 0.0001]
    assert [result.metrics["training_iteration"] for result in results] == [2, 4, 4]
    assert all(result.metrics["done"] for result in results)
    best = results.get_best_result(metric=RETURN, mode="max")
    assert best.config["lr"] == 0.001, "of two with the same return the first"
    assert json.loads((Path(best.checkpoint.path) / "state.json").read_text()) == {"iteration": 2, "lr": 0.001}
    assert results.get_best_result(RETURN, "min").config["lr"] == 0.0001
    printed = capsys.readouterr().out
    assert "Trial status: 3 TERMINATED" in printed
    assert "PPO_Line-v0_" in printed


def test_files_are_named_as_ray_names_them(tmp_path: Path) -> None:
    config = FakeConfig(lr=tune.grid_search([0.5]))
    stop = {"training_iteration": 3}
    checkpoints = tune.CheckpointConfig(checkpoint_frequency=2)
    (result,) = fit(PPO, config, tmp_path, stop, name="mine", checkpoint_config=checkpoints)
    path = Path(result.path)
    assert path.parent == tmp_path / "mine"
    assert path.name.startswith("PPO_Line-v0_") and "_00000_0_lr=0.5000_" in path.name
    assert sorted(p.name for p in path.iterdir()) == [
        "checkpoint_000000",
        "checkpoint_000001",
        "params.json",
        "progress.csv",
        "result.json",
    ]
    assert json.loads((path / "params.json").read_text())["lr"] == 0.5
    rows = list(csv.DictReader((path / "progress.csv").open()))
    assert [row[RETURN] for row in rows] == ["0.5", "1.0", "1.5"]
    lines = [json.loads(line) for line in (path / "result.json").open()]
    assert [line["done"] for line in lines] == [False, False, True]
    assert lines[-1] == result.metrics
    assert result.checkpoint.path.endswith("checkpoint_000001")
    assert [saved["training_iteration"] for _, saved in result.best_checkpoints] == [2, 3]


def test_metrics_that_come_later_get_columns(tmp_path: Path) -> None:
    def train(config: dict[str, Any]) -> dict[str, Any]:
        tune.report({"score": 1, "text": "a,b"})
        tune.report(score=2, nested={"late": 0.5})
        return {"score": 3}

    (result,) = fit(train, {}, tmp_path)
    rows = list(csv.DictReader((Path(result.path) / "progress.csv").open()))
    assert [(row["score"], row["text"], row["nested/late"]) for row in rows] == [("1", "a,b", ""), ("2", "", "0.5"), ("3", "", "")]
    assert result.metrics["training_iteration"] == 3
    pytest.importorskip("pandas")
    assert list(result.metrics_dataframe["score"]) == [1, 2, 3]


def test_the_dataframe_of_all_trials(tmp_path: Path) -> None:
    pytest.importorskip("pandas")
    results = fit(PPO, FakeConfig(lr=tune.grid_search([1.0, 2.0])), tmp_path, {"training_iteration": 2})
    frame = results.get_dataframe()
    assert list(frame[RETURN]) == [2.0, 4.0]
    assert list(frame["config/lr"]) == [1.0, 2.0]


def test_rays_old_function_with_a_reporter(tmp_path: Path) -> None:
    def train(config: Any, reporter: Any) -> None:
        while True:
            reporter(episode_reward_mean=config["step"] * config["num_workers"], again={"x": 1})

    calls: list[str] = []
    analysis = tune.run(
        train,
        config={"num_gpus": 0, "num_workers": 2, "step": tune.grid_search([1, 3])},
        resources_per_trial={
            "cpu": 1,
            "gpu": lambda spec: spec.config.num_gpus,
            "extra_cpu": lambda spec: spec.config.num_workers,
        },
        stop=lambda trial_id, result: calls.append(trial_id) or result["training_iteration"] >= 3,  # type: ignore[func-returns-value]
        storage_path=tmp_path,
        metric="episode_reward_mean",
        mode="max",
        verbose=0,
    )
    assert analysis.best_config["step"] == 3
    assert analysis.best_result["episode_reward_mean"] == 6
    assert sorted(calls) == [t.trial_id for t in analysis.trials for _ in range(3)]
    assert analysis.get_best_trial().last_result["training_iteration"] == 3
    assert Path(analysis.best_logdir, "result.json").exists()


def test_an_algorithm_from_a_dict(tmp_path: Path) -> None:
    config = {"env": "Line-v0", "lr": tune.grid_search([1.0, 2.0])}
    analysis = tune.run(
        PPO, config=config, stop={"episode_reward_mean": 3}, storage_path=tmp_path, verbose=0, metric=RETURN, mode="max"
    )
    assert [trial.last_result["training_iteration"] for trial in analysis.trials] == [3, 2]
    assert analysis.trials[0].name.startswith("PPO_Line-v0_")
    best = analysis.get_best_checkpoint(analysis.trials[1])
    assert best is not None and best == analysis.trials[1].checkpoint


def test_functions_report_checkpoints(tmp_path: Path) -> None:
    def train(config: dict[str, Any]) -> None:
        import tempfile

        assert tune.get_checkpoint() is None
        assert tune.get_context().get_trial_name().startswith("train_")
        for step in range(4):
            with tempfile.TemporaryDirectory() as directory:
                with open(os.path.join(directory, "step.txt"), "w") as file:
                    file.write(str(step))
                tune.report({"score": [5, 9, 1, 2][step]}, checkpoint=tune.Checkpoint.from_directory(directory))

    keep = tune.CheckpointConfig(num_to_keep=1, checkpoint_score_attribute="score")
    (result,) = fit(train, {}, tmp_path, checkpoint_config=keep)

    def step(checkpoint: tune.Checkpoint | None) -> str:
        assert checkpoint is not None
        return (Path(checkpoint.path) / "step.txt").read_text()

    # The best and the newest stay.
    assert [step(checkpoint) for checkpoint, _ in result.best_checkpoints] == ["1", "3"]
    assert step(result.checkpoint) == "3"
    assert step(result.get_best_checkpoint("score", "max")) == "1"
    assert sorted(p.name for p in Path(result.path).glob("checkpoint*")) == ["checkpoint_000001", "checkpoint_000003"]
    with result.checkpoint.as_directory() as directory:  # type: ignore[union-attr]
        assert Path(directory, "step.txt").exists()
    assert Path(result.checkpoint.to_directory(tmp_path / "copy"), "step.txt").exists()  # type: ignore[union-attr]


def test_failures_leave_the_others_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    space = {"env": "Line-v0", "fails_at": tune.grid_search([2, -1]), "dies_at": tune.grid_search([-1, 2])}
    results = fit(PPO, space, tmp_path, {"training_iteration": 3}, verbose=1)
    assert results.num_errors == 3
    by_config = {(result.config["fails_at"], result.config["dies_at"]): result for result in results}
    assert by_config[-1, -1].error is None
    assert by_config[-1, -1].metrics["training_iteration"] == 3
    raised = by_config[2, -1]
    assert isinstance(raised.error, TuneError)
    assert "ValueError: planted at 2" in str(raised.error) and "tune_fakes.py" in str(raised.error)
    assert raised.metrics["training_iteration"] == 1
    assert "ValueError: planted at 2" in (Path(raised.path) / "error.txt").read_text()
    died = str(by_config[-1, 2].error)
    assert "killed by SIGKILL (9)" in died and "about to die" in died
    printed = capsys.readouterr().out
    assert "Trial status: 1 TERMINATED | 3 ERROR" in printed
    assert "stopped in order" in printed


def test_tune_run_raises_if_a_trial_failed(tmp_path: Path) -> None:
    with pytest.raises(TuneError, match="1 of 1 trials failed(.|\n)*planted at 1"):
        tune.run(PPO, config={"fails_at": 1}, storage_path=tmp_path, verbose=0)


def test_fail_fast_ends_the_others(tmp_path: Path) -> None:
    space = {"fails_at": tune.grid_search([1, -1]), "sleep": 0.05}
    config = tune.FailureConfig(fail_fast=True)
    results = fit(PPO, space, tmp_path, failure_config=config, tune_config=tune.TuneConfig(max_concurrent_trials=2))
    assert results.num_errors == 1


@pytest.mark.parametrize(
    "stop, near",
    [({"env_runners/episode_return_maen": 1}, "env_runners/episode_return_mean"), ({"trainig_iteration": 3}, "training_iteration")],
)
def test_a_stop_key_that_no_result_has(stop: Any, near: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=f"no result has a metric(.|\n)*`{near}`"):
        fit(PPO, FakeConfig(), tmp_path, stop)


def test_a_metric_to_rank_by_that_no_result_has(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="TuneConfig: metric: no result has"):
        fit(PPO, FakeConfig(), tmp_path, {"training_iteration": 2}, tune.TuneConfig(metric="episode_return", mode="max"))
    keep = tune.CheckpointConfig(num_to_keep=1, checkpoint_score_attribute="score")
    with pytest.raises(ConfigError, match="checkpoint_score_attribute: no result has"):
        fit(PPO, FakeConfig(), tmp_path, {"training_iteration": 2}, checkpoint_config=keep)


def test_nested_and_awaited_stop_keys(tmp_path: Path) -> None:
    stop = {"env_runners": {"num_episodes_lifetime": 3}, "evaluation": {"env_runners": {"episode_return_mean": 1}}}
    (result,) = fit(PPO, FakeConfig(), tmp_path, stop)
    assert result.metrics["training_iteration"] == 3


def test_a_stop_function_that_fails_ends_all(tmp_path: Path) -> None:
    with pytest.raises(CallbackError, match="ZeroDivisionError") as caught:
        fit(PPO, FakeConfig(), tmp_path, lambda trial_id, result: 1 / 0)
    assert isinstance(caught.value.__cause__, ZeroDivisionError)


def test_a_seeded_experiment_repeats_itself(tmp_path: Path) -> None:
    def rows(num_samples: int) -> list[tuple[float, int]]:
        config = FakeConfig(lr=tune.uniform(0, 1))
        seeded = tune.TuneConfig(num_samples=num_samples, seed=5)
        results = fit(PPO, config, tmp_path, {"training_iteration": 1}, seeded)
        return [(result.config["lr"], result.metrics["seed"]) for result in results]

    two = rows(2)
    assert rows(1) == two[:1]
    assert two[0] != two[1] and None not in two[0]


def test_global_generators_of_functions_are_seeded(tmp_path: Path) -> None:
    def train(config: Any) -> dict[str, Any]:
        import random

        import numpy as np

        return {"drawn": [random.random(), float(np.random.rand())]}

    drawn = [fit(train, {}, tmp_path, None, tune.TuneConfig(seed=1))[0].metrics["drawn"] for _ in range(2)]
    assert drawn[0] == drawn[1]


def test_results_of_numpy_and_of_nothing_known(tmp_path: Path) -> None:
    def train(config: Any) -> None:
        import numpy as np

        tune.report({"a": np.float32(0.5), "b": np.arange(2), "nan": float("nan")})
        tune.report({"a": object()})

    (result,) = fit(train, {}, tmp_path)
    assert result.metrics["a"] == 0.5 and result.metrics["b"] == [0, 1]
    assert "a result holds numbers" in str(result.error)


def test_what_cannot_travel_is_said(tmp_path: Path) -> None:
    import threading

    lock = threading.Lock()
    with pytest.raises(ConfigError, match="process of their own"):
        fit(lambda config: lock, {}, tmp_path)


def test_the_best_of_nothing(tmp_path: Path) -> None:
    results = fit(PPO, {"lr": tune.grid_search([1.0, 2.0])}, tmp_path, {"training_iteration": 1})
    with pytest.raises(ConfigError, match="expected a metric and a mode"):
        results.get_best_result()
    with pytest.raises(ConfigError, match="near it: `env_runners/episode_return_mean`"):
        results.get_best_result("env_runners/episode_return_maen", "max")
    with pytest.raises(ConfigError, match="mode must be"):
        results.get_best_result(RETURN, "most")
    assert results.get_best_result(RETURN, "max", scope="all").config["lr"] == 2.0


@pytest.mark.parametrize(
    "make",
    [
        lambda: tune.TuneConfig(scheduler="asha"),
        lambda: tune.TuneConfig(search_alg=object()),
        lambda: tune.TuneConfig(time_budget_s=3),
        lambda: tune.TuneConfig(num_samples=-1),
        lambda: tune.TuneConfig(mode="best"),
        lambda: tune.RunConfig(storage_path="s3://bucket"),
        lambda: tune.RunConfig(callbacks=[1]),
        lambda: tune.RunConfig(name="a/b"),
        lambda: tune.FailureConfig(max_failures=3),
        lambda: tune.CheckpointConfig(num_to_keep=0),
        lambda: tune.run(PPO, config={}, scheduler="asha"),
        lambda: tune.run(PPO, config={}, resources_per_trial={"gpu": 1}),
        lambda: tune.run(PPO, config={}, stop={"a": "b"}),
        lambda: tune.Tuner(object),
        lambda: tune.Tuner(lambda a, b, c: 0),
        lambda: tune.Tuner(lambda config: 0, run_config=tune.RunConfig(checkpoint_config=tune.CheckpointConfig(checkpoint_frequency=1))),
    ],
)
def test_what_is_not_served_is_refused(make: Any) -> None:
    with pytest.raises(ConfigError):
        make()


def test_reporting_outside_of_a_trial() -> None:
    with pytest.raises(SkirlError, match="runs no trial"):
        tune.report({"a": 1})


def test_when_a_checkpoint_is_due() -> None:
    trial = Trial(0, "a_00000", "PPO_a_00000", Variant({}, {}, 0), {}, Path("."), last_result={"training_iteration": 4})

    def due(is_last: bool, is_function: bool = False, **config: Any) -> bool:
        return CheckpointKeeper(tune.CheckpointConfig(**config), is_function).is_due(trial, is_last, offers=False)

    assert due(True) and not due(False)
    assert due(False, checkpoint_frequency=2) and not due(False, checkpoint_frequency=3)
    assert not due(True, checkpoint_at_end=False)
    assert not due(True, is_function=True)
    trial.interrupted = True
    assert due(True, checkpoint_at_end=False), "what is interrupted is saved"


def test_a_trial_counts_for_what_it_keeps_busy():
    import gymnasium

    from skirl.algorithms.ppo import PPO, PPOConfig
    from skirl.tune.resources import cores_of

    def cores(env, **options):
        return cores_of(PPOConfig().environment(env).update_from_dict(options), PPO)

    class Own(gymnasium.Env):
        pass

    assert cores(Own, num_env_runners=3) == 3
    assert cores(Own, num_env_runners=0, num_threads=2) == 2
    # Runners of native environments are threads.
    assert cores("CartPole-v1", num_env_runners=3) == 1
    assert cores("CartPole-v1", num_threads=2, evaluation_parallel_to_training=True, evaluation_interval=1) == 3
    assert cores_of({"env": Own, "num_env_runners": 4}, PPO) == 4
    assert cores_of({"whatever": 1}, object) == 1
