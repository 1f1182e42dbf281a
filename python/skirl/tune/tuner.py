"""`Tuner`: a search space and a trainable become trials, the trials results."""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

from skirl.errors import ConfigError

from .display import make_display
from .experiment import Experiment
from .keeper import CheckpointKeeper
from .options import CheckpointConfig, FailureConfig, RunConfig, StopRule, TuneConfig
from .resources import available_cores, cores_of, cpus_per_trial
from .result import ResultGrid
from .session import TuneContext
from .stopping import Stopping
from .trainable import read_trainable
from .trial import Trial, make_trial
from .variants import Variant, expand


class Tuner:
    """Trains once for each combination of a search space, several trials at a time, each in a process of its own.

    `trainable` is an algorithm's class or name, or a function `(config)` that calls `tune.report`. `param_space` is a
    configuration object or a nested dict, with `tune.grid_search(…)`, `tune.uniform(…)` and so on as values.
    """

    def __init__(
        self,
        trainable: Any,
        *,
        param_space: Any = None,
        tune_config: TuneConfig | None = None,
        run_config: RunConfig | None = None,
        resources_per_trial: Mapping[str, Any] | None = None,
    ) -> None:
        self._trainable = read_trainable(trainable)
        self._param_space = {} if param_space is None else param_space
        if not isinstance(self._param_space, Mapping) and not hasattr(self._param_space, "_search_space"):
            raise ConfigError(f"param_space: expected a configuration object or a dict, found {param_space!r}")
        self._tune = tune_config or TuneConfig()
        self._run = run_config or RunConfig()
        self._resources = resources_per_trial
        self._stop = StopRule.read(self._run.stop)
        self._checkpoints = self._run.checkpoint_config or CheckpointConfig()
        self._failures = self._run.failure_config or FailureConfig()
        self._check_checkpoints()
        self._trials: list[Trial] | None = None
        #: Cores that each trial counts for.
        self._cores: dict[str, float] = {}
        self._path = Path()

    def _check_checkpoints(self) -> None:
        config = self._checkpoints
        if self._trainable.is_function and (config.checkpoint_frequency or config.checkpoint_at_end):
            raise ConfigError(
                "CheckpointConfig: a function writes its own checkpoints, tune.report(metrics, checkpoint=…); leave "
                "checkpoint_frequency and checkpoint_at_end out"
            )

    def fit(self) -> ResultGrid:
        """Runs all trials. Failed ones are told in the result; Ctrl-C saves, ends all trials, and returns what there is."""
        self._trials = self._make_trials()
        self._make_directory()
        cores = available_cores()
        display = make_display(self._run.verbose, self._tune.metric, cores)
        is_function = self._trainable.is_function
        experiment = Experiment(
            self._trials,
            self._blob,
            self._cores_of,
            # Without a limit of the user's the cores are the limit.
            float("inf") if self._tune.max_concurrent_trials else float(cores),
            self._tune.max_concurrent_trials or len(self._trials),
            Stopping(self._stop, is_function, self._ranked_by()),
            CheckpointKeeper(self._checkpoints, is_function),
            bool(self._failures.fail_fast),
            display,
        )
        try:
            experiment.run()
        finally:
            display.finish(self._trials, str(self._path))
        experiment.pass_on_signal()
        return self.get_results()

    def _cores_of(self, trial: Trial) -> float:
        if trial.trial_id not in self._cores:
            default = 1.0 if self._trainable.is_function else cores_of(trial.variant.params, self._trainable.target)
            self._cores[trial.trial_id] = cpus_per_trial(self._resources, trial.config, default)
        return self._cores[trial.trial_id]

    def _ranked_by(self) -> dict[str, str]:
        named = {
            "TuneConfig: metric": self._tune.metric,
            "CheckpointConfig: checkpoint_score_attribute": self._checkpoints.checkpoint_score_attribute,
        }
        return {path: whose for whose, path in named.items() if path is not None}

    def get_results(self) -> ResultGrid:
        """The results of the last `fit`, also after an error ended it."""
        if self._trials is None:
            raise ConfigError("get_results: there are no results yet; call fit first")
        return ResultGrid(self._trials, self._path, self._tune.metric, self._tune.mode)

    @property
    def trials(self) -> list[Trial]:
        """The trials of the last `fit`."""
        return [] if self._trials is None else self._trials

    def _make_trials(self) -> list[Trial]:
        started = datetime.now()
        name = self._run.name or f"{self._trainable.name}_{started:%Y-%m-%d_%H-%M-%S}"
        self._path = self._run.directory() / name
        seed = secrets.randbits(63) if self._tune.seed is None else self._tune.seed
        experiment_id = secrets.token_hex(3)[:5]
        variants = [self._seeded(variant) for variant in expand(self._param_space, self._tune.num_samples, seed)]
        trials = [
            make_trial(index, experiment_id, self._trainable.name, variant, self._path, started)
            for index, variant in enumerate(variants)
        ]
        for trial in trials:
            self._cores_of(trial)
        _refuse_if_none_can_run(variants)
        return trials

    def _make_directory(self) -> None:
        try:
            self._path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigError(f"RunConfig: results cannot be written to {self._path}: {error}; choose a storage_path") from error

    def _seeded(self, variant: Variant) -> Variant:
        """With a seed of the experiment, algorithms without one of their own get one that belongs to the trial."""
        if self._tune.seed is None or self._trainable.is_function:
            return variant
        params = variant.params
        if isinstance(params, Mapping):
            given = params.get("seed", (params.get("debugging") or {}).get("seed"))
            seeded: Any = params if given is not None else {**params, "seed": variant.seed}
        else:
            given = params.to_dict().get("seed")
            seeded = params if given is not None else params._with("debugging.seed", variant.seed)
        return Variant(seeded, variant.varied, variant.seed)

    def _blob(self, trial: Trial) -> bytes:
        import cloudpickle  # type: ignore[import-untyped]

        from .registry import registered_envs

        context = TuneContext(trial.trial_id, trial.name, str(trial.path), os.path.basename(self._path))
        spec = {
            "trainable": self._trainable,
            "params": trial.variant.params,
            "seed": None if self._tune.seed is None else trial.variant.seed,
            "envs": registered_envs(),
            "context": asdict(context),
        }
        try:
            return bytes(cloudpickle.dumps(spec))
        except Exception as error:
            raise ConfigError(
                f"{trial.name}: trainable, configuration and registered environments go to a process of their own, and one of "
                f"them cannot: {error}; create open files, locks, environments and the like inside of functions"
            ) from error


def _refuse_if_none_can_run(variants: list[Variant]) -> None:
    """A mistake that every trial has is said once, before any starts; one that some have is theirs."""
    problems = []
    for variant in variants:
        if not hasattr(variant.params, "validate"):
            return
        try:
            variant.params.validate()
        except ConfigError as error:
            problems.append(error)
        else:
            return
    if problems:
        raise problems[0]
