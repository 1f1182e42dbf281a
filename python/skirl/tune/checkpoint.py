"""A saved state on disk, as results refer to it."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class Checkpoint:
    """A directory with a saved state. `Algorithm.from_checkpoint(checkpoint.path)` loads it."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path: str = os.path.abspath(os.path.expanduser(path))

    @classmethod
    def from_directory(cls, path: str | os.PathLike[str]) -> Checkpoint:
        """The checkpoint in this directory."""
        return cls(path)

    def to_directory(self, path: str | os.PathLike[str] | None = None) -> str:
        """Copies the checkpoint to `path`, or to a new temporary directory, and returns where it is."""
        target = Path(tempfile.mkdtemp(prefix="checkpoint_") if path is None else path).expanduser()
        shutil.copytree(self.path, target, dirs_exist_ok=True)
        return str(target.absolute())

    @contextmanager
    def as_directory(self) -> Iterator[str]:
        """The directory for a `with` block; nothing is copied, as it is on this machine."""
        yield self.path

    def __fspath__(self) -> str:
        return self.path

    def __repr__(self) -> str:
        return f"Checkpoint(path={self.path!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Checkpoint) and self.path == other.path

    def __hash__(self) -> int:
        return hash(self.path)
