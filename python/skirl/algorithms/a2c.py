"""Advantage actor-critic, synchronous (Mnih et al., 2016)."""

from skirl.algorithms.algorithm import Algorithm
from skirl.algorithms.algorithm_config import AlgorithmConfig


class A2CConfig(AlgorithmConfig, algorithm="A2C"):
    """The configuration of A2C, with RLlib's names and defaults."""


class A2C(Algorithm, config_class=A2CConfig):
    """Advantage actor-critic, synchronous (Mnih et al., 2016)."""


__all__ = ["A2C", "A2CConfig"]
