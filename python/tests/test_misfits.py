"""A configuration, sound by itself, that does not fit its environment, its program or a checkpoint: which exception says so."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest

from skirl import PPOConfig
from skirl.env.multi_agent_env import MultiAgentEnv
from skirl.errors import CheckpointError, ConfigError, EnvError

ONE, OTHER = gymnasium.spaces.Box(-1, 1, (2,), np.float32), gymnasium.spaces.Box(-1, 1, (3,), np.float32)


class Pair(MultiAgentEnv):
    """Two agents that see different things."""

    def __init__(self, config: Any = None) -> None:
        self.possible_agents = self.agents = ["a", "b"]
        self.observation_spaces = {"a": ONE, "b": OTHER}
        self.action_space = gymnasium.spaces.Discrete(2)

    def see(self) -> dict[str, Any]:
        return {agent: np.zeros(space.shape, np.float32) for agent, space in self.observation_spaces.items()}

    def reset(self, *, seed: Any = None, options: Any = None) -> Any:
        self.t = 0
        return self.see(), {}

    def step(self, action_dict: Any) -> Any:
        self.t += 1
        return self.see(), dict.fromkeys(action_dict, 1.0), {"__all__": self.t == 5}, {}, {}


class Uneven(Pair):
    """The second one has other spaces than the first."""

    def __init__(self, env_context: Any) -> None:
        super().__init__()
        if env_context.vector_index == 1:
            self.observation_spaces["b"] = ONE


def small(env: Any = "CartPole-v1", **multi_agent: Any) -> PPOConfig:
    config = PPOConfig().environment(env).env_runners(num_env_runners=0, num_envs_per_env_runner=2)
    return config.training(train_batch_size=64, minibatch_size=64, num_epochs=1).debugging(seed=1).multi_agent(**multi_agent)


def pair(env: Any = Pair) -> PPOConfig:
    return small(env, policies={"a", "b"}, policy_mapping_fn=lambda agent: agent)


@pytest.mark.parametrize(
    ("build", "said"),
    [
        (lambda: small(Pair), r"agent 'b', which policy 'default_policy' acts for: expected .*\(2,\).*found .*\(3,\).*of their own"),
        (lambda: small(Pair, policies=["p", "q"]), r"policy of agent 'a': expected an entry in multi_agent\.policy_mapping, found none"),
        (lambda: small(policies=["p"]), r"single-agent environment: expected default_policy, found p\. Leave"),
        (lambda: pair().env_runners(batch_mode="complete_episodes"), r"batch_mode: expected .* several agents, found .*Leave it out"),
        (lambda: small().evaluation(custom_evaluation_function="lost"), r"custom_evaluation_function: expected .*, found 'lost'\. Call"),
    ],
)
def test_what_does_not_fit_the_environment_is_an_error_of_the_config(build: Callable[[], PPOConfig], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        build().build_algo()


def test_evaluation_in_an_environment_with_other_spaces() -> None:
    config = small().evaluation(evaluation_interval=1, evaluation_config={"env": "Pendulum-v1"})
    with pytest.raises(ConfigError, match=r"evaluation environment: expected .* observation space .*\(4,\).*, found .*\(3,\)"):
        config.build_algo().train()


def test_environments_that_are_not_alike_are_an_error_of_the_environment() -> None:
    with pytest.raises(EnvError, match=r"environment 1 is another one .* observation space of b, .*\(3,\).*found .*\(2,\)"):
        pair(Uneven).build_algo()


def test_an_environment_that_cannot_be_made_to_ask_for_its_agents() -> None:
    class Broken(Pair):
        def __init__(self, config: Any = None) -> None:
            raise OSError("no such map")

    with pytest.raises(EnvError, match=r"could not be made: OSError: no such map") as raised:
        pair(Broken).build_algo()
    assert isinstance(raised.value.__cause__, OSError)


def test_another_network_than_the_checkpoints_is_an_error_of_the_checkpoint(tmp_path: Path) -> None:
    saved = small().build_algo().save_to_path(tmp_path / "saved")
    with pytest.raises(CheckpointError, match=r"module 'default_policy'.*\[3, 4\].*Restore with the rl_module options"):
        small().rl_module(fcnet_hiddens=[3]).build_algo().restore_from_path(saved)
