"""The program of an environment runner in a process of its own: `python -m skirl._worker`, started by the engine only.

It never imports the user's script: what makes the environments comes from the process that trains, pickled by value where it is
defined in a script or a notebook. Nothing goes the other way but numbers and texts.
"""

from __future__ import annotations

import faulthandler
import os
import signal
import sys
from collections.abc import Callable
from typing import Any


def command() -> tuple[list[str], list[tuple[str, str]]]:
    """Program and arguments of a worker, and its additional environment variables. For the process that trains."""
    if not sys.executable:
        raise RuntimeError(
            "sys.executable is empty: Python runs inside another program here, which cannot start workers. Set num_env_runners to 0"
        )
    package = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    path = os.pathsep.join([package, *filter(None, [os.environ.get("PYTHONPATH")])])
    return [sys.executable, "-m", "skirl._worker"], [("PYTHONPATH", path)]


def constructors(env: str, dispatcher: Any = None) -> bytes:
    """What a worker needs to make environments of this name, and callbacks like the dispatcher's. For the process that trains."""
    import cloudpickle  # type: ignore[import-untyped]

    from skirl.env import _config, registry

    content: dict[str, Any] = {"env_config": _config.pickled()}
    if env.startswith((registry.GYMNASIUM, registry.GYMNASIUM_VEC)):
        env_id = env.partition(":")[2]
        # One that the user's script has registered is in no module that a worker could import.
        spec = sys.modules["gymnasium"].envs.registration.registry.get(env_id.rpartition(":")[2])
        content["gymnasium"], content["main"] = spec, _of_main(spec)
    else:
        content["name"], content["creator"] = env, registry.creator_of(env)
    if dispatcher is not None:
        content["callbacks"] = dispatcher.run.given
        try:
            content["config"] = cloudpickle.dumps(dispatcher.run.config)
        except Exception as error:  # Only hooks that look at it need it.
            content["no_config"] = f"{type(error).__name__}: {error}"
    try:
        inner = cloudpickle.dumps(content)
    except Exception as error:
        _blame_callbacks(content.pop("callbacks", None), error)
        raise
    # The path comes first: what is imported while the rest is read is found on it.
    return bytes(cloudpickle.dumps({"path": sys.path, "content": inner}))


def _of_main(spec: Any) -> dict[str, Any]:
    """What a specification of Gymnasium names in the user's script (`"__main__:MyEnv"`), which no worker imports."""
    wrappers = getattr(spec, "additional_wrappers", None) or ()
    points = [getattr(spec, "entry_point", None), getattr(spec, "vector_entry_point", None), *(each.entry_point for each in wrappers)]
    names = [point.partition(":")[2] for point in points if isinstance(point, str) and point.startswith("__main__:")]
    main = vars(sys.modules["__main__"])
    return {name: main[name] for name in names if name in main}


def _blame_callbacks(callbacks: Any, error: Exception) -> None:
    """Raises where it is the callbacks that cannot be pickled, not the environment."""
    import cloudpickle

    from skirl.errors import SkirlError

    try:
        cloudpickle.dumps(callbacks)
    except Exception:
        raise SkirlError(
            f"the callbacks cannot be pickled ({type(error).__name__}: {error}). Give the class in place of an instance, and make "
            "what cannot travel (locks, open files, connections) in its __init__, which every environment runner calls anew; or set "
            "num_env_runners to 0"
        ) from error


def prepare(worker_index: int, num_workers: int, recreated: bool, constructors: bytes) -> list[Any]:
    """Makes the constructors known in this worker; the dispatchers of its callbacks."""
    import cloudpickle

    from skirl.env import _build, _config, registry

    outer = cloudpickle.loads(constructors)
    sys.path[:] = outer["path"]
    content = cloudpickle.loads(outer["content"])
    _config.receive(content["env_config"])
    where = _build.worker
    where.worker_index, where.num_workers, where.remote, where.recreated_worker = worker_index, num_workers, True, recreated
    if "creator" in content:
        registry.adopt(content["name"], content["creator"])
    spec = content.get("gymnasium")
    if spec is not None:
        import gymnasium

        gymnasium.envs.registration.registry.setdefault(spec.id, spec)
        vars(sys.modules["__main__"]).update(content["main"])
    if "callbacks" not in content:
        return []
    from skirl.callbacks.make import worker_dispatchers

    config = cloudpickle.loads(content["config"]) if "config" in content else None
    return worker_dispatchers(content["callbacks"], config, content.get("no_config"), worker_index)


def pickled(function: Callable[[Any], Any]) -> bytes:
    """A function on its way to the workers. For the process that trains."""
    import cloudpickle

    from skirl.errors import ConfigError

    try:
        return bytes(cloudpickle.dumps(function))
    except Exception as error:
        raise ConfigError(
            f"foreach_env: the function cannot be sent to the processes of the environments ({error}): expected one that uses only "
            "what can be pickled. Make locks, files and the like inside of it, or step environments in this process: num_env_runners=0"
        ) from error


def call(function: bytes, env: Any) -> Any:
    """Calls a function that came from the process that trains."""
    import cloudpickle

    return cloudpickle.loads(function)(env)


def main() -> None:
    """Serves until the process that trains is gone."""
    # The engine starts this program with the socket as standard input and the shared memory as standard output. What environments
    # print goes with the errors: the other process shows it line by line.
    socket, memory = os.dup(0), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    sys.stdout = open(1, "w", buffering=1, closefd=False, errors="backslashreplace")
    faulthandler.enable()
    if hasattr(faulthandler, "register"):
        faulthandler.register(signal.SIGUSR1, all_threads=True)
    # Ctrl-C reaches all processes of a terminal; the one that trains decides what happens.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    from skirl import _native

    _native.worker_main(socket, memory, prepare)


if __name__ == "__main__":
    main()
