"""Batched environments (`gymnasium.vector.VectorEnv`): three autoreset modes, the same data."""

import gymnasium
import numpy as np
import pytest
from env_runs import Env, build, train, weights
from gymnasium.vector import AsyncVectorEnv, AutoresetMode, SyncVectorEnv

from skirl.env import register_env
from skirl.errors import EnvError

MODES = list(AutoresetMode)


def cart_poles(mode, kind=SyncVectorEnv):
    def creator(context):
        makers = [lambda: gymnasium.make("CartPole-v1")] * context.num_envs
        return kind(makers, autoreset_mode=mode)

    return creator


def run(env, path, iterations=3, **options):
    algorithm = build(env, num_envs=4, steps=64, **options)
    for _ in range(iterations):
        algorithm.train()
    return weights(algorithm, path)


@pytest.mark.parametrize("mode", MODES)
def test_every_mode_gives_the_bytes_of_the_native_environment(mode, tmp_path):
    register_env("Batch", cart_poles(mode))
    assert run("Batch", tmp_path / "batch") == run("CartPole-v1", tmp_path / "native")


def test_environments_in_processes_of_gymnasium(tmp_path):
    register_env("Batch", cart_poles(AutoresetMode.SAME_STEP, AsyncVectorEnv))
    assert run("Batch", tmp_path / "batch", 1) == run("CartPole-v1", tmp_path / "native", 1)


@pytest.mark.parametrize("mode", MODES)
def test_the_time_limit_of_the_engine(mode, tmp_path):
    register_env("Batch", cart_poles(mode))
    config = {"max_episode_steps": 9}
    assert run("Batch", tmp_path / "batch", env_config=config) == run(
        "CartPole-v1", tmp_path / "native", env_config=config
    )


def test_make_vec(tmp_path):
    assert run("gymnasium-vec:CartPole-v1", tmp_path / "batch") == run("CartPole-v1", tmp_path / "native")


def test_a_batch_that_cannot_reset_one_environment():
    with pytest.raises(EnvError, match="CartPoleVectorEnv resets an environment in the step after its end"):
        train("gymnasium-vec:CartPole-v1", env_config={"vectorization_mode": "vector_entry_point"})
    train("gymnasium-vec:CartPole-v1", num_envs=1, env_config={"vectorization_mode": "vector_entry_point"})


def test_the_number_of_environments_must_agree():
    register_env("Three", lambda context: SyncVectorEnv([Env] * 3))
    with pytest.raises(EnvError, match="a batch of 3 environments, expected 2, as the configuration says"):
        train("Three")


def test_nested_observations_in_every_mode(tmp_path):
    class Nested(Env):
        observation_space = gymnasium.spaces.Dict(
            a=gymnasium.spaces.Box(-9, 9, (2,), np.float32), b=gymnasium.spaces.Discrete(10)
        )
        action_space = gymnasium.spaces.MultiDiscrete([2, 3])

        def observe(self):
            return {"a": np.array([self.t, self.np_random.random()], np.float32), "b": self.t}

    found = set()
    for mode in MODES:
        register_env("Nested", lambda context: SyncVectorEnv([Nested] * context.num_envs, autoreset_mode=mode))
        found.add(run("Nested", tmp_path / mode.value))
    register_env("Nested", lambda context: Nested())
    found.add(run("Nested", tmp_path / "single"))
    assert len(found) == 1


def test_an_unknown_mode_is_refused():
    class Unknown(SyncVectorEnv):
        def __init__(self, num_envs):
            super().__init__([Env] * num_envs)
            self.metadata = {"autoreset_mode": "sometimes"}

    with pytest.raises(EnvError, match="'sometimes', expected a gymnasium.vector.AutoresetMode"):
        train(Unknown)


def test_a_batch_without_a_mode_is_taken_for_next_step(tmp_path):
    def creator(context):
        env = cart_poles(AutoresetMode.NEXT_STEP)(context)
        env.metadata = {}
        return env

    register_env("Silent", creator)
    assert run("Silent", tmp_path / "batch") == run("CartPole-v1", tmp_path / "native")


@pytest.mark.parametrize("what", ["reward", "observation"])
def test_faults_are_named(what):
    class Bad(SyncVectorEnv):
        def __init__(self, num_envs):
            super().__init__([Env] * num_envs)

        def step(self, actions):
            observations, rewards, terminations, truncations, infos = super().step(actions)
            if what == "reward":
                rewards[1] = np.nan
            else:
                observations = observations[:, :2]
            return observations, rewards, terminations, truncations, infos

    match = "reward is NaN.*environment 1" if what == "reward" else r"shape \(2, 2\), expected \(2, 3\)"
    with pytest.raises(EnvError, match=match):
        train(Bad)
