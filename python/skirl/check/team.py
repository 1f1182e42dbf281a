"""Plays an environment with several agents and looks at everything that it returns, agent by agent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from skirl.check.actions import TeamActions
from skirl.check.case import CannotGoOn, Case
from skirl.check.player import Outcome, Player, equal_spaces
from skirl.check.same import copy_of, shown
from skirl.check.values import problems

ALL = "__all__"
#: Spaces of each agent: of observations, of actions.
Members = dict[Any, tuple[Any, Any]]

_NAMES = ("observations", "rewards", "terminateds", "truncateds", "infos")
_ONLY_OBSERVED = (
    "Only the agents in the last observations act, so the dict holds actions of them alone: look up no others, or return an observation "
    "of each agent that shall act next."
)


class TeamPlayer(Player):
    """One environment with several agents, played call by call. Findings go to the case."""

    def __init__(self, case: Case, env: Any, members: Members) -> None:
        super().__init__(case, env, (None, None))
        self.members = members
        #: Agents that were observed in any episode.
        self.seen: set[Any] = set()
        self._start_episode()

    def like(self, env: Any) -> Player:
        """A player of another instance."""
        return TeamPlayer(self.case, env, self.members)

    def actions(self, seed: int) -> TeamActions:
        """What draws an action for each agent that acts."""
        return TeamActions({agent: action for agent, (_, action) in self.members.items()}, seed)

    def _start_episode(self) -> None:
        #: Agents that were observed in this episode, that ended in it, and of which an action is yet to be followed by an observation.
        self._part: set[Any] = set()
        self._gone: set[Any] = set()
        self._open: set[Any] = set()

    def _call_step(self, action: Any) -> Any:
        self._open |= set(action)
        context = f"for {shown(action)}, legal actions of the agents that were observed"
        return self.case.call(self.env, "step", context, action, step=self.step_of_episode, key_advice=_ONLY_OBSERVED)

    def _about(self, agent: Any) -> str:
        self.agent = repr(agent)
        return self.agent

    # What reset and step return, taken apart.

    def _reset_outcome(self, result: Any) -> Outcome:
        self.agent = ""
        self._start_episode()
        if not (isinstance(result, tuple) and len(result) == 2):
            found = f"a tuple of length {len(result)}" if isinstance(result, tuple) else f"a {type(result).__name__} alone"
            advice = "End reset with: return observations, {} (dicts by agent; the second one has the infos, and may be empty)."
            self.add("reset_result", "reset", "a tuple of two, (observations, infos)", found, advice)
            raise CannotGoOn
        observations = self._by_agent("reset", "observations", result[0])
        self._look_at_infos("reset", result[1])
        if not observations:
            self.add(
                "nobody_acts", "reset", "observations of the agents that act first", "none",
                "Return {agent: observation} for each agent that shall act in the first step.",
            )  # fmt: skip
            raise CannotGoOn
        return self._outcome(observations, {}, {}, {}, result[1])

    def _step_outcome(self, result: Any) -> Outcome:
        self.agent = ""
        if not isinstance(result, tuple) or len(result) != len(_NAMES):
            found = f"a tuple of length {len(result)}" if isinstance(result, tuple) else f"a {type(result).__name__}"
            expected = f"a tuple of five, ({', '.join(_NAMES)})"
            self.add("step_result", "step", expected, found, f"End step with: return {', '.join(_NAMES)}; each is a dict by agent.")
            raise CannotGoOn
        observations, rewards = (self._by_agent("step", name, result[at]) for at, name in enumerate(_NAMES[:2]))
        terminated, truncated = (self._flags(name, result[at]) for at, name in ((2, "terminateds"), (3, "truncateds")))
        self._look_at_infos("step", result[4])
        self._look_at_all(*result[2:4])
        numbers = {agent: self._reward_of(agent, reward, agent in observations) for agent, reward in rewards.items()}
        self._look_at_ended(observations, numbers)
        self._take_ends(observations, terminated, truncated)
        return self._outcome(observations, numbers, terminated, truncated, result[4])

    def _outcome(self, observations: Any, rewards: Any, terminated: Any, truncated: Any, infos: Any) -> Outcome:
        self.agent = ""
        self._part |= set(observations)
        self.seen |= set(observations)
        over = bool(terminated.get(ALL) or truncated.get(ALL)) or self._gone >= set(self.members)
        # Without the key for all, it is over when all that took part have ended.
        over |= bool(terminated) and ALL not in terminated and ALL not in truncated and self._gone >= self._part
        acting = tuple(agent for agent in observations if agent not in self._gone)
        if self.step_of_episode and not over and not acting:
            self.add(
                "nobody_acts", "step", "an observation of an agent that acts next, or that the episode is over", "neither",
                'Observe whose turn it is, or set terminateds["__all__"]; as it is, the next step is taken with no action at all.',
                severity="warning",
            )  # fmt: skip
        return Outcome(copy_of(observations), rewards, terminated, truncated, infos, acting, over)

    def _by_agent(self, method: str, name: str, values: Any) -> dict[Any, Any]:
        """The entries of agents that there are."""
        if not isinstance(values, Mapping):
            self.add(
                "by_agent", method, "a dict by agent", f"a {type(values).__name__}: {shown(values)}",
                f"Return {name} as a dict, with an entry for each agent concerned.", field=name,
            )  # fmt: skip
            raise CannotGoOn
        for unknown in (agent for agent in values if agent not in self.members):
            if unknown == ALL and name in ("terminateds", "truncateds", "infos"):
                continue
            self.add(
                "agent_unknown", method, f"ids of possible_agents: {shown(list(self.members))}",
                f"{shown(unknown)}, a {type(unknown).__name__}",
                "List every agent that can ever appear in possible_agents, and use these very ids (1 and '1' are two).", field=name,
            )  # fmt: skip
        return {agent: value for agent, value in values.items() if agent in self.members}

    def _reward_of(self, agent: Any, reward: Any, observed: bool) -> float:
        self._about(agent)
        value = self._reward(reward)
        if value != 0 and agent not in self._open and agent not in self._gone:
            self.add(
                "reward_unlearned", "step", "rewards of agents that have acted in the episode",
                f"{value} for an agent that has not", "It counts in the episode's return, but there is no action that it could teach: "
                "keep it until after the agent's first action.", field="reward", severity="warning",
            )  # fmt: skip
        return value

    def _flags(self, name: str, values: Any) -> dict[Any, bool]:
        flags = self._by_agent("step", name, values)
        if ALL in values:
            flags = {**flags, ALL: values[ALL]}
        found = {}
        for agent, flag in flags.items():
            self._about(agent)
            found[agent] = self._flag(name.removesuffix("s"), flag)
        self.agent = ""
        return found

    def _look_at_all(self, terminateds: Any, truncateds: Any) -> None:
        lacking = [name for name, flags in zip(_NAMES[2:4], (terminateds, truncateds), strict=True) if ALL not in flags]
        if lacking and any(base.__name__ == "MultiAgentEnv" for base in type(self.env).__mro__):
            self.add(
                "all_missing", "step", 'the key "__all__" in terminateds and in truncateds', f"none in {' and in '.join(lacking)}",
                "skirl ends the episode when all agents that took part have ended; RLlib never does without this key.",
                field=lacking[0], severity="warning",
            )  # fmt: skip

    def _look_at_ended(self, observations: Any, rewards: Any) -> None:
        for agent in self._gone:
            given = "an observation" if agent in observations else f"the reward {rewards[agent]}" if rewards.get(agent) else ""
            if given:
                self._about(agent)
                self.add(
                    "agent_after_end", "step", "nothing more for an agent that has ended, until the next reset", given,
                    "Leave the agent out of everything after the step that ended it: training stops with an error here. Where the agent "
                    "shall go on, do not set its flag.", field="observation" if agent in observations else "reward",
                )  # fmt: skip

    def _take_ends(self, observations: Any, terminated: Any, truncated: Any) -> None:
        """Who ends now; one that is cut off needs a last observation, from which the value of what follows is estimated."""
        for agent in [agent for agent in self._open if agent not in self._gone and agent not in observations]:
            by_itself = truncated.get(agent) and not (terminated.get(agent) or terminated.get(ALL))
            with_all = truncated.get(ALL) and not (terminated.get(agent) or terminated.get(ALL))
            if by_itself or with_all:
                self._about(agent)
                self.add(
                    "no_last_observation", "step", "an observation together with truncated", "none",
                    "Return what the agent sees in the end: the value of what would have followed is estimated from it. "
                    + ("Training stops with an error here." if by_itself else "Without it the agent's last action is not learned from."),
                    field="observation", severity="error" if by_itself else "warning",
                )  # fmt: skip
        self._gone |= {agent for flags in (terminated, truncated) for agent, flag in flags.items() if flag and agent != ALL}
        self._open -= self._gone

    # What is looked at in every call.

    def _look_at_observation(self, method: str, raw: Any, outcome: Outcome) -> None:
        self._last = (method, raw, copy_of(raw))
        for agent, observation in outcome.observation.items():
            self._about(agent)
            for problem in problems(self.members[agent][0], observation):
                self.add(
                    problem.code, method, problem.expected, problem.found, problem.advice,
                    field=f"observation{problem.path}", severity=problem.severity,
                )  # fmt: skip
        self.agent = ""

    def _look_at_infos(self, method: str, infos: Any) -> None:
        self._look_at_info(method, infos)
        if isinstance(infos, Mapping):
            for agent, info in infos.items():
                if agent in self.members:
                    self._about(agent)
                    self._look_at_info(method, info)
        self.agent = ""

    def _look_at_spaces(self) -> None:
        from skirl.check.members import members_now

        self.agent = ""
        now = members_now(self.env)
        if now is None or list(now) != list(self.members):
            self.add(
                "agents_changed", "reset", f"the agents that there were when the environment was built: {shown(list(self.members))}",
                "no agents or spaces that can be read" if now is None else shown(list(now)),
                "possible_agents names all that can ever appear, and stays as it is; agents may change.",
            )  # fmt: skip
            return
        for agent, declared in self.members.items():
            for name, before, after in zip(("observation_space", "action_space"), declared, now[agent], strict=True):
                if not equal_spaces(before, after):
                    self.add(
                        "space_changed", "reset", f"that {name} stays what it was when the environment was built: {shown(before)}",
                        f"{shown(after)} after a reset",
                        "A network has a fixed size: declare the largest space, and fill what an episode does not need.",
                        field=name, agent=repr(agent),
                    )  # fmt: skip
