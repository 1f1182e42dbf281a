"""What the user handed over to be checked, and how another one of it is made."""

from __future__ import annotations

import copy
import dataclasses
import importlib
import inspect
from collections.abc import Callable, Mapping
from typing import Any

from skirl.check.source import line_of_class, unwrapped

# Names that creators give to the one argument in which they want the whole configuration.
_CONFIG_NAMES = ("config", "env_config", "context", "env_context", "ctx", "cfg", "_")


class NotAnEnvironment(Exception):
    """What was handed over is no environment, and nothing that makes one; the message says what was expected."""


@dataclasses.dataclass
class Subject:
    """An environment under test."""

    name: str
    #: Makes a new one; `None` if only the one that was handed over exists.
    make: Callable[[], Any] | None
    #: The instance that was handed over.
    given: Any = None
    #: Whether `make` copies the instance that was handed over instead of building one anew.
    copies: bool = False


class Context(dict[str, Any]):
    """`env_config` as a creator gets it outside of a run."""

    worker_index = 0
    vector_index = 0
    num_workers = 0
    remote = False


def subject_of(env: Any, env_config: Mapping[str, Any] | None) -> Subject:
    """From an instance, a class, a creator or a name. Nothing is built yet."""
    if isinstance(env, str):
        return _named(env, env_config)
    if not isinstance(env, type) and (hasattr(env, "step") or hasattr(env, "reset")):
        return _instance(env)
    if callable(env):
        return Subject(_title(env), lambda: build(env, env_config))
    raise NotAnEnvironment(
        "check_env expected an environment, its class, a function that makes one, or its name, "
        f"found a {type(env).__name__}."
    )


def build(creator: Callable[..., Any], env_config: Mapping[str, Any] | None) -> Any:
    """Calls a class or a creator: with the whole configuration if it asks for it, else with its entries as keywords."""
    config = Context(env_config or {})
    return creator(config) if _wants_config(creator) else creator(**config)


def _wants_config(creator: Callable[..., Any]) -> bool:
    try:
        parameters = list(inspect.signature(creator).parameters.values())
    except (TypeError, ValueError):
        return False
    if not parameters or parameters[0].kind not in (
        inspect.Parameter.POSITIONAL_ONLY,
        inspect.Parameter.POSITIONAL_OR_KEYWORD,
    ):
        return False
    return parameters[0].name in _CONFIG_NAMES or parameters[0].default is inspect.Parameter.empty


def _named(name: str, env_config: Mapping[str, Any] | None) -> Subject:
    module, separator, attribute = name.rpartition(":")
    if separator and module != "gymnasium":
        creator = getattr(_import(name, module), attribute, None)
        if creator is not None:
            return Subject(f"{name} ({_line(creator)})", lambda: build(creator, env_config))
    env_id = attribute if module == "gymnasium" else name
    return Subject(name, lambda: _registered(env_id, env_config))


def _import(name: str, module: str) -> Any:
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or not (module + ".").startswith(error.name + "."):
            raise
        raise NotAnEnvironment(
            f'"{name}": expected a module {module}, which Python does not find. '
            "Start in the folder that holds its file, or install it."
        ) from None


def _registered(env_id: str, env_config: Mapping[str, Any] | None) -> Any:
    import gymnasium as gym

    return gym.make(env_id, disable_env_checker=True, **(env_config or {}))


def _instance(env: Any) -> Subject:
    spec = getattr(env, "spec", None)
    if spec is not None:
        import gymnasium as gym

        return Subject(_title(type(unwrapped(env))), lambda: gym.make(spec, disable_env_checker=True), env)
    try:
        # Copied before anything is played, so that each copy is like the environment when it was handed over.
        pristine = copy.deepcopy(env)
    except Exception:  # noqa: BLE001: whatever an environment holds may refuse to be copied in any way.
        return Subject(_title(type(unwrapped(env))), None, env)
    return Subject(_title(type(unwrapped(env))), lambda: copy.deepcopy(pristine), env, copies=True)


def _title(owner: Any) -> str:
    line = _line(owner)
    name = getattr(owner, "__name__", type(owner).__name__)
    return f"{name} ({line})" if line else name


def _line(owner: Any) -> str:
    return line_of_class(owner if isinstance(owner, type) or inspect.isroutine(owner) else type(owner))
