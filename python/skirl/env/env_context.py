"""What a creator of environments is told."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from skirl.shared import SharedState


class EnvContext(dict[str, Any]):
    """The user's `env_config`, and which environment is being made.

    Attributes:
        worker_index: 0 in the main process, the worker's number (from 1) in a worker.
        vector_index: Index of the environment among those of its worker.
        num_workers: Number of workers of the run; 0 where all environments are in the main process.
        remote: Whether the environment has a process of its own.
        num_envs: Environments that are wanted here, for creators of batched environments.
        recreated_worker: Whether the worker took the place of one that failed.
        shared: What all environments of the run share, as this one sees it (`skirl.shared`). Pickles and deep copies have none.
    """

    def __init__(
        self,
        env_config: Mapping[str, Any] | None = None,
        worker_index: int = 0,
        vector_index: int = 0,
        remote: bool = False,
        num_workers: int = 0,
        recreated_worker: bool = False,
        num_envs: int = 1,
        shared: SharedState | None = None,
    ) -> None:
        super().__init__(env_config or {})
        self.worker_index = worker_index
        self.vector_index = vector_index
        self.remote = remote
        self.num_workers = num_workers
        self.recreated_worker = recreated_worker
        self.num_envs = num_envs
        self.shared = SharedState._over(None, remote) if shared is None else shared

    def set_defaults(self, defaults: Mapping[str, Any]) -> None:
        """Puts in the keys of `defaults` that are not there yet."""
        for key, value in defaults.items():
            self.setdefault(key, value)

    def copy_with_overrides(self, env_config: Mapping[str, Any] | None = None, **attributes: Any) -> EnvContext:
        """A copy with another `env_config`, or with other attributes."""
        known = vars(self)
        unknown = [name for name in attributes if name not in known]
        if unknown:
            raise TypeError(f"EnvContext has no attribute {unknown[0]!r}; it has {', '.join(known)}")
        given = {name: value for name, value in attributes.items() if value is not None}
        return _copied(dict(self if env_config is None else env_config), {**known, **given})

    def __copy__(self) -> EnvContext:
        return self.copy_with_overrides()

    def __reduce__(self) -> Any:
        # What is shared stays where it is: a copy in another process belongs to no run.
        attributes = {name: value for name, value in vars(self).items() if name != "shared"}
        return _copied, (dict(self), attributes)


def _copied(env_config: dict[str, Any], attributes: dict[str, Any]) -> EnvContext:
    context = EnvContext(env_config, remote=attributes["remote"])
    vars(context).update(attributes)
    return context
