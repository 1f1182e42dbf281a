"""Faults of environments with several agents."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np

from skirl.testing.gallery.entry import exhibit
from skirl.testing.gallery.sound import Meeting, Rally, TeamStep


@exhibit("agent_ids", "possible_agents", "found nothing")
class NobodyIsNamed(Meeting):
    """`possible_agents` is empty, and so are the spaces by agent."""

    def __init__(self) -> None:
        super().__init__()
        self.possible_agents = self.agents = []
        self.observation_spaces = {}


@exhibit("agent_ids", "differ as text", "'1'")
class TwoOfOneName(Meeting):
    """The ids 1 and '1' are one and the same as text, and policies and results know agents by their text."""

    def __init__(self) -> None:
        super().__init__()
        self.possible_agents = [1, "1"]


@exhibit("space_missing", "action_space", "'right'")
class SpaceForgotten(Meeting):
    """One agent has no action space."""

    def __init__(self) -> None:
        super().__init__()
        del self.action_spaces["right"]


@exhibit("space_bounds", "observation_space of agent 'right'", "low")
class BoundsTurnedRound(Meeting):
    """The bounds of one agent's observations are the wrong way round."""

    def __init__(self) -> None:
        super().__init__()
        space = gym.spaces.Box(-1.0, 1.0, (2,), np.float32)
        space.low, space.high = space.high, space.low
        self.observation_spaces["right"] = space


@exhibit("observation_shape", "agent 'right'", "(2,)", "(3,)")
class OneSeesTooMuch(Meeting):
    """One of the agents sees a number more than its space has."""

    def observe(self) -> dict[Any, Any]:
        return {agent: np.append(seen, 0.5).astype(np.float32) if agent == "right" else seen for agent, seen in super().observe().items()}


@exhibit("by_agent", "rewards", "a dict by agent", "float")
class OneRewardForAll(Meeting):
    """The rewards are one number, and no dict."""

    def step(self, action_dict: Any) -> Any:
        observations, rewards, *rest = super().step(action_dict)
        return observations, sum(rewards.values()), *rest


@exhibit("step_result", "a tuple of five", "length 4", "truncateds")
class OneKindOfEnd(Meeting):
    """`step` returns four dicts, as before terminated and truncated were told apart."""

    def step(self, action_dict: Any) -> Any:
        observations, rewards, terminateds, _, infos = super().step(action_dict)
        return observations, rewards, terminateds, infos


@exhibit("reset_result", "(observations, infos)", "dict alone")
class ResetWithoutInfos(Meeting):
    """`reset` returns the observations alone."""

    def reset(self, **named: Any) -> Any:
        return super().reset(**named)[0]


@exhibit("agent_unknown", "observations", "'guest'", "possible_agents")
class Stranger(Meeting):
    """An agent is observed that `possible_agents` does not name."""

    def observe(self) -> dict[Any, Any]:
        return {**super().observe(), "guest": np.zeros(2, np.float32)}


@exhibit("agent_unknown", "rewards", "'all'")
class SharedReward(Meeting):
    """The rewards hold one for all agents together, which is nobody's."""

    def step(self, action_dict: Any) -> TeamStep:
        observations, rewards, *rest = super().step(action_dict)
        return observations, {**rewards, "all": 1.0}, *rest  # type: ignore[return-value]


@exhibit("agent_unknown", "terminateds", "'0'")
class NumbersAsText(Rally):
    """The flags name agents by text, and all else by number."""

    def step(self, action_dict: Any) -> TeamStep:
        observations, rewards, terminateds, truncateds, infos = super().step(action_dict)
        return observations, rewards, {str(agent): flag for agent, flag in terminateds.items()}, truncateds, infos


@exhibit("nobody_acts", "observations of the agents that act first", "none")
class NobodyBegins(Meeting):
    """`reset` observes nobody, so nobody can act."""

    def reset(self, **named: Any) -> Any:
        super().reset(**named)
        return {}, {}


@exhibit("nobody_acts", "neither", "no action at all", severity="warning")
class NobodyGoesOn(Rally):
    """After each third step nobody is observed, though the episode is not over."""

    def step(self, action_dict: Any) -> TeamStep:
        observations, *rest = super().step(action_dict)
        return ({} if self.elapsed % 3 == 0 and self.elapsed < 12 else observations), *rest  # type: ignore[return-value]


@exhibit("step_raises", "KeyError", "Only the agents in the last observations act")
class ActionsOfAll(Rally):
    """`step` looks up the actions of all agents, although they take turns."""

    def step(self, action_dict: Any) -> TeamStep:
        self.loudest = max(action_dict[agent] for agent in self.possible_agents)
        return super().step(action_dict)


@exhibit("agent_after_end", "an observation", "nothing more")
class SeenAfterItsEnd(Meeting):
    """An agent that has arrived is observed in the steps that follow."""

    def present(self) -> list[Any]:
        return list(self.possible_agents)


