"""Modules: policy and value function of one agent or many."""

from skirl.core.rl_module.default_model_config import DefaultModelConfig
from skirl.core.rl_module.rl_module import RLModule

__all__ = ["DefaultModelConfig", "RLModule"]
