"""Where checkpoints lie, and whose they are."""

import os
from datetime import datetime
from importlib import import_module
from pathlib import Path
from tempfile import mkdtemp
from typing import TYPE_CHECKING, Any

from skirl.errors import CheckpointError

if TYPE_CHECKING:
    from skirl.algorithms.algorithm_config import AlgorithmConfig

#: Names another directory for what is saved without a path.
RESULTS_VARIABLE = "SKIRL_RESULTS"


def results_directory() -> Path:
    """Where results go when no path is given: `$SKIRL_RESULTS`, else `~/skirl_results`."""
    named = os.environ.get(RESULTS_VARIABLE)
    return Path(named).expanduser() if named else Path.home() / "skirl_results"


def fresh_directory(config: "AlgorithmConfig") -> Path:
    """A new empty directory, named after algorithm, environment and time."""
    env = "".join(letter if letter.isalnum() or letter in "-_." else "_" for letter in str(config._values.get("environment.env")))
    name = f"{config._algorithm}_{env}_{datetime.now():%Y-%m-%d_%H-%M-%S}_"
    parent = results_directory()
    try:
        parent.mkdir(parents=True, exist_ok=True)
        return Path(mkdtemp(prefix=name, dir=parent))
    except OSError as error:
        raise CheckpointError(
            f"no directory for the checkpoint can be made in {parent}: {error}. Give a path: save_to_path(path), or set "
            f"{RESULTS_VARIABLE} to a directory that can be written to"
        ) from error


def here(path: str | Path) -> Path:
    """A path as the user means it, `~` included; a path in the form of a URI is refused unless it is a file's."""
    text = os.fspath(path)
    if "://" in text:
        scheme, _, rest = text.partition("://")
        if scheme != "file":
            raise CheckpointError(f"expected a directory of this machine, found {text}: copy the checkpoint to a local path first")
        text = rest
    return Path(text).expanduser()


def config_class_of(algorithm: str) -> Any:
    """The config class of an algorithm of the engine."""
    return getattr(import_module(f"skirl.algorithms.{algorithm.lower()}"), f"{algorithm}Config")
