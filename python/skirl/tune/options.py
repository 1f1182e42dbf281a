"""What a user may say about an experiment: `TuneConfig`, `RunConfig`, `CheckpointConfig`, `FailureConfig`."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Union

from skirl.errors import ConfigError

from .metrics import flatten, is_number

StopFunction = Callable[[str, dict[str, Any]], bool]
Stop = Union[Mapping[str, Any], StopFunction, list[Any], None]

# Options of Ray's classes that are not served, and what to do instead.
_UNSERVED = {
    "scheduler": "all trials run until their stop criteria; leave it out",
    "search_alg": "grids and random draws are served; leave it out",
    "time_budget_s": 'stop each trial by its time instead, RunConfig(stop={"time_total_s": …})',
    "reuse_actors": "each trial has a process of its own; leave it out",
    "trial_name_creator": "trials are named as Ray names them; leave it out",
    "trial_dirname_creator": "directories are named as Ray names them; leave it out",
    "storage_filesystem": "results are written to a local directory, storage_path",
    "sync_config": "results are written to a local directory, storage_path",
    "callbacks": "give callbacks to the algorithm, config.callbacks(…)",
    "progress_reporter": "choose how much is printed with verbose = 0, 1 or 2",
    "log_to_file": "what trials print appears in the terminal, tagged with the trial's name",
    "resume": "start the experiment anew",
    "restore": "start the experiment anew",
}


def refuse_unserved(where: str, given: Mapping[str, Any]) -> None:
    """Raises if an option of Ray's was given a value other than Ray's default."""
    refused = [name for name, value in given.items() if value]
    if refused:
        lines = [f"{where}: `{name}` is not served by skirl.tune; {_UNSERVED[name]}" for name in refused]
        raise ConfigError("\n".join(lines))


@dataclass
class CheckpointConfig:
    """When checkpoints are written, and which are kept."""

    num_to_keep: int | None = None
    """So many of the best, by `checkpoint_score_attribute`, or of the newest; the newest is always kept. None keeps all."""
    checkpoint_score_attribute: str | None = None
    """Path of the metric that ranks checkpoints."""
    checkpoint_score_order: str = "max"
    """Whether a high (`max`) or a low (`min`) score is good."""
    checkpoint_frequency: int = 0
    """Iterations from one checkpoint to the next; 0 writes none before the end."""
    checkpoint_at_end: bool | None = None
    """A checkpoint when the trial ends. None: yes for algorithms, no for functions, which report their own."""

    def __post_init__(self) -> None:
        if self.num_to_keep is not None and self.num_to_keep < 1:
            raise ConfigError(f"CheckpointConfig: num_to_keep must be at least 1 or None, found {self.num_to_keep}")
        if self.checkpoint_frequency < 0:
            raise ConfigError(
                f"CheckpointConfig: checkpoint_frequency must be at least 0, found {self.checkpoint_frequency}"
            )
        _check_mode("CheckpointConfig: checkpoint_score_order", self.checkpoint_score_order)


@dataclass
class FailureConfig:
    """What happens when a trial fails: the others go on, unless `fail_fast`. Failed trials are not repeated."""

    max_failures: int = 0
    fail_fast: bool | str = False

    def __post_init__(self) -> None:
        if self.max_failures != 0:
            raise ConfigError("FailureConfig: `max_failures` is not served by skirl.tune: a failed trial stays failed; use 0")
        if self.fail_fast not in (False, True):
            raise ConfigError(f"FailureConfig: fail_fast must be True or False, found {self.fail_fast!r}")


@dataclass
class TuneConfig:
    """How many trials, of which the best is asked for."""

    metric: str | None = None
    """Path of the metric that ranks trials, for example `env_runners/episode_return_mean`."""
    mode: str | None = None
    """Whether a high (`max`) or a low (`min`) value is good."""
    search_alg: Any = None
    scheduler: Any = None
    num_samples: int = 1
    """How often the search space is gone through; all grid combinations each time."""
    max_concurrent_trials: int | None = None
    """Trials at the same time. None: as many as there are cores."""
    time_budget_s: float | None = None
    reuse_actors: bool = False
    trial_name_creator: Any = None
    trial_dirname_creator: Any = None
    seed: int | None = None
    """Fixes what is drawn for each trial, and the seeds of trials that have none. Not in Ray."""

    def __post_init__(self) -> None:
        names = ("search_alg", "scheduler", "time_budget_s", "reuse_actors", "trial_name_creator", "trial_dirname_creator")
        refuse_unserved("TuneConfig", {name: getattr(self, name) for name in names})
        if self.mode is not None:
            _check_mode("TuneConfig: mode", self.mode)
        if self.num_samples < 1:
            raise ConfigError(f"TuneConfig: num_samples must be at least 1, found {self.num_samples}")
        # Ray's 0 means "no limit" as well.
        if self.max_concurrent_trials is not None and self.max_concurrent_trials < 0:
            raise ConfigError(f"TuneConfig: max_concurrent_trials must be at least 1, found {self.max_concurrent_trials}")
        if self.seed is not None and self.seed < 0:
            raise ConfigError(f"TuneConfig: seed must be at least 0, found {self.seed}")


@dataclass
class RunConfig:
    """Where results go, and when trials stop."""

    name: str | None = None
    """The experiment's directory below `storage_path`. None: the trainable's name and the time."""
    storage_path: str | os.PathLike[str] | None = None
    """None: `$SKIRL_RESULTS`, else `~/skirl_results`."""
    storage_filesystem: Any = None
    failure_config: FailureConfig | None = None
    checkpoint_config: CheckpointConfig | None = None
    sync_config: Any = None
    verbose: int = 1
    """0 prints nothing, 1 the table of trials, 2 a line for each result as well."""
    stop: Stop = None
    """Minima of metrics (`{"env_runners/episode_return_mean": 450}`), or a function `(trial_id, result) -> bool`, or a list of both."""
    callbacks: Any = None
    progress_reporter: Any = None
    log_to_file: Any = False

    def __post_init__(self) -> None:
        names = ("storage_filesystem", "sync_config", "callbacks", "progress_reporter", "log_to_file")
        refuse_unserved("RunConfig", {name: getattr(self, name) for name in names})
        if self.name is not None and (not self.name or Path(self.name).name != self.name):
            raise ConfigError(f"RunConfig: name must be the name of one directory, found {self.name!r}")
        if self.storage_path is not None and "://" in os.fspath(self.storage_path):
            raise ConfigError(f"RunConfig: storage_path must be a local directory, found {str(self.storage_path)!r}")

    def directory(self) -> Path:
        """Where experiments are stored."""
        if self.storage_path is None:
            from skirl.algorithms._checkpoints import results_directory

            return results_directory().absolute()
        return Path(self.storage_path).expanduser().absolute()


@dataclass
class StopRule:
    """Stop criteria, read."""

    thresholds: dict[str, float] = field(default_factory=dict)
    functions: list[StopFunction] = field(default_factory=list)

    @classmethod
    def read(cls, stop: Stop) -> StopRule:
        """Reads what `RunConfig(stop=…)` takes."""
        rule = cls()
        for part in stop if isinstance(stop, (list, tuple)) else [stop]:
            if isinstance(part, Mapping):
                rule.thresholds.update({path: _threshold(path, value) for path, value in flatten(part).items()})
            elif callable(part):
                rule.functions.append(part)
            elif part is not None:
                raise ConfigError(
                    f"stop: expected a map from metrics to minima, or a function (trial_id, result) -> bool, found {part!r}"
                )
        return rule


def _threshold(path: str, value: Any) -> float:
    number = value.item() if hasattr(value, "item") else value
    if number is True or is_number(number):
        return number  # type: ignore[no-any-return]
    raise ConfigError(f"stop: expected a number as minimum of `{path}`, found {value!r}")


def _check_mode(where: str, mode: str) -> None:
    if mode not in ("min", "max"):
        raise ConfigError(f"{where} must be 'min' or 'max', found {mode!r}")
