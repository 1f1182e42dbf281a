"""Environments by names of the user's own, at the place where Ray has it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any


def register_env(name: str, env_creator: Callable[..., Any]) -> None:
    """Makes `env_creator(env_context)` known by this name, in this process and in those of trials and workers."""
    from skirl.env import registry

    registry.register_env(name, env_creator)


def registered_envs() -> dict[str, Callable[..., Any]]:
    """All creators that the user registered, by name."""
    registry = sys.modules.get("skirl.env.registry")
    # Where the registry was never imported, nothing was registered.
    return {} if registry is None else dict(registry._creators)
