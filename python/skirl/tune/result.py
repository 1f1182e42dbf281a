"""What `Tuner.fit` returns."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from skirl.errors import ConfigError, SkirlError, TuneError

from .checkpoint import Checkpoint
from .metrics import flatten, is_number, lookup, near_names
from .trial import TERMINATED, Trial

class Result:
    """What came of one trial."""

    def __init__(self, trial: Trial) -> None:
        self._trial = trial
        self.metrics: dict[str, Any] = trial.last_result
        """The last result."""
        self.config: dict[str, Any] = trial.config
        """The trial's whole configuration."""
        self.checkpoint: Checkpoint | None = trial.checkpoint
        """The newest checkpoint."""
        self.path: str = str(trial.path)
        """The trial's directory."""
        self.error: TuneError | None = None if trial.error is None else TuneError(f"{trial.name} failed\n{trial.error}")
        """What went wrong, with the trial's traceback."""

    @property
    def best_checkpoints(self) -> list[tuple[Checkpoint, dict[str, Any]]]:
        """Checkpoints on disk with the results they belong to, oldest first."""
        return list(self._trial.checkpoints)

    def get_best_checkpoint(self, metric: str, mode: str) -> Checkpoint | None:
        """The checkpoint on disk whose result is best."""
        return best_checkpoint(self._trial, metric, mode)

    @property
    def metrics_dataframe(self) -> Any:
        """All results of the trial as a pandas.DataFrame: a row each, paths of metrics as columns."""
        return _pandas("Result.metrics_dataframe").DataFrame([flatten(result) for result in history(self._trial)])

    def __repr__(self) -> str:
        lines = [f"path={self.path!r}", f"checkpoint={self.checkpoint!r}", f"metrics={self.metrics!r}"]
        if self._trial.error is not None:
            lines.insert(0, f"error={self._trial.error_summary!r}")
        return "Result(\n  " + ",\n  ".join(lines) + "\n)"


class ResultGrid(Sequence[Result]):
    """The results of all trials, in the order of the trials."""

    def __init__(self, trials: Sequence[Trial], path: Path, metric: str | None = None, mode: str | None = None) -> None:
        self._trials = list(trials)
        self._results = [Result(trial) for trial in trials]
        self._metric, self._mode = metric, mode
        self.experiment_path: str = str(path)

    def __len__(self) -> int:
        return len(self._results)

    def __getitem__(self, index: Any) -> Any:
        return self._results[index]

    def __iter__(self) -> Iterator[Result]:
        return iter(self._results)

    @property
    def errors(self) -> list[TuneError]:
        """What went wrong, of each trial that failed."""
        return [result.error for result in self._results if result.error is not None]

    @property
    def num_errors(self) -> int:
        """How many trials failed."""
        return len(self.errors)

    @property
    def num_terminated(self) -> int:
        """How many trials ended well."""
        return sum(trial.status == TERMINATED for trial in self._trials)

    def get_best_result(
        self, metric: str | None = None, mode: str | None = None, scope: str = "last", filter_nan_and_inf: bool = True
    ) -> Result:
        """The trial whose last result (with scope "all": whose best result) has the highest or lowest metric.

        Without a metric that of `TuneConfig` counts; with a single trial none is needed.
        """
        if len(self._results) == 1 and metric is None and self._metric is None:
            return self._results[0]
        metric, mode = asked(metric, mode, self._metric, self._mode)
        return self._results[best_trial(self._trials, metric, mode, scope, filter_nan_and_inf).index]

    def get_dataframe(self) -> Any:
        """The last results as a pandas.DataFrame: a row for each trial, its configuration in columns `config/…`."""
        rows = [
            {**flatten(trial.last_result), **flatten(trial.config, "config/"), "logdir": str(trial.path)}
            for trial in self._trials
        ]
        return _pandas("ResultGrid.get_dataframe").DataFrame(rows)

    def __repr__(self) -> str:
        return "ResultGrid<[\n" + ",\n".join(f"  {result!r}" for result in self._results) + "\n]>"


def asked(metric: str | None, mode: str | None, default_metric: str | None, default_mode: str | None) -> tuple[str, str]:
    """The metric and mode to rank by; an error says where to name them."""
    metric, mode = metric or default_metric, mode or default_mode
    if metric is None or mode is None:
        missing = " and ".join(name for name, value in (("metric", metric), ("mode", mode)) if value is None)
        raise ConfigError(
            f"the best result: expected a metric and a mode, found no {missing}; for example "
            'get_best_result(metric="env_runners/episode_return_mean", mode="max"), or TuneConfig(metric=…, mode=…)'
        )
    if mode not in ("min", "max"):
        raise ConfigError(f"the best result: mode must be 'min' or 'max', found {mode!r}")
    return metric, mode


def best_trial(
    trials: Sequence[Trial], metric: str, mode: str, scope: str = "last", filter_nan_and_inf: bool = True
) -> Trial:
    """The first of the trials with the best value; trials without the metric do not count."""
    if scope not in ("last", "all"):
        raise ConfigError(f"the best result: scope must be 'last' or 'all', found {scope!r}")
    sign = 1.0 if mode == "max" else -1.0
    scores: list[tuple[float, Trial]] = []
    for trial in trials:
        results = [trial.last_result] if scope == "last" else history(trial)
        values = [lookup(result, metric) for result in results]
        numbers = [sign * v for v in values if is_number(v) and (not filter_nan_and_inf or math.isfinite(v))]
        if numbers:
            scores.append((max(numbers), trial))
    if not scores:
        raise _no_best(trials, metric)
    return max(scores, key=lambda score: score[0])[1]


def _no_best(trials: Sequence[Trial], metric: str) -> SkirlError:
    failed = [trial for trial in trials if trial.error is not None]
    with_results = [trial for trial in trials if trial.last_result]
    if with_results:
        return ConfigError(f"no trial has a finite number at `{metric}`; {near_names(with_results[0].last_result, metric)}")
    if failed:
        return TuneError(f"no trial has a result, {len(failed)} failed; the first: {failed[0].error_summary}")
    return TuneError("no trial has a result")


def best_checkpoint(trial: Trial, metric: str, mode: str) -> Checkpoint | None:
    """The trial's checkpoint whose result is best; None where it has none, an error where no result has the metric."""
    sign = 1.0 if mode == "max" else -1.0
    scores = [(lookup(result, metric), checkpoint) for checkpoint, result in trial.checkpoints]
    ranked = [(sign * score, checkpoint) for score, checkpoint in scores if is_number(score) and math.isfinite(score)]
    if scores and not ranked:
        raise ConfigError(f"no checkpoint has a result with `{metric}`; {near_names(trial.last_result, metric)}")
    return max(ranked, key=lambda entry: entry[0])[1] if ranked else None


def history(trial: Trial) -> list[dict[str, Any]]:
    """All results of a trial, from its file."""
    path = trial.path / "result.json"
    if not path.exists():
        return []
    with open(path, encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def _pandas(what: str) -> Any:
    try:
        import pandas  # type: ignore[import-untyped]
    except ImportError as error:
        raise SkirlError(f"{what} needs pandas; install it, or read the trial's progress.csv and result.json") from error
    return pandas
