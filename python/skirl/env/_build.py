"""Making environments: what the engine calls when it needs some."""

from __future__ import annotations

import contextlib
import inspect
import sys
import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from skirl.env import _agents, _config, registry
from skirl.env.env_context import EnvContext
from skirl.errors import EnvError
from skirl.shared import SharedState, making

#: Names of a constructor's first parameter that ask for the whole `EnvContext`.
_CONTEXT_NAMES = ("config", "env_config", "env_context")


@dataclass
class Worker:
    """Where environments are made in this process."""

    worker_index: int = 0
    num_workers: int = 0
    remote: bool = False
    recreated_worker: bool = False


#: What the environments of this process were made with.
_contexts: weakref.WeakKeyDictionary[Any, EnvContext] = weakref.WeakKeyDictionary()

#: The main process, unless a worker says otherwise at its start.
worker = Worker()


def build(
    name: str, env_config: dict[str, Any], num_envs: int, shared: Sequence[Any] = ()
) -> tuple[str, list[Any], Callable[[int], Any]]:
    """What was made ("batch", "one agent" or "several agents"); `num_envs` environments, or the one batch of as many; and what
    makes environment `i` once more.

    `shared` has the native handle to shared state of each environment.
    """
    config = _config.from_json(env_config)

    def make_one(index: int) -> Any:
        return make(name, config, index, num_envs, shared)

    first = make_one(0)
    if is_batched(first):
        return "batch", [first], make_one
    several = _agents.has_several(first)
    _check(first, name, several)
    envs = [first]
    for index in range(1, num_envs):
        env = make_one(index)
        _check(env, name, several)
        envs.append(env)
    return "several agents" if several else "one agent", envs, make_one


def make(name: str, config: dict[str, Any], index: int, num_envs: int, shared: Sequence[Any] = ()) -> Any:
    """Environment `index` of `num_envs`, by a name that `registry.lookup` knows."""
    context = EnvContext(
        dict(config),
        worker_index=worker.worker_index,
        vector_index=index,
        remote=worker.remote,
        num_workers=worker.num_workers,
        recreated_worker=worker.recreated_worker,
        num_envs=num_envs,
        shared=SharedState._over(shared[index] if shared else None, worker.remote),
    )
    with making(context.shared):
        env = _make_in(name, context)
    with contextlib.suppress(TypeError):
        # One that cannot be referred to weakly has no context.
        _contexts[env] = context
    return env


def context_of(env: Any) -> EnvContext | None:
    """The context that an environment of this process was made with."""
    try:
        return _contexts.get(env)
    except TypeError:
        return None


def _make_in(name: str, context: EnvContext) -> Any:
    if name.startswith(registry.GYMNASIUM):
        return _make_gymnasium(name.removeprefix(registry.GYMNASIUM), context)
    if name.startswith(registry.GYMNASIUM_VEC):
        return _make_vec(name.removeprefix(registry.GYMNASIUM_VEC), context)
    creator = registry.creator_of(name)
    if creator is None:
        return _make_gymnasium(name, context)
    return construct(creator, context) if isinstance(creator, type) else creator(context)


def _make_gymnasium(env_id: str, context: EnvContext) -> Any:
    import gymnasium

    # What its checker looks at once, the engine looks at in every step.
    return gymnasium.make(env_id, **{"disable_env_checker": True, **_with_limit(context)})


def _make_vec(env_id: str, context: EnvContext) -> Any:
    import gymnasium

    # Gymnasium's own choice for some ids is a batch that cannot reset one environment alone.
    return gymnasium.make_vec(
        env_id, num_envs=context.num_envs, **{"vectorization_mode": "sync", **_with_limit(context)}
    )


def _with_limit(context: EnvContext) -> dict[str, Any]:
    """Gymnasium writes "no time limit" as -1."""
    arguments = dict(context)
    if "max_episode_steps" in arguments and arguments["max_episode_steps"] is None:
        arguments["max_episode_steps"] = -1
    return arguments


