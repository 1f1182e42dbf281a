"""A small local Ray Tune: search spaces, trials in parallel processes, results. No schedulers, one machine."""

from typing import NoReturn

from .analysis import ExperimentAnalysis, run
from .checkpoint import Checkpoint
from .options import CheckpointConfig, FailureConfig, RunConfig, TuneConfig
from .registry import register_env
from .result import Result, ResultGrid
from .sample import (
    choice,
    grid_search,
    lograndint,
    loguniform,
    qlograndint,
    qloguniform,
    qrandint,
    qrandn,
    quniform,
    randint,
    randn,
    sample_from,
    uniform,
)
from .session import TuneContext, get_checkpoint, get_context, report
from .tuner import Tuner

__all__ = [
    "Checkpoint",
    "CheckpointConfig",
    "ExperimentAnalysis",
    "FailureConfig",
    "Result",
    "ResultGrid",
    "RunConfig",
    "TuneConfig",
    "TuneContext",
    "Tuner",
    "choice",
    "get_checkpoint",
    "get_context",
    "grid_search",
    "lograndint",
    "loguniform",
    "qlograndint",
    "qloguniform",
    "qrandint",
    "qrandn",
    "quniform",
    "randint",
    "randn",
    "register_env",
    "report",
    "run",
    "sample_from",
    "uniform",
]


def __getattr__(name: str) -> NoReturn:
    from difflib import get_close_matches

    near = get_close_matches(name, __all__, 1)
    meant = f"did you mean {near[0]!r}?" if near else "it is the local part of Ray Tune, without schedulers, searchers and actors"
    raise AttributeError(f"skirl.tune has no {name!r}; {meant}")