@exhibit("agent_after_end", "the reward", "nothing more")
class PaidAfterItsEnd(Meeting):
    """An agent that has arrived is paid in the steps that follow."""

    def pay(self, agents: list[Any]) -> dict[Any, Any]:
        return dict.fromkeys(self.possible_agents, -0.1)


@exhibit("no_last_observation", "together with truncated", "Training stops")
class CutOffUnseen(Meeting):
    """The time limit of an agent comes without an observation of it."""

    def step(self, action_dict: Any) -> TeamStep:
        observations, rewards, terminateds, truncateds, infos = super().step(action_dict)
        cut = {agent: True for agent in observations if self.elapsed == 6 and not terminateds[agent]}
        return {agent: seen for agent, seen in observations.items() if agent not in cut}, rewards, terminateds, truncateds | cut, infos


@exhibit("no_last_observation", "last action is not learned from", severity="warning")
class AllCutOffUnseen(Meeting):
    """The time limit of all comes without observations."""

    def step(self, action_dict: Any) -> TeamStep:
        observations, *rest = super().step(action_dict)
        return ({} if rest[2]["__all__"] and not rest[1]["__all__"] else observations), *rest  # type: ignore[return-value]


@exhibit("all_missing", "__all__", "RLlib", severity="warning")
class EachForItself(Meeting):
    """The flags have no key for all agents."""

    def step(self, action_dict: Any) -> TeamStep:
        observations, rewards, terminateds, truncateds, infos = super().step(action_dict)
        # The time limit becomes one for each.
        limits = {agent: truncateds["__all__"] and not terminateds[agent] for agent in observations}
        return observations, rewards, {agent: terminateds[agent] for agent in observations}, limits, infos


@exhibit("flag_type", "terminated of agent", "True or False", "str")
class FlagInWords(Meeting):
    """The flags of the agents are words."""

    def step(self, action_dict: Any) -> Any:
        observations, rewards, terminateds, *rest = super().step(action_dict)
        words = {agent: "yes" if flag else "no" for agent, flag in terminateds.items() if agent != "__all__"}
        return observations, rewards, {**terminateds, **words}, *rest


@exhibit("reward_not_finite", "reward of agent", "nan")
class RewardOfNothing(Meeting):
    """A reward is divided by the number of agents that are still there, and then by 0."""

    def pay(self, agents: list[Any]) -> dict[Any, Any]:
        left = len([agent for agent in agents if abs(self.places[agent]) < 5])
        return {agent: 0.5 * left / left if left else float("nan") for agent in agents}


@exhibit("reward_unlearned", "have acted", severity="warning")
class PaidInAdvance(Rally):
    """The second player is paid before its first move."""

    def pay(self, agents: list[Any]) -> dict[Any, Any]:
        return dict.fromkeys(self.possible_agents, 0.25)


@exhibit("agents_changed", "possible_agents", "'second'")
class NamesChange(Meeting):
    """Each reset gives the agents other names in `possible_agents`."""

    def reset(self, **named: Any) -> Any:
        result = super().reset(**named)
        self.possible_agents = ["left", "second"]
        self.observation_spaces["second"] = self.observation_spaces["right"]
        self.action_spaces["second"] = self.action_spaces["right"]
        return result


@exhibit("agent_never_seen", "'referee'", severity="note")
class SpareAgent(Meeting):
    """`possible_agents` names one that never takes part."""

    def __init__(self) -> None:
        super().__init__()
        self.possible_agents = ["left", "right", "referee"]
        for spaces in (self.observation_spaces, self.action_spaces):
            spaces["referee"] = spaces["right"]


@exhibit("not_deterministic", "observation", "same episode again")
class OrderOfASet(Meeting):
    """Something that reset does not clear decides where the agents begin."""

    visits = 0

    def reset(self, **named: Any) -> Any:
        super().reset(**named)
        self.visits = self.visits + 1
        self.places["left"] = self.visits % 3
        return self.observe(), {}


@exhibit("shared_state", "in turns")
class OneBoard(Meeting):
    """All instances write into the places that belong to the class."""

    places: dict[Any, int] = {}

    def __init__(self) -> None:
        super().__init__()
        del self.__dict__["places"]

    def begin(self, left: int, right: int) -> None:
        self.places.update(left=left, right=right)


@exhibit("observation_reused", "observation", "copy", severity="warning")
class OneDict(Rally):
    """Every call returns the same dict of observations, with other values in it."""

    def observe(self) -> dict[Any, Any]:
        self.seen = getattr(self, "seen", {})
        self.seen.clear()
        self.seen.update(super().observe())
        return self.seen


@exhibit("step_raises", "lonely", "RuntimeError")
class LonelyInTheEnd(Meeting):
    """`step` raises once one of the agents has left."""

    def step(self, action_dict: Any) -> TeamStep:
        if len(action_dict) == 1:
            raise RuntimeError("lonely")
        return super().step(action_dict)


@exhibit("never_ends", "episodes end", severity="warning")
class NoEnd(Rally):
    """The game goes on for ever."""

    def over(self) -> bool:
        return False
