"""Environments with several agents: what crosses the border, the same bytes as a native one, policies by agent."""

import sys

import gymnasium
import numpy as np
import pytest
from env_runs import build, weights

from skirl.algorithms._policies import mapping_of
from skirl.algorithms.ppo import PPOConfig
from skirl.env import register_env
from skirl.env.multi_agent_env import MultiAgentEnv, make_multi_agent
from skirl.errors import ConfigError, EnvError
from skirl.policy import PolicySpec


class Turns(MultiAgentEnv):
    """Two agents take turns; each gets the other's number as reward, and the episode has `length` steps."""

    change = staticmethod(lambda step: step)

    def __init__(self, config=None):
        self.length = (config or {}).get("length", 6)
        self.possible_agents = self.agents = ["a", 1]
        self.observation_spaces = {
            "a": gymnasium.spaces.Box(-1, 1, (2,), np.float32),
            1: gymnasium.spaces.Dict({"x": gymnasium.spaces.Box(-1, 1, (3,), np.float32), "y": gymnasium.spaces.Discrete(3)}),
        }
        self.action_spaces = {"a": gymnasium.spaces.Discrete(3), 1: gymnasium.spaces.Box(-1, 1, (2,), np.float32)}
        self.seen = []

    def observation(self):
        agent = self.possible_agents[self.t % 2]
        return {agent: np.full(2, 0.5, np.float32) if agent == "a" else {"x": np.zeros(3, np.float32), "y": self.t % 3}}

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.t = 0
        return self.observation(), {}

    def step(self, actions):
        self.seen.append(actions)
        (agent,) = actions
        assert agent == self.possible_agents[self.t % 2]
        assert self.action_spaces[agent].contains(actions[agent])
        self.t += 1
        over = self.t >= self.length
        return self.change((self.observation(), {agent: 1.0, "a": 2.0}, {"__all__": over}, {"__all__": False}, {}))


def config(env, **multi_agent):
    made = PPOConfig().environment(env).env_runners(num_env_runners=0, num_envs_per_env_runner=2)
    return made.training(train_batch_size=64, minibatch_size=32, num_epochs=1).debugging(seed=1).multi_agent(**multi_agent)


def test_two_cart_poles_in_python_give_the_bytes_of_the_native_ones(tmp_path):
    register_env("TwoOfGymnasium", make_multi_agent("CartPole-v1"))
    found = []
    for env, env_config in (("TwoCartPole-v0", {}), ("TwoOfGymnasium", {"num_agents": 2})):
        algorithm = build(env, num_envs=3, steps=64, env_config=env_config)
        for _ in range(3):
            algorithm.train()
        found.append(weights(algorithm, tmp_path / env))
    assert found[0] == found[1]


def test_turns_mixed_spaces_and_a_policy_for_each():
    mapping = {"a": "one", 1: "other"}
    asked = []

    def policy_of(agent_id, episode, **kwargs):
        asked.append(agent_id)
        return mapping[agent_id]

    algorithm = config(Turns, policies={"one", "other"}, policy_mapping_fn=policy_of).build_algo()
    assert asked == ["a", 1]
    result = algorithm.train()
    returns = result["env_runners"]["agent_episode_return_mean"]
    # Its own, and what came while it had no turn.
    assert returns == {"a": 12.0, "1": 3.0}
    assert set(result["learners"]) >= {"one", "other"}
    envs = algorithm.env_runner.foreach_env(lambda env: env)
    assert [type(env) for env in envs] == [Turns, Turns] and all(env.seen for env in envs)
    assert algorithm.compute_single_action(np.zeros(2, np.float32), policy_id="one") in (0, 1, 2)
    action = algorithm.compute_single_action({"x": np.zeros(3, np.float32), "y": 1}, policy_id="other")
    assert action.shape == (2,)


def test_a_checkpoint_holds_the_map_and_not_the_function(tmp_path):
    made = config(Turns, policies=["one", "other"], policy_mapping_fn=lambda agent_id: "one" if agent_id == "a" else "other")
    algorithm = made.build_algo()
    algorithm.train()
    path = algorithm.save_to_path(tmp_path / "saved")
    algorithm.stop()
    resumed = type(algorithm).from_checkpoint(path)
    assert resumed.config["policy_mapping"] == {"a": "one", "1": "other"}
    resumed.train()


