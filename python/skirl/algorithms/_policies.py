"""Policies and their mapping as RLlib's configs give them: specs, and a function in place of a map.

The engine has a fixed map from agent to policy. A function is therefore asked once for each agent that can appear, when an
algorithm is built.
"""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NoReturn

from skirl import _native
from skirl.env import _config
from skirl.errors import ConfigError, EnvError, SkirlError

if TYPE_CHECKING:
    from skirl.algorithms._draft import Draft

#: RLlib's name of the function, and where it is kept.
MAPPING = "policy_mapping_fn"
MAPPING_PATH = f"multi_agent.{MAPPING}"


class _Unknown:
    """Stands for what a mapping function is given by RLlib while an episode runs."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, attribute: str) -> NoReturn:
        raise ConfigError(
            f"policy_mapping_fn used {self._name}.{attribute}: expected a function of the agent's id alone, because it is asked "
            f"once for each agent, before any episode begins. Where the policy shall change from episode to episode, give the "
            f"agents different ids"
        )

    def __hash__(self) -> int:
        return self.__getattr__("__hash__")


def take_policies(policies: Any, draft: Draft) -> Any:
    """`policies` as the engine reads them: names, or names with the options in which each policy differs."""
    if isinstance(policies, (set, frozenset)):
        # The order of a set is another one in every process.
        return sorted(policies, key=str)
    if isinstance(policies, tuple):
        return list(policies)
    if not isinstance(policies, Mapping):
        return policies
    plain: dict[str, Any] = {}
    for name, spec in policies.items():
        try:
            plain[name] = _overrides(spec)
        except ConfigError as error:
            draft.problems.append(("multi_agent.policies", f"multi_agent.policies.{name}: {error}"))
    return plain


def _overrides(spec: Any) -> Any:
    """The options of one policy: a map, or those of RLlib's spec."""
    parts = _parts(spec)
    if parts is None:
        return spec
    policy_class, *_, config = parts
    if policy_class is not None:
        raise ConfigError(f"expected None as policy_class, found {policy_class!r}: policies are skirl's own networks")
    return dict(config) if isinstance(config, Mapping) else config


def options_of_policy(spec: Any) -> tuple[tuple[Any, Any], dict[str, Any]]:
    """The spaces that a spec names (None where it names none), and the options in which the policy differs.

    Raises:
        ConfigError: What is no spec of a policy.
    """
    parts = _parts(spec)
    options = {} if spec is None else _overrides(spec)
    if not isinstance(options, Mapping):
        expected = "expected a PolicySpec, a map of the options in which the policy differs, or None"
        raise ConfigError(f"{expected}, found {spec!r}; RLlib's RLModuleSpec is not served, as policies are skirl's own networks")
    return (parts[1], parts[2]) if parts else (None, None), dict(options)


def _parts(spec: Any) -> tuple[Any, Any, Any, Any] | None:
    """`(policy_class, observation_space, action_space, config)`, where it is a `PolicySpec` or RLlib's tuple."""
    if isinstance(spec, tuple):
        if len(spec) != 4:
            raise ConfigError(f"expected (None, observation_space, action_space, config), found {len(spec)} values")
        return spec
    if hasattr(spec, "policy_class") and hasattr(spec, "config"):
        spaces = getattr(spec, "observation_space", None), getattr(spec, "action_space", None)
        return (spec.policy_class, *spaces, spec.config)
    return None


#: Spaces that a policy was given, in the engine's JSON form, by policy and kind.
DeclaredSpaces = dict[str, dict[str, Any]]


def spaces_of(policies: Any, draft: Draft) -> DeclaredSpaces:
    """The spaces that specs of policies name. They are the environment's own, so they are only compared with those."""
    declared: DeclaredSpaces = {}
    for name, spec in policies.items() if isinstance(policies, Mapping) else ():
        with contextlib.suppress(ConfigError):
            _, observation, action, _ = _parts(spec) or (None, None, None, None)
            for kind, space in (("observation_space", observation), ("action_space", action)):
                if space is not None:
                    declared.setdefault(str(name), {})[kind] = _space(f"multi_agent.policies.{name}", kind, space, draft)
    return declared


