"""One module outside its run: from a checkpoint to outputs for observations."""

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from skirl._native import NativeModule, space_from_json
from skirl._spaces import batch_columns_of
from skirl._weights import by_name
from skirl.algorithms._checkpoints import here
from skirl.errors import CheckpointError, EnvError, SkirlWarning

if TYPE_CHECKING:
    from typing import Self

    import gymnasium

Array = np.ndarray[Any, Any]

#: Where a checkpoint has its modules, seen from the checkpoint and from the directories on the way.
WAYS_IN = ("learner_group/learner/rl_module", "learner/rl_module", "rl_module", ".")


class RLModule:
    """Policy and value function, evaluated by the native engine."""

    _native: NativeModule

    def __init__(self) -> None:
        raise TypeError("a module is made by RLModule.from_checkpoint(path) or algorithm.get_module()")

    @classmethod
    def _over(cls, native: NativeModule) -> "Self":
        module = object.__new__(cls)
        module._native = native
        module._described = native.describe()
        return module

    _described: dict[str, Any]

    @classmethod
    def from_checkpoint(cls, path: str | Path) -> "Self":
        """The module in `checkpoint/learner_group/learner/rl_module/<module id>`, or in a copy of that directory.

        The example that is stored beside the weights proves that it computes what it computed when it was saved. Statistics
        of an `observation_filter` are not in it: they belong to the environments' side.

        Raises:
            CheckpointError: The directory is damaged, or holds no module.
        """
        directory = here(path)
        if inside := _modules_in(directory):
            found = " or ".join(repr(str(module)) for module in inside[:3])
            raise CheckpointError(f"expected the directory of a module, found {str(directory)!r}, in which there is one: give {found}")
        native, remarks = NativeModule.from_checkpoint(directory)
        for remark in remarks:
            warnings.warn(remark, SkirlWarning, stacklevel=2)
        return cls._over(native)

    def forward_inference(self, batch: Mapping[str, Any], **_: Any) -> dict[str, Any]:
        """Inputs of the action distribution for a batch of observations.

        Args:
            batch: `{"obs": observations}` with a batch dimension in front, as NumPy arrays or torch tensors: `[B, ...]` as
                the environment gives them, or flat as the network sees them.

        Returns:
            `{"action_dist_inputs": [B, n]}` as float32, of the same kind as the observations: logits for discrete actions, means
            and then log standard deviations for continuous ones.

        Raises:
            EnvError: Observations of another shape or type than the observation space's.
        """
        return self._forward(batch, value=False)

    def forward_exploration(self, batch: Mapping[str, Any], **_: Any) -> dict[str, Any]:
        """As `forward_inference`: exploring is drawing from the distribution."""
        return self._forward(batch, value=False)

    def forward_train(self, batch: Mapping[str, Any], **_: Any) -> dict[str, Any]:
        """As `forward_inference`, and `vf_preds` `[B]` where the module has a value function. Gradients do not flow: learning is
        the engine's.
        """
        return self._forward(batch, value=True)

    def compute_values(self, batch: Mapping[str, Any]) -> Any:
        """The value function's estimates `[B]`.

        Raises:
            EnvError: Also a module without a value function.
        """
        outputs = self._forward(batch, value=True)
        if "vf_preds" not in outputs:
            raise EnvError("this module has no value function: its algorithm trains without one")
        return outputs["vf_preds"]

    def _forward(self, batch: Mapping[str, Any], value: bool) -> dict[str, Any]:
        if not isinstance(batch, Mapping) or "obs" not in batch:
            found = list(batch) if isinstance(batch, Mapping) else type(batch).__name__
            raise EnvError(f'batch: expected a map with the key "obs", found {found}: write {{"obs": observations}}')
        arrays, like = _to_numpy(batch["obs"])
        dist, values = self._native.forward(self._inputs(arrays), value)
        outputs = {"action_dist_inputs": dist} | ({} if values is None else {"vf_preds": values})
        return outputs if like is None else {name: _to_torch(array, like) for name, array in outputs.items()}

    def _inputs(self, observations: Any) -> Array:
        """Observations as the network sees them: `[B, width]` float32."""
        width = self._described["obs_width"]
        space = self._described["observation_space"]
        if isinstance(observations, (np.ndarray, list)):
            array = np.asarray(observations)
            if array.ndim == 2 and array.shape[1] == width and array.dtype.kind in "fiub":
                return _finite(np.ascontiguousarray(array, dtype=np.float32))
            if array.dtype.kind not in "fiub" or array.ndim == 0:
                raise EnvError(f"obs: expected numbers [B, {width}], found {array.dtype} of shape {array.shape}")
            if array.shape == (width,) and space["type"] == "Box":
                raise EnvError(
                    f"obs: expected [B, {width}], found one observation of shape {array.shape} without the batch dimension: "
                    "write obs[None]"
                )
        columns, rows = batch_columns_of(space, observations)
        return _finite(self._native.flatten(columns, rows))

    def get_state(self) -> dict[str, Array]:
        """The weights by name, as copies."""
        return self._native.get_weights()

    def set_state(self, state: Mapping[str, Array]) -> None:
        """Replaces all weights, as `get_state` gives them; where one does not fit, nothing changes.

        Raises:
            SkirlError: A name or shape that is not the module's.
        """
        self._native.set_weights(by_name(state, "set_state"))

    @property
    def observation_space(self) -> "gymnasium.Space[Any]":
        """Gymnasium's space of one observation."""
        return space_from_json(self._described["observation_space"])

    @property
    def action_space(self) -> "gymnasium.Space[Any]":
        """Gymnasium's space of one action."""
        return space_from_json(self._described["action_space"])

    def __repr__(self) -> str:
        return f"RLModule({self._native.num_parameters()} parameters, obs width {self._described['obs_width']})"


def _finite(inputs: Array) -> Array:
    if not np.isfinite(inputs).all():
        row, element = np.argwhere(~np.isfinite(inputs))[0]
        raise EnvError(f"obs: expected finite numbers, found {inputs[row, element]} in element {element} of row {row}")
    return inputs


def _is_tensor(value: Any) -> bool:
    # By name: torch is not imported for those who do not use it.
    return type(value).__module__.partition(".")[0] == "torch" and hasattr(value, "detach")


def _to_numpy(observations: Any) -> tuple[Any, Any]:
    """Tensors as arrays, also in maps and tuples; and one of the tensors, if there were any."""
    if _is_tensor(observations):
        return observations.detach().cpu().numpy(), observations
    if isinstance(observations, Mapping):
        parts = {key: _to_numpy(part) for key, part in observations.items()}
        return {key: array for key, (array, _) in parts.items()}, next((like for _, like in parts.values() if like is not None), None)
    if isinstance(observations, tuple):
        items = [_to_numpy(part) for part in observations]
        return tuple(array for array, _ in items), next((like for _, like in items if like is not None), None)
    return observations, None


def _to_torch(array: Array, like: Any) -> Any:
    import torch

    return torch.from_numpy(array).to(like.device)


def _modules_in(directory: Path) -> list[Path]:
    """The modules of a checkpoint, where a directory above them was given; nothing where it is a module itself."""
    if (directory / "module.json").exists():
        return []
    return sorted(found.parent for way in WAYS_IN for found in (directory / way).glob("*/module.json"))