def test_a_creator_function_and_runners_asked_for_train_in_the_process():
    register_env("TurnsByFunction", lambda context: Turns(context))
    made = config("TurnsByFunction", policies=["one", "other"], policy_mapping_fn=lambda agent_id: "one" if agent_id == "a" else "other")
    assert made.env_runners(num_env_runners=2).build_algo().train()["env_runners"]["num_episodes_lifetime"] > 0


def test_episodes_end_without_all_when_every_agent_has_ended():
    class Leave(MultiAgentEnv):
        possible_agents = agents = ["x", "y"]
        observation_space = gymnasium.spaces.Box(-1, 1, (1,), np.float32)
        action_space = gymnasium.spaces.Discrete(2)

        def reset(self, *, seed=None, options=None):
            self.t = 0
            return {"x": np.zeros(1, np.float32), "y": np.zeros(1, np.float32)}, {}

        def step(self, actions):
            self.t += 1
            assert set(actions) == ({"x", "y"} if self.t <= 2 else {"y"})
            here = {agent: np.zeros(1, np.float32) for agent in actions}
            return here, dict.fromkeys(here, 1), {"x": self.t == 2}, {"y": self.t == 5}, {}

    result = config(Leave).build_algo().train()["env_runners"]
    assert result["episode_len_mean"] == 5 and result["agent_episode_return_mean"] == {"x": 2, "y": 5}


def test_without_all_the_last_of_those_that_took_part_ends_the_episode():
    class Spare(MultiAgentEnv):
        possible_agents = agents = ["x", "y", "spare"]
        observation_space = gymnasium.spaces.Box(-1, 1, (1,), np.float32)
        action_space = gymnasium.spaces.Discrete(2)
        all = {}

        def reset(self, *, seed=None, options=None):
            self.t = 0
            return {"x": np.zeros(1, np.float32), "y": np.zeros(1, np.float32)}, {}

        def step(self, actions):
            self.t += 1
            here = {agent: np.zeros(1, np.float32) for agent in actions}
            return here, dict.fromkeys(here, 1), {"x": self.t == 2, **self.all}, {"y": self.t == 5}, {}

    assert config(Spare).build_algo().train()["env_runners"]["episode_len_mean"] == 5
    # Who says that it goes on may have others appear later.
    Spare.all = {"__all__": False}
    assert config(Spare).build_algo().train()["env_runners"]["num_episodes"] == 0


class Revenant(MultiAgentEnv):
    """Agent x ends in the second step, y in the fourth; what x is given after that comes from `late`."""

    possible_agents = agents = ["x", "y"]
    observation_space = gymnasium.spaces.Box(-1, 1, (1,), np.float32)
    action_space = gymnasium.spaces.Discrete(2)
    late = ({}, {})

    def reset(self, *, seed=None, options=None):
        self.t = 0
        return {"x": np.zeros(1, np.float32), "y": np.zeros(1, np.float32)}, {}

    def step(self, actions):
        self.t += 1
        here = ["x", "y"] if self.t <= 2 else ["y"]
        observations, rewards = self.late if self.t == 4 else ({}, {})
        observations = {agent: np.zeros(1, np.float32) for agent in here} | observations
        return observations, dict.fromkeys(here, 1.0) | rewards, {"x": self.t >= 2, "y": self.t == 4}, {}, {}


@pytest.mark.parametrize(
    ("late", "what"),
    [(({"x": np.zeros(1, np.float32)}, {}), "an observation"), (({}, {"x": -2.5}), r"the reward -2\.5"), (({}, {"x": 0.0}), None)],
)
def test_an_agent_that_has_ended_is_given_nothing_more(late, what):
    class Late(Revenant):
        pass

    Late.late = late
    algorithm = config(Late).build_algo()
    if what is None:
        assert algorithm.train()["env_runners"]["agent_episode_return_mean"] == {"x": 2, "y": 4}
        return
    with pytest.raises(EnvError, match=rf"environment 0 .*step 4 .*agent x was given {what} although it had already ended.*Leave"):
        algorithm.train()


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda step: ({"b": 0}, *step[1:]), r"name the agent str 'b', expected some of possible_agents: a, 1"),
        (lambda step: (step[0], 1.0, *step[2:]), r"the rewards .* are float 1.0, expected a dict by agent"),
        (lambda step: (step[0], {"a": "high"}, *step[2:]), r"the reward of agent a .*'high', expected a number"),
        (lambda step: (step[0], {"a": float("nan")}, *step[2:]), r"nan|NaN"),
        (lambda step: (step[0], step[1], {"a": 3}, *step[3:]), r"terminated of agent a .*expected True or False"),
        (lambda step: (step[0], step[1], {"__all__": None}, *step[3:]), r"terminated of agent __all__"),
        (lambda step: ({"a": np.zeros(5, np.float32)}, *step[1:]), r"observation of agent a .*\(5,\).*\(2,\)"),
        (lambda step: step[:4], r"4 values"),
    ],
)
def test_what_is_wrong_is_said_of_the_agent(change, expected):
    class Wrong(Turns):
        pass

    Wrong.change = staticmethod(change)
    two = {"policies": ["one", "other"], "policy_mapping_fn": lambda agent: "one" if agent == "a" else "other"}
    algorithm = config(Wrong, **two).build_algo()
    with pytest.raises(EnvError, match=expected) as caught:
        algorithm.train()
    assert "Wrong" in str(caught.value) or "nan" in str(caught.value).lower()


