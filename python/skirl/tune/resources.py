"""Cores: how many there are, and for how many a trial counts."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from skirl.errors import ConfigError

from .variants import ConfigView

_CPU_NAMES = ("cpu", "extra_cpu", "CPU")
_GPU_NAMES = ("gpu", "extra_gpu", "GPU")


def available_cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def cpus_per_trial(resources: Mapping[str, Any] | None, config: Mapping[str, Any]) -> float:
    """Cores that a trial counts for, 1 where nothing is said. Values may be functions of `spec`, with `spec.config`."""
    total = 0.0
    for name, value in (resources or {"cpu": 1}).items():
        amount = _amount(name, value, config)
        if name in _CPU_NAMES:
            total += amount
        elif name not in _GPU_NAMES:
            raise ConfigError(f"resources_per_trial: expected cpu, extra_cpu or gpu, found {name!r}")
        elif amount:
            raise ConfigError(f"resources_per_trial: {name} = {amount:g}: skirl trains on processors only; leave it out")
    return total


def _amount(name: str, value: Any, config: Mapping[str, Any]) -> float:
    if callable(value):
        value = value(ConfigView({"config": dict(config)}))
    if isinstance(value, bool) or not isinstance(value, (int, float)) or value < 0:
        raise ConfigError(f"resources_per_trial: expected a number of at least 0 for {name!r}, found {value!r}")
    return float(value)
