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


def cpus_per_trial(resources: Mapping[str, Any] | None, config: Mapping[str, Any], default: float = 1.0) -> float:
    """Cores that a trial counts for, `default` where nothing is said. Values may be functions of `spec`, with `spec.config`."""
    total = 0.0
    for name, value in (resources or {"cpu": default}).items():
        amount = _amount(name, value, config)
        if name in _CPU_NAMES:
            total += amount
        elif name not in _GPU_NAMES:
            raise ConfigError(f"resources_per_trial: expected cpu, extra_cpu or gpu, found {name!r}")
        elif amount:
            raise ConfigError(f"resources_per_trial: {name} = {amount:g}: skirl trains on processors only; leave it out")
    return total


def cores_of(params: Any, algorithm: Any) -> float:
    """Cores that an algorithm keeps busy: its threads, or its worker processes, while which the threads wait; one more where
    evaluation runs beside training.

    Args:
        params: A config, or a map of options.
        algorithm: The algorithm's class.
    """
    config = params
    if isinstance(params, Mapping):
        if not hasattr(algorithm, "get_default_config"):
            return 1.0
        try:
            config = algorithm.get_default_config().update_from_dict(params)
        except ConfigError:
            # The trial will say what is wrong with it.
            return 1.0
    if not hasattr(config, "get"):
        return 1.0
    threads, runners = config.get("num_threads") or 1, config.get("num_env_runners") or 0
    busy = max(int(threads), int(runners) if _is_python(config) else 0, 1)
    return float(busy + bool(config.get("evaluation_parallel_to_training")))


def _is_python(config: Any) -> bool:
    """Whether the environment is written in Python: runners of native ones are threads."""
    from skirl import _native
    from skirl.env.registry import resolve

    env = config.get("env")
    try:
        return env is not None and _native.native_env(resolve(env, config.get("env_config") or {})) is None
    except Exception:
        # The trial will say what is wrong with it.
        return False


def _amount(name: str, value: Any, config: Mapping[str, Any]) -> float:
    if callable(value):
        value = value(ConfigView({"config": dict(config)}))
    if isinstance(value, bool) or not isinstance(value, (int, float)) or value < 0:
        raise ConfigError(f"resources_per_trial: expected a number of at least 0 for {name!r}, found {value!r}")
    return float(value)