def test_a_function_that_needs_the_episode_is_refused():
    with pytest.raises(ConfigError, match=r"policy_mapping_fn used episode\.id_.*asked once for each agent"):
        config(Turns, policies=["one"], policy_mapping_fn=lambda agent_id, episode: "one" if episode.id_ else "x").build_algo()
    with pytest.raises(ConfigError, match=r"policy_mapping_fn.*expected a function"):
        config(Turns, policies=["one"], policy_mapping_fn={"a": "one"})
    with pytest.raises(ConfigError, match=r"policy_mapping_fn\('a'\): expected the id of a policy"):
        config(Turns, policies=["one"], policy_mapping_fn=lambda agent: None).build_algo()
    with pytest.raises(ConfigError, match=r"policy_mapping_fn\('a'\) raised KeyError: 'a'") as raised:
        config(Turns, policies=["one"], policy_mapping_fn=lambda agent, *args, **kwargs: {}[agent]).build_algo()
    assert isinstance(raised.value.__cause__, KeyError)
    with pytest.raises(ConfigError, match=r"expected a function of \(agent_id, episode, \*\*kwargs\), found \(a, b, c\)"):
        config(Turns, policies=["one"], policy_mapping_fn=lambda a, b, c: "one").build_algo()


@pytest.mark.parametrize(
    "function",
    [
        lambda aid, ep, **kwargs: str(aid),
        lambda aid, ep: str(aid),
        lambda aid, ep, worker: str(aid),
        lambda aid, *args, **kwargs: str(aid),
        lambda agent_id, worker: str(agent_id),
        lambda agent_id, name=str: name(agent_id),
    ],
)
def test_a_mapping_function_may_name_its_parameters_as_it_likes(function):
    made = config(Turns, policies=["a", "1"], policy_mapping_fn=function).build_algo()
    assert made.config["policy_mapping"] == {"a": "a", "1": "1"}


def test_policies_as_rllib_writes_them():
    def seats(policies):
        return config(Turns, policies=policies)["policies"]

    assert seats({"b", "a"}) == {"a": {}, "b": {}} or list(seats({"b", "a"})) == ["a", "b"]
    spaces = Turns().observation_spaces["a"], Turns().action_spaces["a"]
    assert seats({"p": (None, *spaces, {"gamma": 0.5})}) == {"p": {"gamma": 0.5}}
    assert seats({"p": PolicySpec(config={"gamma": 0.5}), "q": None})["p"] == {"gamma": 0.5}
    with pytest.raises(ConfigError, match=r"policies\.p: expected a space of gymnasium\.spaces, or None, as action_space, found 3"):
        config(Turns, policies={"p": (None, None, 3, {})})
    with pytest.raises(ConfigError, match=r"policies"):
        config(Turns, policies={1, "b"})
    with pytest.raises(ConfigError, match=r"policies\.p: expected None as policy_class"):
        config(Turns, policies={"p": PolicySpec(policy_class=dict)})


