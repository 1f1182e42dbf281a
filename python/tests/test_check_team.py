"""`skirl.check_env` on environments with several agents: what it takes for one, how it tells agents apart, that nothing breaks it."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import pytest

from skirl import check_env
from skirl.check import Report
from skirl.env.multi_agent_env import MultiAgentEnv, make_multi_agent
from skirl.errors import EnvError
from skirl.testing.gallery.agents import LonelyInTheEnd, OneSeesTooMuch, SpaceForgotten
from skirl.testing.gallery.sound import Meeting, Rally
from test_check_env import JUNK


def check(env: Any, **options: Any) -> Report:
    return check_env(env, **{"verbose": False, "raise_on_error": False, "memory": False, "steps": 150, **options})


def codes(report: Report) -> set[str]:
    return {finding.code for finding in report.findings}


class Parallel:
    """As PettingZoo's parallel environments are: spaces by method, no base class, no key for all; agents leave one after another."""

    possible_agents = ["a", "b"]

    def observation_space(self, agent: str) -> Any:
        return gym.spaces.Discrete(10)

    def action_space(self, agent: str) -> Any:
        return gym.spaces.Discrete(2)

    def reset(self, seed: int | None = None, options: Any = None) -> Any:
        if seed is not None or not hasattr(self, "random"):
            self.random = np.random.default_rng(seed)
        self.t, self.lengths = 0, {"a": int(self.random.integers(2, 9)), "b": int(self.random.integers(2, 9))}
        self.agents = list(self.possible_agents)
        return dict.fromkeys(self.agents, 0), {}

    def step(self, actions: Any) -> Any:
        assert set(actions) == set(self.agents)
        self.t += 1
        acted = list(self.agents)
        self.agents = [agent for agent in acted if self.t < self.lengths[agent]]
        ends = {agent: agent not in self.agents for agent in acted}
        return dict.fromkeys(acted, self.t), dict.fromkeys(acted, 1.0), ends, dict.fromkeys(acted, False), dict.fromkeys(acted, {})


@pytest.mark.parametrize("env", [Parallel, Parallel(), make_multi_agent("CartPole-v1"), Meeting(), lambda: Rally()])
def test_what_is_sound(env: Any) -> None:
    report = check(env)
    assert report.findings == [] and report.complete and report.num_episodes > 5, report


def test_it_raises_as_for_one_agent() -> None:
    with pytest.raises(EnvError, match=r"(?s)\[step_raises\].*RuntimeError: lonely") as raised:
        check_env(LonelyInTheEnd, memory=False)
    assert isinstance(raised.value.__cause__, RuntimeError)


def test_a_finding_names_the_agent_and_the_line() -> None:
    report = check(OneSeesTooMuch)
    (finding,) = report.findings
    assert finding.where.agent == "'right'" and finding.count > 100
    assert "observation of agent 'right'" in str(finding) and "sound.py" in finding.where.line
    (finding,) = check(SpaceForgotten).findings
    assert "action_space of agent 'right'" in str(finding)


def test_agents_of_whom_the_same_is_expected_make_one_finding() -> None:
    class Same(Meeting):
        def observe(self) -> Any:
            return {agent: np.zeros(5, np.float32) for agent in self.present()}

    class Different(Same):
        def __init__(self) -> None:
            super().__init__()
            self.observation_spaces["right"] = gym.spaces.Box(-1.0, 1.0, (7,), np.float32)

    assert [finding.code for finding in check(Same).findings] == ["observation_shape"]
    found = check(Different).findings
    assert [finding.where.agent for finding in found] == ["'left'", "'right'"] and codes(check(Different)) == {"observation_shape"}


def test_every_action_of_each_agent_is_tried() -> None:
    class Picky(Rally):
        def __init__(self) -> None:
            super().__init__()
            self.action_spaces = {**(self.action_spaces or {}), 1: gym.spaces.MultiDiscrete([40, 40, 40])}

        def step(self, action_dict: Any) -> Any:
            if list(action_dict.get(1, ())) == [39, 39, 39]:
                raise ValueError("not that one")
            return super().step({agent: action if agent == 0 else [0.0] for agent, action in action_dict.items()})

    report = check(Picky)
    assert codes(report) == {"step_raises"} and "39" in str(report)


def test_actions_are_those_of_each_agents_space_and_mask() -> None:
    class Masked(Meeting):
        def reset(self, **named: Any) -> Any:
            return super().reset(**named)[0], self.infos()

        def infos(self) -> Any:
            return {agent: {"action_mask": np.array([self.elapsed % 2, 1], np.int8)} for agent in self.present()}

        def step(self, action_dict: Any) -> Any:
            assert all(action == 1 for action in action_dict.values()) or self.elapsed % 2
            return *super().step(action_dict)[:4], self.infos()

    assert check(Masked).findings == []


def test_without_a_key_for_all_the_last_one_to_end_ends_the_episode() -> None:
    class OnlyOne(Parallel):
        possible_agents = ["a", "b", "spare"]

        def reset(self, seed: int | None = None, options: Any = None) -> Any:
            super().reset(seed)
            self.agents = ["a", "b"]
            return {"a": 0, "b": 0}, {}

    report = check(OnlyOne)
    assert codes(report) == {"agent_never_seen"} and report.num_episodes > 5


class JunkTeam(Rally):
    """Returns anything in one place."""

    def __init__(self, place: str, junk: Any) -> None:
        super().__init__()
        self.junk_at, self.junk = place, junk
        if hasattr(self, place):
            setattr(self, place, junk)

    def reset(self, **named: Any) -> Any:
        result = super().reset(**named)
        return self.junk if self.junk_at == "reset" else result

    def step(self, action_dict: Any) -> Any:
        parts: list[Any] = list(super().step(action_dict))
        names = ("observations", "rewards", "terminateds", "truncateds", "infos")
        for index, name in enumerate(names):
            if self.junk_at == name:
                parts[index] = self.junk
            if self.junk_at == f"one of {name}":
                parts[index] = {**parts[index], 0: self.junk}
            if self.junk_at == f"all of {name}":
                parts[index] = {**parts[index], "__all__": self.junk}
            try:
                if self.junk_at == f"key of {name}":
                    parts[index] = {**parts[index], self.junk: 0}
            except TypeError:
                pass
        return self.junk if self.junk_at == "step" else tuple(parts)


@pytest.mark.parametrize("kind", ["", "one of ", "all of ", "key of "])
def test_anything_may_come_back(kind: str) -> None:
    places = ["observations", "rewards", "terminateds", "truncateds", "infos"]
    if not kind:
        places += ["reset", "step", "possible_agents", "agents", "observation_space", "action_spaces", "metadata"]
    for place in places:
        for index, junk in enumerate(JUNK):
            report = check(lambda: JunkTeam(kind + place, junk), steps=9)  # noqa: B023: called within the loop.
            assert not report.has("not_checked"), (kind + place, index, report)
            str(report)


def test_a_class_whose_agents_cannot_be_read() -> None:
    class Shy(MultiAgentEnv):
        @property
        def possible_agents(self) -> Any:  # type: ignore[override]
            raise LookupError("later")

        def step(self, action_dict: Any) -> Any:
            return {}, {}, {}, {}, {}

    report = check(Shy)
    assert codes(report) == {"agent_ids"} and "LookupError: later" in str(report)
