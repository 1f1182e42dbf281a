"""Environments: by name, by class, by creator."""

from skirl.env.env_context import EnvContext
from skirl.env.registry import register_env

__all__ = ["EnvContext", "register_env"]
