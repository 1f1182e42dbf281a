"""The algorithms: each has a config, which builds it."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from skirl.algorithms.a2c import A2C, A2CConfig
    from skirl.algorithms.algorithm import Algorithm
    from skirl.algorithms.algorithm_config import AlgorithmConfig
    from skirl.algorithms.pg import PG, PGConfig
    from skirl.algorithms.ppo import PPO, PPOConfig

_LAZY = {
    "A2C": "a2c",
    "A2CConfig": "a2c",
    "Algorithm": "algorithm",
    "AlgorithmConfig": "algorithm_config",
    "PG": "pg",
    "PGConfig": "pg",
    "PPO": "ppo",
    "PPOConfig": "ppo",
}

__all__ = ["A2C", "A2CConfig", "Algorithm", "AlgorithmConfig", "PG", "PGConfig", "PPO", "PPOConfig"]


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module 'skirl.algorithms' has no attribute {name!r}")
    value = getattr(import_module(f"skirl.algorithms.{_LAZY[name]}"), name)
    globals()[name] = value
    return value
