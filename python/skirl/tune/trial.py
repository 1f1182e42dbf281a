"""One trial: its name, its directory, and how far it is."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from .checkpoint import Checkpoint
from .variants import Variant

PENDING = "PENDING"
RUNNING = "RUNNING"
TERMINATED = "TERMINATED"
ERROR = "ERROR"

_MAX_DIRECTORY_NAME = 130


@dataclass
class Trial:
    """What the parent knows of a trial."""

    index: int
    trial_id: str
    """For example `b5c41_00000`: the experiment, and the trial's number."""
    name: str
    """For example `PPO_Pendulum-v1_b5c41_00000`."""
    variant: Variant
    config: dict[str, Any]
    """The whole configuration, options by flat name as RLlib has them."""
    path: Path
    status: str = PENDING
    last_result: dict[str, Any] = field(default_factory=dict)
    num_results: int = 0
    checkpoints: list[tuple[Checkpoint, dict[str, Any]]] = field(default_factory=list)
    """Those on disk with the result that each belongs to, oldest first."""
    num_checkpoints_written: int = 0
    error: str | None = None
    """Traceback of what went wrong, or a sentence."""
    error_summary: str = ""
    interrupted: bool = False

    @property
    def checkpoint(self) -> Checkpoint | None:
        """The newest checkpoint."""
        return self.checkpoints[-1][0] if self.checkpoints else None

    @property
    def local_path(self) -> str:
        """Directory of the trial."""
        return str(self.path)

    @property
    def logdir(self) -> str:
        """Older name of `local_path`."""
        return str(self.path)

    def __repr__(self) -> str:
        return self.name


def make_trial(index: int, experiment_id: str, trainable: str, variant: Variant, where: Path, started: datetime) -> Trial:
    """A trial that has not started, named as Ray names it."""
    config = dict(variant.params) if isinstance(variant.params, Mapping) else variant.params.to_dict()
    trial_id = f"{experiment_id}_{index:05}"
    env = env_name(config)
    name = "_".join([trainable, *([env] if env else []), trial_id])
    path = where / directory_name(name, index, variant.varied, started)
    return Trial(index, trial_id, name, variant, config, path)


def env_name(config: Mapping[str, Any]) -> str:
    """The environment's name without module or library, or an empty text."""
    section = config.get("environment")
    env = section.get("env") if isinstance(section, Mapping) else config.get("env")
    if isinstance(env, str):
        return env.rpartition(":")[2]
    return getattr(env, "__name__", "") if env is not None else ""


def directory_name(name: str, index: int, varied: Mapping[str, Any], started: datetime) -> str:
    """As Ray's: `PPO_CartPole-v1_b5c41_00000_0_lr=0.0010_2025-01-17_18-44-33`."""
    chosen = ",".join(f"{path.rpartition('/')[2]}={tag(value)}" for path, value in sorted(varied.items()))
    text = "_".join([name, str(index), *([chosen] if chosen else [])])[:_MAX_DIRECTORY_NAME]
    return re.sub(r'[/()<>:"\\|?*\s]', "_", f"{text}_{started:%Y-%m-%d_%H-%M-%S}")


def tag(value: Any) -> str:
    """A varied value in a directory's name."""
    if isinstance(value, float):
        return f"{value:.4f}" if abs(value) >= 1e-3 else f"{value:.4g}"
    text = getattr(value, "__name__", None) or str(value)
    return re.sub(r"[^\w.,=+-]+", "_", text).strip("_")
