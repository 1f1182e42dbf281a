"""Environments by name.

What the engine knows an environment by is a string:

- `CartPole-v1`: an environment of the engine itself, or a name given to `register_env`;
- `gymnasium:ID`: `gymnasium.make(ID, **env_config)`; `gymnasium-vec:ID`: `gymnasium.make_vec(ID, num_envs=…)`;
- `module:Class`: a class (or creator) of a module; also of `__main__`, and classes inside functions, which this process remembers.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable, Mapping
from typing import Any

from skirl.env import _config
from skirl.errors import EnvError

GYMNASIUM, GYMNASIUM_VEC, NATIVE, REGISTERED = "gymnasium:", "gymnasium-vec:", "native:", "registered:"

#: Gymnasium's own classes of the environments that the engine has, too.
_ENTRY_POINTS = {
    "CartPole-v0": "gymnasium.envs.classic_control.cartpole:CartPoleEnv",
    "CartPole-v1": "gymnasium.envs.classic_control.cartpole:CartPoleEnv",
    "Pendulum-v1": "gymnasium.envs.classic_control.pendulum:PendulumEnv",
    "MountainCar-v0": "gymnasium.envs.classic_control.mountain_car:MountainCarEnv",
    "MountainCarContinuous-v0": "gymnasium.envs.classic_control.continuous_mountain_car:Continuous_MountainCarEnv",
    "Acrobot-v1": "gymnasium.envs.classic_control.acrobot:AcrobotEnv",
}

#: Creators by registered name.
_creators: dict[str, Callable[..., Any]] = {}
#: Classes and creators that were given as objects, by the name made for them.
_objects: dict[str, Any] = {}


def register_env(name: str, env_creator: Callable[..., Any]) -> None:
    """Makes `name` an environment everywhere: `env_creator(EnvContext)` returns it, or it is a class.

    A second registration takes the place of the first, and a registered name comes before one of the engine.
    """
    if not isinstance(name, str) or not name or any(char.isspace() for char in name):
        raise EnvError(f"register_env: expected a name without white space, found {name!r}")
    if not callable(env_creator):
        raise EnvError(
            f"register_env({name!r}): expected a class or a function that takes an EnvContext and returns an environment, "
            f"found {env_creator!r}"
        )
    _creators[name] = env_creator


def unregister_env(name: str) -> None:
    """Forgets a registered name."""
    _creators.pop(name, None)


def adopt(name: str, creator: Any) -> None:
    """Makes `name`, as `resolve` gave it in the process that trains, mean the same in this one."""
    _objects[name] = creator


def resolve(env: Any, env_config: Mapping[str, Any] | None = None) -> str:
    """The name by which the engine knows `env`: a string (see above), a class, or a creator.

    A plain Gymnasium id that the engine has natively means the native environment, if Gymnasium's entry for it is its own
    (same class, no wrappers, no kwargs, same time limit) and `env_config` holds nothing else than the native one takes.
    """
    if isinstance(env, str):
        return _resolve_name(env, env_config or {})
    if callable(env):
        return _name_of(env)
    raise EnvError(
        f"expected a name ('CartPole-v1', 'gymnasium:ID', 'module:Class'), a class, or a name given to register_env; "
        f"found {env!r}. An environment that exists already cannot be used: every run makes its own"
    )


def _resolve_name(name: str, env_config: Mapping[str, Any]) -> str:
    if name.startswith(NATIVE):
        return _native_name(name.removeprefix(NATIVE))
    if name in _creators:
        return REGISTERED + name if _native(name) is not None else name
    if name.startswith((GYMNASIUM, GYMNASIUM_VEC, REGISTERED)):
        return name
    native = _native(name)
    if native is not None:
        return GYMNASIUM + name if _means_gymnasium(name, native, env_config) else name
    if ":" in name and _is_class(name):
        return name
    return GYMNASIUM + name if _gymnasium_has(name) else name


def _native_name(name: str) -> str:
    if _native(name) is None:
        raise EnvError(f"the engine has no environment {name!r} of its own; leave out {NATIVE!r} for one of Gymnasium's")
    return name


def _native(name: str) -> tuple[list[str], int | None] | None:
    """Keys that the native environment takes in its `env_config`, and its time limit; None where there is none."""
    from skirl import _native

    found: tuple[list[str], int | None] | None = _native.native_env(name)
    return found


def _means_gymnasium(name: str, native: tuple[list[str], int | None], env_config: Mapping[str, Any]) -> bool:
    """Whether a name that the engine has means Gymnasium's environment nevertheless."""
    keys, max_episode_steps = native
    gymnasium = sys.modules.get("gymnasium")
    spec = None if gymnasium is None else gymnasium.envs.registration.registry.get(name)
    if spec is not None and not _is_own_entry(spec, name, max_episode_steps):
        return True
    takes = {*keys, "max_episode_steps"}
    others = [key for key in env_config if key not in takes]
    if not others and _config.is_plain(env_config):
        return False
    # An unknown key is the native environment's to refuse, unless Gymnasium's class has more keys than ours.
    return name in _ENTRY_POINTS


