"""What the engine asks an environment with several agents: who can appear, and what each sees and does."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

from skirl.errors import EnvError


def has_several(env: Any) -> bool:
    """Whether an environment has several agents: a `MultiAgentEnv`, or one that names its `possible_agents` as they do."""
    inner = getattr(env, "unwrapped", env)
    return is_multi_agent_class(type(inner)) or (hasattr(inner, "possible_agents") and hasattr(env, "step"))


def is_multi_agent_class(cls: type) -> bool:
    """Whether a class is a `MultiAgentEnv`, or PettingZoo's kind of one."""
    pettingzoo = sys.modules.get("pettingzoo")
    if pettingzoo is not None and issubclass(cls, pettingzoo.ParallelEnv):
        return True
    module = sys.modules.get("skirl.env.multi_agent_env")
    return module is not None and issubclass(cls, module.MultiAgentEnv)


def ids_of(env: Any) -> list[Any]:
    """Ids of all agents that can ever appear, in order."""
    inner = getattr(env, "unwrapped", env)
    spaces = getattr(inner, "observation_spaces", None)
    ids = list(getattr(inner, "possible_agents", None) or getattr(inner, "agents", None) or spaces or ())
    name = type(inner).__name__
    if not ids:
        raise EnvError(
            f"{name} names no agents: expected the ids of all agents that can ever appear in self.possible_agents, found nothing"
        )
    try:
        dict.fromkeys(ids)
    except TypeError as error:
        raise EnvError(f"{name}.possible_agents: expected ids that can be keys of a dict, found {ids!r} ({error})") from None
    texts = [str(each) for each in ids]
    if len(set(texts)) != len(texts) or "__all__" in texts:
        raise EnvError(f"{name}.possible_agents: expected ids that differ as text, and none that is '__all__', found {ids!r}")
    return ids


def describe(env: Any) -> list[tuple[Any, str, Any, Any]]:
    """Id, name, observation space and action space of every agent."""
    return [(agent, str(agent), space_of(env, agent, "observation"), space_of(env, agent, "action")) for agent in ids_of(env)]


def space_of(env: Any, agent: Any, kind: str) -> Any:
    """The observation or action space of an agent."""
    inner = getattr(env, "unwrapped", env)
    getter = getattr(inner, f"get_{kind}_space", None)
    if getter is not None:
        return getter(agent)
    # PettingZoo's parallel environments have a method where others have a space.
    space = getattr(inner, f"{kind}_space", None)
    if callable(space) and not hasattr(space, "sample"):
        return space(agent)
    spaces = getattr(inner, f"{kind}_spaces", None)
    if not isinstance(spaces, Mapping) or agent not in spaces:
        raise EnvError(f"{type(inner).__name__} has no {kind} space for agent {agent!r}: expected one in {kind}_spaces")
    return spaces[agent]
