"""Proximal policy optimization (Schulman et al., 2017)."""

from skirl.algorithms.algorithm import Algorithm
from skirl.algorithms.algorithm_config import AlgorithmConfig


class PPOConfig(AlgorithmConfig, algorithm="PPO"):
    """The configuration of PPO, with RLlib's names and defaults."""


class PPO(Algorithm, config_class=PPOConfig):
    """Proximal policy optimization (Schulman et al., 2017)."""


__all__ = ["PPO", "PPOConfig"]