def _is_own_entry(spec: Any, name: str, max_episode_steps: int | None) -> bool:
    return (
        spec.entry_point == _ENTRY_POINTS.get(name)
        and not spec.kwargs
        and not spec.additional_wrappers
        and spec.max_episode_steps == max_episode_steps
    )


def _name_of(env: Callable[..., Any]) -> str:
    """A name for a class or creator that stays the same in every run of a script."""
    module = getattr(env, "__module__", None) or "__main__"
    qualname = getattr(env, "__qualname__", None) or type(env).__qualname__
    base = name = f"{module}:{qualname}"
    number = 1
    # Two classes may have one name: those that a function makes, or a notebook's cell that was run again.
    while _objects.get(name, env) is not env:
        number += 1
        name = f"{base}#{number}"
    _objects[name] = env
    return name


def lookup(name: str) -> tuple[bool, list[str]]:
    """Whether there is an environment of that name; where not, the names that there are. The engine asks this."""
    if name in _creators or name.removeprefix(REGISTERED) in _creators or name in _objects:
        return True, []
    if name.startswith((GYMNASIUM, GYMNASIUM_VEC)):
        prefix, _, env_id = name.partition(":")
        if _gymnasium_has(env_id):
            return True, []
        return False, [f"{prefix}:{known}" for known in _gymnasium_names()]
    if ":" in name and _is_class(name.partition("#")[0]):
        return True, []
    return _gymnasium_has(name), [*_creators, *_gymnasium_names()]


def find(name: str) -> tuple[bool, list[str]]:
    """As `lookup`, but a `module:Class` that is not there is an error that says where it was looked for."""
    found, names = lookup(name)
    if not found and name.removeprefix(GYMNASIUM).startswith("ALE/") and "ale_py" not in sys.modules:
        raise EnvError(
            f"there is no environment {name!r} yet: Atari's games are those of the package ale-py (pip install ale-py, or the extra "
            "skirl[atari]). Before training: import ale_py, gymnasium; gymnasium.register_envs(ale_py)"
        )
    if not found and ":" in name and not name.startswith((GYMNASIUM, GYMNASIUM_VEC, NATIVE, REGISTERED)):
        raise EnvError(_why_unknown(name))
    return found, names


def _why_unknown(name: str) -> str:
    module, _, qualname = name.partition("#")[0].partition(":")
    head = f"there is no environment {name!r}"
    try:
        importlib.import_module(module)
    except ImportError:
        places = ", ".join(repr(place or os.getcwd()) for place in sys.path[:3])
        return (
            f"{head}: Python finds no module {module!r}; looked in {places} and {max(0, len(sys.path) - 3)} more places of sys.path. "
            f"Start in the folder that holds its file, set PYTHONPATH, or install it"
        )
    if module == "__main__":
        return (
            f"{head}: it was defined in a script or notebook, and this one has no class or function {qualname!r}. Define it before, "
            "or give a config that has it: from_checkpoint(path, config=config)"
        )
    return f"{head}: the module {module!r} has no class or function {qualname!r}"


def creator_of(name: str) -> Callable[..., Any] | None:
    """The class or creator behind a name that `lookup` knows; None for one that only Gymnasium knows."""
    registered = _creators.get(name.removeprefix(REGISTERED))
    found = registered if registered is not None else _objects.get(name)
    if found is not None or ":" not in name or not _is_class(name.partition("#")[0]):
        return found
    imported: Callable[..., Any] = _import(name.partition("#")[0])
    return imported


def _is_class(name: str) -> bool:
    """Whether `module:Class` names something; a module that is not there names nothing, one that fails raises."""
    try:
        return callable(_import(name))
    except AttributeError:
        return False
    except ModuleNotFoundError as error:
        module = name.partition(":")[0]
        if error.name is not None and (module == error.name or module.startswith(error.name + ".")):
            return False
        raise


def _import(name: str) -> Any:
    module, _, qualname = name.partition(":")
    found: Any = importlib.import_module(module)
    for part in qualname.split("."):
        found = getattr(found, part)
    return found


def _gymnasium_has(env_id: str) -> bool:
    import gymnasium

    module, _, bare = env_id.rpartition(":")
    try:
        if module:
            importlib.import_module(module)
        gymnasium.spec(bare)
    except (gymnasium.error.Error, ModuleNotFoundError):
        return False
    return True


def _gymnasium_names() -> list[str]:
    gymnasium = sys.modules.get("gymnasium")
    return [] if gymnasium is None else list(gymnasium.envs.registration.registry)
