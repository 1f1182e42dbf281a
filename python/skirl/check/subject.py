"""What the user handed over to be checked, and how another one of it is made."""

from __future__ import annotations

import copy
import dataclasses
import importlib.util
import inspect
from collections.abc import Callable, Mapping
from typing import Any

from skirl.check.source import line_of_class, unwrapped
from skirl.env import registry
from skirl.env._build import construct, make
from skirl.env.env_context import EnvContext


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


def subject_of(env: Any, env_config: Mapping[str, Any] | None) -> Subject:
    """From an instance, a class, a creator or a name. Nothing is built yet."""
    if isinstance(env, str):
        return _named(env, env_config)
    if not isinstance(env, type) and (hasattr(env, "step") or hasattr(env, "reset")):
        return _instance(env)
    if callable(env):
        return Subject(_title(env), lambda: _build(env, env_config))
    raise NotAnEnvironment(
        "check_env expected an environment, its class, a function that makes one, or its name, "
        f"found a {type(env).__name__}."
    )


def _build(creator: Callable[..., Any], env_config: Mapping[str, Any] | None) -> Any:
    """As a runner builds it; a function without parameters may be one, too."""
    context = EnvContext(env_config)
    if isinstance(creator, type):
        return construct(creator, context)
    return creator(context) if _takes_context(creator) else creator(**context)


def _takes_context(creator: Callable[..., Any]) -> bool:
    try:
        inspect.signature(creator).bind(None)
    except TypeError:
        return False
    except ValueError:
        pass
    return True


def _named(name: str, env_config: Mapping[str, Any] | None) -> Subject:
    if name.startswith(registry.NATIVE):
        raise NotAnEnvironment(
            f"{name!r} is written in Rust: expected an environment in Python. The engine's own are checked by its tests."
        )
    module, separator, _ = name.partition(":")
    is_known, _ = registry.lookup(name)
    if not is_known and separator and not _is_module(module):
        raise NotAnEnvironment(
            f'"{name}": expected a module {module}, which Python does not find. '
            "Start in the folder that holds its file, or install it."
        )
    if not is_known:
        return Subject(name, lambda: make(registry.GYMNASIUM + name, dict(env_config or {}), 0, 1))
    title = name if name.startswith((registry.GYMNASIUM, registry.GYMNASIUM_VEC)) else _named_title(name)
    return Subject(title, lambda: make(name, dict(env_config or {}), 0, 1))


def _named_title(name: str) -> str:
    line = _line(registry.creator_of(name))
    return f"{name} ({line})" if line else name


def _is_module(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except (ImportError, ValueError):
        return False


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
