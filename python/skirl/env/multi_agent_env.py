"""Environments with several agents, as users write them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

import gymnasium

from skirl.env.env_context import EnvContext
from skirl.errors import EnvError

#: What is given and taken by agent.
AgentID = Any
MultiAgentDict = dict[AgentID, Any]


class MultiAgentEnv(gymnasium.Env[Any, Any], ABC):
    """An environment with several agents, which act at the same time, in turns, or both.

    A subclass sets `possible_agents` and the spaces of each agent, and writes `reset` and `step`. An agent that is in the
    observations of a reset or step acts in the next step, and nobody else does. Rewards may reach any agent; those that come
    between two of its observations are added up. An agent's last observation comes together with its flag in `terminateds`
    or `truncateds`; the key `"__all__"` there ends the episode for all. Without that key it is over when every agent that
    took part has ended. An agent that has ended stays out until the next reset: a later observation of it, or a reward
    other than 0, is an `EnvError`.

    Attributes:
        possible_agents: Ids of all agents that can ever appear.
        agents: Ids of the agents that are in the running episode.
        observation_spaces: Observation space of each agent.
        action_spaces: Action space of each agent.
    """

    agents: list[AgentID] = []
    possible_agents: list[AgentID] = []
    observation_spaces: dict[AgentID, gymnasium.Space[Any]] | None = None
    action_spaces: dict[AgentID, gymnasium.Space[Any]] | None = None
    #: One space for all agents, or a `Dict` of the spaces of all of them, in place of the maps.
    observation_space: Any = None
    action_space: Any = None

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[MultiAgentDict, MultiAgentDict]:
        """Starts an episode.

        Returns:
            Observations of the agents that act first, and infos; both by agent. A subclass calls this one for the seed of
            `self.np_random`.
        """
        super().reset(seed=seed, options=options)
        return {}, {}

    @abstractmethod
    def step(
        self, action_dict: MultiAgentDict
    ) -> tuple[MultiAgentDict, MultiAgentDict, MultiAgentDict, MultiAgentDict, MultiAgentDict]:
        """Takes the actions of the agents that were observed. A subclass writes it; one without it cannot be made.

        Returns:
            Observations, rewards, terminateds, truncateds and infos, each by agent; the flags with `"__all__"`, too.
        """

    def get_observation_space(self, agent_id: AgentID) -> Any:
        """The observation space of an agent."""
        return self._space_of(agent_id, "observation")

    def get_action_space(self, agent_id: AgentID) -> Any:
        """The action space of an agent."""
        return self._space_of(agent_id, "action")

    def _space_of(self, agent_id: AgentID, kind: str) -> Any:
        by_agent, one = getattr(self, f"{kind}_spaces"), getattr(self, f"{kind}_space")
        for spaces in (by_agent, getattr(one, "spaces", None)):
            if spaces is not None and agent_id in spaces:
                return spaces[agent_id]
        if one is not None and by_agent is None:
            return one
        raise EnvError(
            f"{type(self).__name__} has no {kind} space for agent {agent_id!r}: expected an entry in self.{kind}_spaces, found "
            f"{'nothing there' if by_agent is None else sorted(map(str, by_agent))}"
        )

    @property
    def num_agents(self) -> int:
        """Agents in the running episode."""
        return len(self.agents)

    @property
    def max_num_agents(self) -> int:
        """Agents that can ever appear."""
        return len(self.possible_agents)

    def get_agent_ids(self) -> set[AgentID]:
        """Ids of all agents that can ever appear, as RLlib's older versions ask for them."""
        return set(self.possible_agents or self.agents)


def make_multi_agent(env_name_or_creator: str | Callable[..., Any]) -> type[MultiAgentEnv]:
    """A class of environments in which each agent acts in a single-agent environment of its own.

    `env_config["num_agents"]` (default 1) says how many agents; the other keys go to the environments. Agents are numbered
    from 0. The episode is over when all agents have ended.

    Args:
        env_name_or_creator: A Gymnasium id, or a function that takes an `EnvContext` and returns an environment.
    """

    class MultiEnv(MultiAgentEnv):
        """As many independent environments as there are agents."""

        def __init__(self, config: EnvContext | dict[str, Any] | None = None) -> None:
            arguments = EnvContext({}) if config is None else config.copy()
            context = config if isinstance(config, EnvContext) else EnvContext(config)
            number = int(arguments.pop("num_agents", 1))
            self.envs = [_make(env_name_or_creator, context.copy_with_overrides(arguments)) for _ in range(number)]
            self.possible_agents = self.agents = list(range(number))
            self.observation_spaces = {agent: env.observation_space for agent, env in enumerate(self.envs)}
            self.action_spaces = {agent: env.action_space for agent, env in enumerate(self.envs)}
            self._ended: set[int] = set()

        def reset(
            self, *, seed: int | None = None, options: dict[str, Any] | None = None
        ) -> tuple[MultiAgentDict, MultiAgentDict]:
            self._ended.clear()
            # Agents with one seed would all live through the same episode.
            seeds = _seeds(seed, len(self.envs))
            begun = [env.reset(seed=own, options=options) for env, own in zip(self.envs, seeds, strict=True)]
            return {agent: each[0] for agent, each in enumerate(begun)}, {agent: each[1] for agent, each in enumerate(begun)}

        def step(
            self, action_dict: MultiAgentDict
        ) -> tuple[MultiAgentDict, MultiAgentDict, MultiAgentDict, MultiAgentDict, MultiAgentDict]:
            stepped = {agent: self.envs[agent].step(action) for agent, action in action_dict.items()}
            self._ended |= {agent for agent, each in stepped.items() if each[2] or each[3]}
            observations, rewards, terminateds, truncateds, infos = (
                {agent: each[part] for agent, each in stepped.items()} for part in range(5)
            )
            terminateds["__all__"] = len(self._ended) == len(self.envs)
            truncateds["__all__"] = False
            return observations, rewards, terminateds, truncateds, infos

        def render(self) -> Any:
            """The picture of the first agent's environment."""
            return self.envs[0].render()

        def close(self) -> None:
            for env in self.envs:
                env.close()

    return MultiEnv


def _make(env_name_or_creator: str | Callable[..., Any], context: EnvContext) -> Any:
    if isinstance(env_name_or_creator, str):
        return gymnasium.make(env_name_or_creator, **context)
    return env_name_or_creator(context)


def _seeds(seed: int | None, number: int) -> list[int | None]:
    """The first agent has the seed itself, the others seeds that follow from it."""
    if seed is None:
        return [None] * number
    from numpy.random import SeedSequence

    others = (SeedSequence(seed, spawn_key=(agent,)).generate_state(1, "uint64")[0] for agent in range(1, number))
    return [seed, *map(int, others)]
