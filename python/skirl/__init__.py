"""Reinforcement learning with RLlib's API on a native engine.

The modules are called as RLlib's (`skirl.algorithms.ppo`, `skirl.core.rl_module`, `skirl.tune`, ...). What is used most has a
short name here, imported when it is first used: `from skirl import PPOConfig`.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from skirl.errors import (
    CallbackError,
    CheckpointError,
    ConfigError,
    EnvError,
    InternalError,
    SkirlError,
    SkirlWarning,
    StoppedError,
    TrainingError,
    TuneError,
)

if TYPE_CHECKING:
    from skirl import tune
    from skirl.algorithms.a2c import A2C, A2CConfig
    from skirl.algorithms.algorithm import Algorithm
    from skirl.algorithms.algorithm_config import AlgorithmConfig
    from skirl.algorithms.pg import PG, PGConfig
    from skirl.algorithms.ppo import PPO, PPOConfig
    from skirl.check import check_env
    from skirl.core.rl_module.rl_module import RLModule
    from skirl.env.multi_agent_env import MultiAgentEnv
    from skirl.env.registry import register_env

    __version__: str

#: Short name -> module that has it.
_LAZY = {
    "A2C": "skirl.algorithms.a2c",
    "A2CConfig": "skirl.algorithms.a2c",
    "Algorithm": "skirl.algorithms.algorithm",
    "AlgorithmConfig": "skirl.algorithms.algorithm_config",
    "MultiAgentEnv": "skirl.env.multi_agent_env",
    "PG": "skirl.algorithms.pg",
    "PGConfig": "skirl.algorithms.pg",
    "PPO": "skirl.algorithms.ppo",
    "PPOConfig": "skirl.algorithms.ppo",
    "RLModule": "skirl.core.rl_module.rl_module",
    "__version__": "skirl._native",
    "check_env": "skirl.check",
    "register_env": "skirl.env.registry",
}
#: Modules that are reached as attributes: `skirl.tune`.
_MODULES = ("algorithms", "callbacks", "check", "core", "env", "estimators", "evaluation", "policy", "shared", "testing", "tune", "utils")

__all__ = [
    "A2C",
    "A2CConfig",
    "Algorithm",
    "AlgorithmConfig",
    "CallbackError",
    "CheckpointError",
    "ConfigError",
    "EnvError",
    "InternalError",
    "MultiAgentEnv",
    "PG",
    "PGConfig",
    "PPO",
    "PPOConfig",
    "RLModule",
    "SkirlError",
    "SkirlWarning",
    "StoppedError",
    "TrainingError",
    "TuneError",
    "check_env",
    "register_env",
    "tune",
]


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        value = getattr(import_module(_LAZY[name]), name)
        globals()[name] = value
        return value
    if name in _MODULES:
        return import_module(f"skirl.{name}")
    raise AttributeError(f"module 'skirl' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_LAZY, *_MODULES})
