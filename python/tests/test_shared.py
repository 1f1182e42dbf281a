"""State that the environments of a run share with its loop."""

import copy
import pickle

import gymnasium
import numpy as np
import pytest

import skirl
from skirl.algorithms.ppo import PPO, PPOConfig
from skirl.errors import EnvError, SkirlError


class Shared(gymnasium.Env):
    """One step is one episode; counts its steps and tells the others its number."""

    observation_space = gymnasium.spaces.Box(0, 1e9, (1,), np.float32)
    action_space = gymnasium.spaces.Discrete(2)

    def __init__(self, env_config):
        self.index = env_config.vector_index
        self.steps = env_config.shared.counter("steps")
        self.store = skirl.shared.parameter_store("numbers")
        self.sum = skirl.shared.all_reduce("sum")
        self.seen = []

    def reset(self, *, seed=None, options=None):
        return np.array([self.steps.get()], np.float32), {}

    def step(self, action):
        self.steps.inc()
        self.seen.append(self.steps.get())
        self.store.put(last=self.index, weights=np.full((2, 2), self.index, np.float32))
        self.sum.contribute([self.index, 1.0])
        return np.zeros(1, np.float32), 1.0, True, False, {}


def build(**env_runners):
    runners = {"num_env_runners": 0, "num_envs_per_env_runner": 4, **env_runners}
    made = PPOConfig().environment(Shared).env_runners(**runners).debugging(seed=1)
    return made.training(train_batch_size=32, minibatch_size=32, num_epochs=1).build_algo()


def test_environments_see_the_step_before_and_the_loop_sees_all(tmp_path):
    algorithm = build()
    counter = algorithm.shared_state.counter("steps")
    counter.add(100)
    assert counter.get() == 100
    algorithm.train()
    assert counter.get() == 132
    algorithm.train()
    assert counter.get() == 164
    for seen in algorithm.env_runner.foreach_env(lambda env: env.seen):
        assert seen == [100] * 8 + [132] * 8
    store = algorithm.shared_state.parameter_store("numbers")
    # The environment with the highest index has the last word.
    assert store.get()["last"] == 3 and np.array_equal(store.get()["weights"], np.full((2, 2), 3, np.float32))
    assert store.version == 64 and store.get_newer(64) is None and store.get_newer(1)[0] == 64
    count, total = algorithm.shared_state.all_reduce("sum").get()
    assert count == 32 and total.tolist() == [48.0, 32.0]
    assert algorithm.shared_state.all_reduce("sum").mean().tolist() == [1.5, 1.0]
    algorithm.save_to_path(tmp_path / "saved")
    resumed = PPO.from_checkpoint(tmp_path / "saved")
    assert resumed.shared_state.counter("steps").get() == 164
    assert np.array_equal(resumed.shared_state.parameter_store("numbers").get()["weights"], np.full((2, 2), 3, np.float32))


def test_where_it_does_not_work_it_says_so():
    with pytest.raises(SkirlError, match="constructor of an environment"):
        skirl.shared.counter("steps")
    with pytest.raises(SkirlError, match="belongs to no run"):
        Shared(skirl.env.EnvContext({}))
    algorithm = build()
    with pytest.raises(SkirlError, match="finite"):
        algorithm.shared_state.parameter_store("numbers").put(x=np.array([np.nan], np.float32))
    with pytest.raises(SkirlError, match="array of floats, found ndarray of int64"):
        algorithm.shared_state.parameter_store("numbers").put(x=np.array([1], np.int64))
    with pytest.raises(SkirlError, match="cannot be pickled"):
        pickle.dumps(algorithm.shared_state)


def test_worker_processes_refuse_it():
    with pytest.raises(EnvError, match="num_env_runners to 0"):
        build(num_env_runners=1)


def test_a_context_travels_without_what_is_shared():
    class Keeps(gymnasium.Env):
        observation_space = gymnasium.spaces.Box(-1, 1, (1,), np.float32)
        action_space = gymnasium.spaces.Discrete(2)
        contexts = []

        def __init__(self, env_context):
            env_context.mine = 1
            self.contexts.append(env_context)

    with pytest.raises(EnvError):
        PPOConfig().environment(Keeps).env_runners(num_env_runners=0).build_algo()
    context = Keeps.contexts[0]
    for copied in (copy.deepcopy(context), pickle.loads(pickle.dumps(context))):
        assert copied == context and type(copied) is type(context)
        assert (copied.vector_index, copied.num_envs, copied.mine) == (context.vector_index, context.num_envs, 1)
        with pytest.raises(SkirlError, match="belongs to no run"):
            copied.shared.counter("steps")
    assert copy.copy(context).shared is context.shared
