"""`tune.run`, Ray's older way to start an experiment, and the analysis that it returns."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from skirl.errors import ConfigError, TuneError

from .checkpoint import Checkpoint
from .options import CheckpointConfig, FailureConfig, RunConfig, Stop, TuneConfig
from .result import ResultGrid, asked, best_checkpoint, best_trial
from .trial import Trial
from .tuner import Tuner


class ExperimentAnalysis:
    """The trials of an experiment and which is best."""

    def __init__(self, grid: ResultGrid, trials: list[Trial], metric: str | None, mode: str | None) -> None:
        self._grid = grid
        self.trials = trials
        self.default_metric, self.default_mode = metric, mode
        self.experiment_path = grid.experiment_path

    def get_best_trial(self, metric: str | None = None, mode: str | None = None, scope: str = "last") -> Trial:
        """The trial with the highest or lowest metric."""
        metric, mode = asked(metric, mode, self.default_metric, self.default_mode)
        return best_trial(self.trials, metric, mode, scope)

    def get_best_config(self, metric: str | None = None, mode: str | None = None, scope: str = "last") -> dict[str, Any]:
        """The best trial's configuration."""
        return self.get_best_trial(metric, mode, scope).config

    def get_best_logdir(self, metric: str | None = None, mode: str | None = None, scope: str = "last") -> str:
        """The best trial's directory."""
        return self.get_best_trial(metric, mode, scope).local_path

    def get_best_checkpoint(self, trial: Trial, metric: str | None = None, mode: str | None = None) -> Checkpoint | None:
        """The checkpoint of a trial whose result is best."""
        metric, mode = asked(metric, mode, self.default_metric, self.default_mode)
        return best_checkpoint(trial, metric, mode)

    @property
    def best_trial(self) -> Trial:
        """By the experiment's metric and mode, as all of these."""
        return self.get_best_trial()

    @property
    def best_config(self) -> dict[str, Any]:
        """Configuration of the best trial."""
        return self.best_trial.config

    @property
    def best_result(self) -> dict[str, Any]:
        """Last result of the best trial."""
        return self.best_trial.last_result

    @property
    def best_checkpoint(self) -> Checkpoint | None:
        """Newest checkpoint of the best trial."""
        return self.best_trial.checkpoint

    @property
    def best_logdir(self) -> str:
        """Directory of the best trial."""
        return self.best_trial.local_path

    @property
    def results(self) -> dict[str, dict[str, Any]]:
        """Last result of each trial by its id."""
        return {trial.trial_id: trial.last_result for trial in self.trials}

    def dataframe(self) -> Any:
        """The last results as a pandas.DataFrame, a row for each trial."""
        return self._grid.get_dataframe()


def run(
    run_or_experiment: Any,
    *,
    name: str | None = None,
    metric: str | None = None,
    mode: str | None = None,
    stop: Stop = None,
    config: Any = None,
    resources_per_trial: Mapping[str, Any] | None = None,
    num_samples: int = 1,
    storage_path: str | os.PathLike[str] | None = None,
    local_dir: str | os.PathLike[str] | None = None,
    checkpoint_config: CheckpointConfig | None = None,
    checkpoint_freq: int = 0,
    checkpoint_at_end: bool | None = None,
    keep_checkpoints_num: int | None = None,
    verbose: int = 1,
    fail_fast: bool = False,
    raise_on_failed_trial: bool = True,
    max_concurrent_trials: int | None = None,
    seed: int | None = None,
    **unserved: Any,
) -> ExperimentAnalysis:
    """Runs trials of `run_or_experiment` ("PPO", a class, or a function) and returns an analysis of them.

    Raises `TuneError` at the end if a trial failed, unless `raise_on_failed_trial` is False.
    """
    if unserved:
        names = ", ".join(f"`{option}`" for option in unserved)
        raise ConfigError(f"tune.run: {names} is not served by skirl.tune; leave it out")
    if checkpoint_config is None:
        checkpoint_config = CheckpointConfig(
            num_to_keep=keep_checkpoints_num, checkpoint_frequency=checkpoint_freq, checkpoint_at_end=checkpoint_at_end
        )
    elif checkpoint_freq or checkpoint_at_end is not None or keep_checkpoints_num is not None:
        raise ConfigError("tune.run: give either checkpoint_config or its older single options, not both")
    tuner = Tuner(
        run_or_experiment,
        param_space=config,
        tune_config=TuneConfig(
            metric=metric, mode=mode, num_samples=num_samples, max_concurrent_trials=max_concurrent_trials, seed=seed
        ),
        run_config=RunConfig(
            name=name,
            storage_path=storage_path if local_dir is None else local_dir,
            stop=stop,
            checkpoint_config=checkpoint_config,
            failure_config=FailureConfig(fail_fast=fail_fast),
            verbose=verbose,
        ),
        resources_per_trial=resources_per_trial,
    )
    grid = tuner.fit()
    if grid.errors and raise_on_failed_trial:
        raise TuneError(f"{grid.num_errors} of {len(grid)} trials failed; the first:\n{grid.errors[0]}")
    return ExperimentAnalysis(grid, tuner.trials, metric, mode)
