"""Where checkpoints lie, and whose they are."""

import os
from datetime import datetime
from importlib import import_module
from pathlib import Path
from tempfile import mkdtemp
from typing import TYPE_CHECKING, Any

from skirl.errors import CheckpointError, ConfigError

if TYPE_CHECKING:
    from skirl.algorithms.algorithm import Algorithm
    from skirl.algorithms.algorithm_config import AlgorithmConfig

#: Names another directory for what is saved without a path.
RESULTS_VARIABLE = "SKIRL_RESULTS"
#: Where a checkpoint has its modules.
RL_MODULES = "learner_group/learner/rl_module"


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


def module_weights(algorithm: "Algorithm", directory: Path, component: str) -> dict[str, Any]:
    """Weights of the module that `component` names, for `algorithm.set_weights`; `directory` is a checkpoint's or the module's own."""
    from skirl.core.rl_module.rl_module import RLModule

    way, _, module_id = component.rpartition("/")
    if way != RL_MODULES:
        raise ConfigError(
            f"component={component!r}: expected {RL_MODULES}/<module id>; other parts are restored with the whole algorithm, "
            "without component"
        )
    mine = algorithm.get_module(module_id)
    inside = directory / component
    saved = RLModule.from_checkpoint(inside if inside.is_dir() else directory)
    for space in ("observation_space", "action_space"):
        if mine._described[space] != saved._described[space]:
            expected, found = getattr(mine, space), getattr(saved, space)
            raise CheckpointError(f"{space} of module {module_id!r}: expected {expected}, found {found} in {directory}")
    return {module_id: saved.get_state()}