def construct(cls: Callable[..., Any], context: EnvContext) -> Any:
    """An environment of this class: it is given the `EnvContext` if its first parameter asks for it, else the keys as arguments."""
    parameters = _parameters(cls)
    first = next(iter(parameters.values()), None)
    if first is not None and _asks_for_context(first):
        return cls(context)
    arguments = dict(context)
    takes_all = any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in parameters.values())
    # The engine applies the time limit; a constructor that wants to know it is told.
    if "max_episode_steps" not in parameters and not takes_all:
        arguments.pop("max_episode_steps", None)
    if "num_envs" in parameters and _is_batched_class(cls):
        arguments.setdefault("num_envs", context.num_envs)
    if parameters:
        _check_arguments(cls, arguments)
    return cls(**arguments)


def _asks_for_context(parameter: inspect.Parameter) -> bool:
    named = parameter.name in _CONTEXT_NAMES or "EnvContext" in str(parameter.annotation)
    return named and parameter.kind in (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


def _check_arguments(cls: Callable[..., Any], arguments: dict[str, Any]) -> None:
    """RLlib gives every class the whole `EnvContext`, whatever its parameter is called: says what to do where that is meant."""
    signature = inspect.signature(cls)
    try:
        signature.bind(**arguments)
    except TypeError as error:
        raise TypeError(
            f"{getattr(cls, '__qualname__', cls)}{signature} {error}. The keys of env_config are its arguments: a class that takes "
            f"the whole env_config names its first parameter {', '.join(_CONTEXT_NAMES[:-1])} or {_CONTEXT_NAMES[-1]}, or annotates "
            "it as an EnvContext"
        ) from None


def _parameters(cls: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    try:
        return dict(inspect.signature(cls).parameters)
    except (TypeError, ValueError):
        return {}


def _vector_env() -> Any:
    vector = sys.modules.get("gymnasium.vector")
    return None if vector is None else vector.VectorEnv


def makes_several_agents(name: str, env_config: dict[str, Any]) -> bool:
    """Whether environments of this name have several agents. What is neither a `MultiAgentEnv` nor Gymnasium's shows only by what
    is made."""
    creator = registry.creator_of(name)
    if creator is None:
        return False
    if isinstance(creator, type):
        if _agents.is_multi_agent_class(creator):
            return True
        if _is_gymnasium_class(creator):
            return False
    elif not any(module in sys.modules for module in ("skirl.env.multi_agent_env", "pettingzoo")):
        return False
    kind, made, _ = build(name, env_config, 1)
    close(made)
    return kind == "several agents"


def close(envs: Sequence[Any]) -> None:
    """Closes environments that were made to be asked; PettingZoo's and those that look like Gymnasium's may have no `close`."""
    for env in envs:
        getattr(env, "close", lambda: None)()


def _is_gymnasium_class(cls: type) -> bool:
    gymnasium = sys.modules.get("gymnasium")
    return gymnasium is not None and issubclass(cls, (gymnasium.Env, gymnasium.vector.VectorEnv))


def is_batched(env: Any) -> bool:
    """Whether an environment is many that step as one (`gymnasium.vector.VectorEnv`)."""
    base = _vector_env()
    return base is not None and isinstance(env, base)


def _is_batched_class(cls: Any) -> bool:
    base = _vector_env()
    return base is not None and isinstance(cls, type) and issubclass(cls, base)


def _check(env: Any, name: str, several_agents: bool) -> None:
    # Where there are several agents, each has spaces of its own.
    expected = ("reset", "step") if several_agents else ("reset", "step", "observation_space", "action_space")
    missing = [part for part in expected if not hasattr(env, part)]
    if not missing:
        return
    if env is None:
        raise EnvError(f"the creator of {name!r} returned None, expected an environment; is its `return` missing?")
    raise EnvError(
        f"the creator of {name!r} returned {type(env).__module__}.{type(env).__qualname__}, expected a gymnasium.Env: it has no "
        f"{', '.join(missing)}"
    )


def where(env: Any, method: str) -> str:
    """Class, method, file and line of an environment's own code, for errors."""
    inner = getattr(env, "unwrapped", env)
    cls = type(inner)
    code = getattr(getattr(cls, method, None), "__code__", None)
    place = "" if code is None else f" ({code.co_filename}:{code.co_firstlineno})"
    return f"{cls.__name__}.{method}{place}"
