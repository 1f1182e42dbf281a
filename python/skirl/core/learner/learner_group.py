"""The learners of an algorithm, under RLlib's name."""

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

from skirl._rllib_names import TellsInstead

if TYPE_CHECKING:
    import numpy as np

    from skirl.algorithms.algorithm import Algorithm


class LearnerGroup(TellsInstead):
    """The learners of all modules. What they do is the engine's: here are their weights."""

    def __init__(self, algorithm: "Algorithm") -> None:
        self._algorithm = algorithm

    def get_weights(self, module_ids: Collection[str] | None = None) -> dict[str, "dict[str, np.ndarray[Any, Any]]"]:
        """Weights by module and name, as copies.

        Args:
            module_ids: Ids of the modules; None gives all.
        """
        return self._algorithm.get_weights(None if module_ids is None else sorted(module_ids))

    def set_weights(self, weights: "Mapping[str, Mapping[str, np.ndarray[Any, Any]]]") -> None:
        """Replaces weights, for learning and acting alike, as `set_weights` of the algorithm. Optimizers keep their moments."""
        self._algorithm.set_weights(weights)