def test_spaces_of_policies_are_compared_with_those_of_their_agents():
    own, box, narrow = Turns(), gymnasium.spaces.Box(-1, 1, (9,), np.float32), gymnasium.spaces.Box(-1, 0.5, (2,), np.float32)

    def built(**specs):
        def policy_of(agent_id):
            return "one" if agent_id == "a" else "other"

        return config(Turns, policies={"one": None, "other": None} | specs, policy_mapping_fn=policy_of).build_algo()

    for agent, name in (("a", "one"), (1, "other")):
        observation, action = own.observation_spaces[agent], own.action_spaces[agent]
        built(**{name: PolicySpec(None, observation, action)}).train()
        built(**{name: (None, observation, None, {})})
        with pytest.raises(ConfigError, match=rf"policies\.{name}: expected the observation_space .* environment says.*, found Box.*\(9,\)"):
            built(**{name: PolicySpec(observation_space=box, action_space=action)})
    with pytest.raises(ConfigError, match=r"expected the action_space .*1\.0, \(2,\).*, found Box\(-1\.0, 0\.5"):
        built(other=(None, None, narrow, {}))
    with pytest.raises(ConfigError, match=r"2 errors"):
        built(one=PolicySpec(None, box, box))


def test_native_environments_have_agents_too():
    algorithm = config("TwoCartPole-v0", policies=["left", "right"], policy_mapping_fn=lambda agent_id: "left" if agent_id == "cart_0" else "right").build_algo()
    assert algorithm.config["policy_mapping"] == {"cart_0": "left", "cart_1": "right"}


def test_without_agents_it_says_what_is_missing():
    class Nobody(MultiAgentEnv):
        def step(self, action_dict):
            return {}, {}, {}, {}, {}

    with pytest.raises(EnvError, match=r"Nobody names no agents: expected .*possible_agents"):
        config(Nobody).build_algo()

    class NoSpace(Turns):
        def __init__(self, config=None):
            super().__init__()
            del self.action_spaces[1]

    with pytest.raises(EnvError, match=r"no action space for agent 1"):
        config(NoSpace).build_algo()


@pytest.mark.parametrize(
    "function",
    [
        lambda agent, ep: "p",
        lambda agent, ep, worker, **kwargs: "p",
        lambda agent, ep, /, **kwargs: "p",
        lambda agent_id, episode, **kwargs: "p",
        lambda agent, *, worker: "p",
        lambda agent, names={0: "p"}: names[0],
        lambda *arguments: "p",
    ],
)
def test_functions_are_called_as_rllib_calls_them(function):
    assert mapping_of(function, "TwoCartPole-v0", {}) == {"cart_0": "p", "cart_1": "p"}


@pytest.mark.parametrize("by", ["class", "function", "function without modules"])
def test_environments_of_no_known_class_train_in_the_process_too(by, monkeypatch):
    class Other:
        def __init__(self):
            self.possible_agents, self.t = ["a", "b"], 0

        def observation_space(self, agent):
            return gymnasium.spaces.Box(-1, 1, (1,), np.float32)

        def action_space(self, agent):
            return gymnasium.spaces.Discrete(2)

        def see(self):
            return dict.fromkeys(self.possible_agents, np.zeros(1, np.float32))

        def reset(self, seed=None, options=None):
            self.t = 0
            return self.see(), {}

        def step(self, actions):
            self.t += 1
            return self.see(), dict.fromkeys(actions, 1.0), dict.fromkeys(actions, self.t == 5), {}, {}

    if by == "function without modules":
        # As in a program that imports neither: only a worker finds out.
        monkeypatch.delitem(sys.modules, "skirl.env.multi_agent_env")
    register_env("Other", lambda context: Other())
    env = Other if by == "class" else "Other"
    config = PPOConfig().environment(env).env_runners(num_env_runners=1).training(train_batch_size=64, minibatch_size=64)
    algorithm = config.build_algo()
    assert algorithm.env_runner_group.num_remote_env_runners() == 0
    assert algorithm.train()["env_runners"]["episode_return_mean"] == 10.0


def test_an_interruption_while_an_environment_is_made_to_see_how_many_agents_it_has():
    made = []

    def interrupted(context):
        made.append(1)
        raise KeyboardInterrupt

    register_env("Interrupted", interrupted)
    with pytest.raises(KeyboardInterrupt):
        PPOConfig().environment("Interrupted").env_runners(num_env_runners=1).build_algo()
    assert made == [1]


def test_a_class_without_step_cannot_be_made() -> None:
    class Halfway(MultiAgentEnv):
        def reset(self, *, seed=None, options=None):
            return {}, {}

    with pytest.raises(TypeError, match="abstract method '?step"):
        Halfway()
