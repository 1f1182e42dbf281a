# Written by python/tools/generate_stubs.py from the engine's option definitions.
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

from typing_extensions import Self

from skirl.algorithms._search import SearchSpace
from skirl.algorithms.algorithm import Algorithm
from skirl.algorithms.algorithm_config import AlgorithmConfig

class A2CConfig(AlgorithmConfig):
    def training(
        self,
        *,
        gamma: float | SearchSpace = ...,
        lr: float | Sequence[Sequence[float]] | SearchSpace = ...,
        lambda_: float | SearchSpace = ...,
        train_batch_size: int | SearchSpace = ...,
        microbatch_size: int | None | SearchSpace = ...,
        use_critic: bool | SearchSpace = ...,
        use_gae: bool | SearchSpace = ...,
        vf_loss_coeff: float | SearchSpace = ...,
        entropy_coeff: float | Sequence[Sequence[float]] | SearchSpace = ...,
        grad_clip: float | None | SearchSpace = ...,
        grad_clip_by: Literal["global_norm", "norm", "value"] | SearchSpace = ...,
        standardize_advantages: Literal["batch", "minibatch", "none"] | SearchSpace = ...,
        optimizer: Mapping[str, Any] = ...,
        model: Mapping[str, Any] = ...,
    ) -> Self: ...
    def build_algo(self, env: Any = None, logger_creator: Callable[..., Any] | None = None) -> A2C: ...
    def build(self, env: Any = None, logger_creator: Callable[..., Any] | None = None) -> A2C: ...

class A2C(Algorithm): ...

__all__ = ["A2C", "A2CConfig"]
