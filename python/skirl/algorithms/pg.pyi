# Written by python/tools/generate_stubs.py from the engine's option definitions.
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

from typing_extensions import Self

from skirl.algorithms._search import SearchSpace
from skirl.algorithms.algorithm import Algorithm
from skirl.algorithms.algorithm_config import AlgorithmConfig

class PGConfig(AlgorithmConfig):
    def training(
        self,
        *,
        gamma: float | SearchSpace = ...,
        lr: float | Sequence[Sequence[float]] | SearchSpace = ...,
        train_batch_size: int | SearchSpace = ...,
        grad_clip: float | None | SearchSpace = ...,
        grad_clip_by: Literal["global_norm", "norm", "value"] | SearchSpace = ...,
        standardize_advantages: Literal["batch", "minibatch", "none"] | SearchSpace = ...,
        optimizer: Mapping[str, Any] = ...,
        model: Mapping[str, Any] = ...,
    ) -> Self: ...
    def build_algo(self, env: Any = None, logger_creator: Callable[..., Any] | None = None) -> PG: ...
    def build(self, env: Any = None, logger_creator: Callable[..., Any] | None = None) -> PG: ...

class PG(Algorithm): ...

__all__ = ["PG", "PGConfig"]
