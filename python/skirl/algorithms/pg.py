"""Policy gradient, REINFORCE (Williams, 1992)."""

from skirl.algorithms.algorithm import Algorithm
from skirl.algorithms.algorithm_config import AlgorithmConfig


class PGConfig(AlgorithmConfig, algorithm="PG"):
    """The configuration of PG, with RLlib's names and defaults."""


class PG(Algorithm, config_class=PGConfig):
    """Policy gradient, REINFORCE (Williams, 1992)."""


__all__ = ["PG", "PGConfig"]