def _space(path: str, kind: str, space: Any, draft: Draft) -> Any:
    import gymnasium

    try:
        if isinstance(space, gymnasium.Space):
            return _native.space_to_json(space)
        found = f"{space!r}"
    except SkirlError as error:
        found = str(error)
    draft.problems.append((path, f"{path}: expected a space of gymnasium.spaces, or None, as {kind}, found {found}"))
    return None


def check_spaces(declared: DeclaredSpaces, modules: Mapping[str, Mapping[str, Any]]) -> None:
    """Compares the spaces that policies were given with those of the agents that they act for.

    Args:
        declared: The spaces that were given.
        modules: `observation_space` and `action_space` of each policy that acts, in JSON form.

    Raises:
        ConfigError: Every space that is another one.
    """
    problems = []
    for name, spaces in declared.items():
        for kind, given in spaces.items():
            own = modules[name][kind] if name in modules else given
            if given != own:
                path = f"multi_agent.policies.{name}"
                expected, found = _told_apart(own, given)
                message = f"expected the {kind} that the environment says for its agents, {expected}, found {found}"
                problems.append((path, f"{path}: {message}\n  help: leave it out, or correct the environment"))
    if problems:
        raise ConfigError.of(problems)


def _told_apart(left: Any, right: Any) -> tuple[str, str]:
    """Two spaces that differ as texts that differ."""
    short = repr(_native.space_from_json(left)), repr(_native.space_from_json(right))
    return short if short[0] != short[1] else (str(left), str(right))


def take_mapping(function: Any, draft: Draft) -> None:
    """Refuses what is no function."""
    if not callable(function):
        message = f"{MAPPING_PATH}: expected a function of the agent's id that returns the id of a policy, found {function!r}"
        draft.problems.append((MAPPING_PATH, message))


def mapping_of(function: Callable[..., Any], env: str, env_config: Mapping[str, Any]) -> dict[str, str]:
    """The policy of every agent that can appear in an environment, as the function says."""
    mapping = {}
    for agent in agents_of(env, env_config):
        policy = _asked(function, agent)
        if not isinstance(policy, str):
            raise ConfigError(f"policy_mapping_fn({agent!r}): expected the id of a policy (a str), found {policy!r}")
        mapping[str(agent)] = policy
    return mapping


def _asked(function: Callable[..., Any], agent: Any) -> Any:
    """What the function says of an agent."""
    try:
        return _call(function, agent)
    except SkirlError:
        raise
    except Exception as error:
        raise ConfigError(f"policy_mapping_fn({agent!r}) raised {type(error).__name__}: {error}") from error


def _call(function: Callable[..., Any], agent: Any) -> Any:
    """With as much of RLlib's `(agent_id, episode, worker=worker)` as the function takes."""
    episode, worker = _Unknown("episode"), {"worker": _Unknown("worker")}
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        return function(agent)
    takes_all = any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in signature.parameters.values())
    given = {"episode": episode, **worker}
    taken = {name: value for name, value in given.items() if takes_all or name in signature.parameters}
    # RLlib gives the episode by its place, so the function may call it what it likes.
    for places, named in (((agent,), taken), ((agent, episode), worker), ((agent, episode), {})):
        with contextlib.suppress(TypeError):
            signature.bind(*places, **named)
            break
    else:
        raise ConfigError(f"policy_mapping_fn: expected a function of (agent_id, episode, **kwargs), found {signature}")
    return function(*places, **named)


def agents_of(env: str, env_config: Mapping[str, Any]) -> list[Any]:
    """Ids of all agents that can appear. Makes one environment to ask it, and closes it again."""
    from skirl.env import _agents, _build, registry

    if _native.native_env(env) is not None or not registry.lookup(env)[0]:
        return _native.agents(env, _config.to_json(env_config))
    try:
        kind, made, _ = _build.build(env, _config.to_json(env_config), 1)
    except SkirlError:
        raise
    except Exception as error:
        raise EnvError(f"environment `{env}` could not be made: {type(error).__name__}: {error}") from error
    try:
        return _agents.ids_of(made[0]) if kind == "several agents" else ["default_agent"]
    finally:
        _build.close(made)
