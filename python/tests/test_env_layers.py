"""Gymnasium's own wrappers around an environment: left out of a step, without anybody seeing a difference."""

import sys
import warnings

import gymnasium
import numpy as np
import pytest
from env_runs import Env, build, train, weights
from gymnasium.wrappers import OrderEnforcing, PassiveEnvChecker, TimeLimit

from skirl.algorithms.ppo import PPOConfig
from skirl.callbacks.callbacks import SkirlCallback
from skirl.env import _layers, register_env

OURS = "called from outside of Python"


class Watched(Env):
    """Notes who calls `step`, and what the wrapper around it counted before that."""

    length = 8

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.callers, self.counted, self.outermost = [], [], None

    def observe(self):
        return np.full(3, self.t, np.float32)

    def step(self, action):
        caller = sys._getframe().f_back
        self.callers.append(OURS if caller is None else caller.f_code.co_qualname if hasattr(caller.f_code, "co_qualname") else "?")
        if isinstance(self.outermost, TimeLimit):
            self.counted.append((self.outermost._elapsed_steps, self.t))
        return super().step(action)


class OwnLimit(TimeLimit):
    pass


class OwnOrder(OrderEnforcing):
    pass


class OwnChecker(PassiveEnvChecker):
    pass


def chain(limit=TimeLimit, order=OrderEnforcing, checker=PassiveEnvChecker, max_steps=5, made=None, env=Watched):
    """A creator of wrapped environments, as `gymnasium.make` wraps them."""

    def create(context):
        inner = env()
        wrapped = limit(order(checker(inner)), max_episode_steps=max_steps)
        inner.outermost = wrapped
        if made is not None:
            made.append(inner)
        return wrapped

    return create


def run(creator, tmp_path, iterations=3, **options):
    register_env("layered", creator)
    algorithm = build("layered", **options)
    results = [algorithm.train()["env_runners"] for _ in range(iterations)]
    found = [(result["episode_len_mean"], result["num_episodes_lifetime"]) for result in results]
    return weights(algorithm, tmp_path / str(id(creator))), found


def test_the_installed_gymnasium_is_known():
    classes = [entry and entry[0] for entry in _layers.known()]
    assert classes == [TimeLimit, OrderEnforcing, PassiveEnvChecker]


@pytest.mark.parametrize("env_id", ["CartPole-v1", "Pendulum-v1"])
def test_subclasses_of_the_wrappers_give_the_same_bytes(env_id, tmp_path):
    made = gymnasium.make(env_id).spec.entry_point
    inner = gymnasium.envs.registration.load_env_creator(made)
    options = {"num_envs": 2, "steps": 256}
    own = run(chain(OwnLimit, OwnOrder, OwnChecker, 60, env=inner), tmp_path, **options)
    assert run(chain(max_steps=60, env=inner), tmp_path, **options) == own
    assert run(chain(order=OwnOrder, max_steps=60, env=inner), tmp_path, **options) == own
    assert own[1][-1][1] > 10


def test_after_its_first_step_an_environment_is_called_directly(tmp_path):
    made = []
    run(chain(made=made), tmp_path, steps=20)
    for env in made:
        # The checker has to see one step.
        assert env.callers[0] != OURS and set(env.callers[1:]) == {OURS}
        assert len(env.callers) == 60


def test_the_counter_of_the_wrapper_is_right_at_every_step(tmp_path):
    made = []
    _, found = run(chain(made=made), tmp_path, steps=20)
    for env in made:
        assert len(env.counted) == 60 and all(counted == steps for counted, steps in env.counted)
        assert {steps for _, steps in env.counted} == set(range(5))
    assert found[-1] == (5.0, 24)


@pytest.mark.parametrize("own", [{"limit": OwnLimit}, {"order": OwnOrder}, {"checker": OwnChecker}])
def test_a_wrapper_of_another_class_is_called_and_so_is_what_it_wraps(own, tmp_path):
    made, plain = [], []
    found = run(chain(**own, made=made), tmp_path, steps=20)
    assert all(OURS not in env.callers for env in made)
    assert found == run(chain(made=plain), tmp_path, steps=20)
    assert [env.counted for env in made] == [env.counted for env in plain]


def test_a_patched_step_is_called(tmp_path, monkeypatch):
    called = []
    step = TimeLimit.step

    def patched(self, action):
        called.append(self)
        return step(self, action)

    monkeypatch.setattr(TimeLimit, "step", patched)
    assert _layers.known()[0] is None
    run(chain(), tmp_path, steps=20)
    assert len(called) == 2 * 60


@pytest.mark.parametrize(("place", "wrapper"), list(enumerate([TimeLimit, OrderEnforcing, PassiveEnvChecker])))
def test_a_version_that_does_more_in_a_step_is_not_stood_in_for(place, wrapper, monkeypatch):
    original = wrapper.step

    def step(self, action):
        self.total = getattr(self, "total", 0) + 1
        return original(self, action)

    step.__module__, step.__qualname__ = original.__module__, original.__qualname__
    monkeypatch.setattr(wrapper, "step", step)
    known = _layers.known()
    assert known[place] is None and sum(each is None for each in known) == 1


def test_a_step_that_is_patched_while_training_is_called_once_the_environment_was_visited():
    register_env("layered", chain())
    algorithm = build("layered", steps=20)
    algorithm.train()
    called = []

    def patch(env):
        step = env.env.step
        env.env.step = lambda action: called.append(action) or step(action)

    algorithm.foreach_env(patch)
    algorithm.train()
    assert len(called) == 40


def test_an_environment_may_change_its_own_step_at_any_time():
    class Swapping(Watched):
        swapped = 0

        def step(self, action):
            self.step = self.other
            return super().step(action)

        def other(self, action):
            self.swapped += 1
            del self.step
            return super().step(action)

    made = []
    register_env("layered", chain(made=made, env=Swapping))
    train("layered", steps=20)
    assert [env.swapped for env in made] == [20, 20]


def test_steps_by_hand_count():
    made = []
    register_env("layered", chain(made=made, max_steps=6))
    algorithm = build("layered", num_envs=1, steps=2)
    algorithm.train()
    algorithm.foreach_env(lambda env: [env.step(0) for _ in range(3)] and None)
    # Two steps, three by hand: the next one is the sixth.
    result = algorithm.train()["env_runners"]
    assert result["num_episodes_lifetime"] == 1 and made[0].counted[-2:] == [(5, 5), (0, 0)]


def test_the_checker_says_what_it_finds_in_the_first_step():
    class Odd(Watched):
        def reward(self):
            return "one"

    register_env("layered", chain(env=Odd))
    with pytest.raises(Exception, match="reward"), warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        build("layered").train()
    assert any("reward" in str(warning.message) for warning in said)


def test_five_values_in_a_list_are_a_step_for_the_time_limit_alone():
    class Listed(Watched):
        def step(self, action):
            return list(super().step(action))

    register_env("layered", lambda context: TimeLimit(OrderEnforcing(Listed()), max_episode_steps=5))
    assert train("layered", steps=20)["env_runners"]["episode_len_mean"] == 5
    register_env("bare", lambda context: OrderEnforcing(Listed()))
    with pytest.raises(Exception, match="expected \\(observation"):
        train("bare", steps=20)


def test_a_time_limit_goes_before_the_environments_own_flag():
    class Silent(Watched):
        def step(self, action):
            observation, reward, terminated, truncated, info = super().step(action)
            return observation, reward, terminated, "no flag" if self.t == 5 else truncated, info

    register_env("layered", lambda context: TimeLimit(OrderEnforcing(Silent()), max_episode_steps=5))
    assert train("layered", steps=20)["env_runners"]["episode_len_mean"] == 5


def unwatched(max_steps=5, env=Env, **arguments):
    """A creator of wrapped environments of which nobody keeps a reference; the longest episode is the wrapper's."""

    class Long(env):
        length = 10**6

    return lambda context: TimeLimit(OrderEnforcing(Long(**arguments)), max_episode_steps=max_steps)


def elapsed(env):
    return env._elapsed_steps, env.unwrapped.t


def test_visitors_find_the_count_of_a_wrapper_that_nobody_else_holds():
    register_env("unwatched", unwatched())
    algorithm = build("unwatched", steps=7)
    algorithm.train()
    assert algorithm.foreach_env(elapsed) == [(2, 2)] * 2
    algorithm.train()
    assert algorithm.foreach_env(elapsed) == [(4, 4)] * 2
    assert algorithm.train()["env_runners"]["num_episodes_lifetime"] == 8
    assert algorithm.foreach_env(elapsed) == [(1, 1)] * 2


def test_a_count_that_a_visitor_sets_goes_on_from_there():
    register_env("unwatched", unwatched())
    algorithm = build("unwatched", steps=2)
    algorithm.train()
    algorithm.foreach_env(lambda env: setattr(env, "_elapsed_steps", 3))
    assert algorithm.train()["env_runners"]["num_episodes_lifetime"] == 2
    assert algorithm.foreach_env(elapsed) == [(0, 0)] * 2


def test_callbacks_find_the_count_at_every_step_and_after_the_last_one():
    found = []

    class Looks(SkirlCallback):
        def on_episode_step(self, *, episode, env, **kwargs):
            found.append((elapsed(env.envs[0]), len(episode)))

        def on_episode_end(self, *, episode, env, **kwargs):
            found.append((elapsed(env.envs[0]), "end"))

    register_env("unwatched", unwatched(max_steps=3))
    config = PPOConfig().environment("unwatched").env_runners(num_env_runners=0, num_envs_per_env_runner=1)
    config.training(train_batch_size=6, minibatch_size=6, num_epochs=1).callbacks(callbacks_class=Looks)
    with config.build_algo() as algo:
        algo.train()
    episode = [((step, step), step) for step in (1, 2, 3)] + [((3, 3), "end")]
    assert found == episode * 2


def test_who_kept_the_environment_sees_every_step():
    kept, seen = [], []

    class Looks(Env):
        def step(self, action):
            seen.extend((env._elapsed_steps, self.t) for env in kept if env.unwrapped is self)
            return super().step(action)

    register_env("unwatched", unwatched(env=Looks))
    algorithm = build("unwatched", steps=7)
    algorithm.train()
    algorithm.foreach_env(kept.append)
    algorithm.train()
    assert len(seen) == 14 and all(counted == steps for counted, steps in seen)


def test_an_inner_wrapper_that_somebody_holds_counts_openly():
    inner, seen = [], []

    class Looks(Env):
        def step(self, action):
            seen.extend((limit._elapsed_steps, self.t) for limit in inner if limit.unwrapped is self)
            return super().step(action)

    def create(context):
        inner.append(TimeLimit(OrderEnforcing(Looks()), max_episode_steps=4))
        return TimeLimit(inner[-1], max_episode_steps=5)

    register_env("two_limits", create)
    algorithm = build("two_limits", steps=7)
    assert algorithm.train()["env_runners"]["episode_len_mean"] == 4
    assert len(seen) == 14 and all(counted == steps for counted, steps in seen)
    assert algorithm.foreach_env(elapsed) == [(3, 3)] * 2


def test_the_count_is_right_when_a_step_raises_and_when_the_environment_closes(monkeypatch):
    found = []

    class Raises(Env):
        def step(self, action):
            if self.total == 3:
                self.total += 1
                raise ValueError("boom")
            return super().step(action)

    def look(name):
        original = getattr(TimeLimit, name, None)

        def method(self, **kwargs):
            found.append((name, getattr(self, "_elapsed_steps", None), self.unwrapped.t))
            return original(self, **kwargs)

        monkeypatch.setattr(TimeLimit, name, method)

    look("reset")
    look("close")
    register_env("unwatched", unwatched(max_steps=10, env=Raises))
    algorithm = build("unwatched", num_envs=1, steps=6)
    found.clear()
    with pytest.raises(Exception, match="boom"):
        algorithm.train()
    algorithm.train()
    algorithm.stop()
    assert [each for each in found if each[0] == "reset"] == [("reset", 3, 3)]
    assert found[-1] == ("close", 6, 6)


def test_the_count_is_saved_and_restored(tmp_path):
    class Saves(Env):
        def get_state(self):
            return self.t

        def set_state(self, state):
            self.t = state

    register_env("unwatched", unwatched(env=Saves))
    algorithm = build("unwatched", steps=7)
    algorithm.train()
    path = algorithm.save_to_path(tmp_path / "saved")
    algorithm.train()
    algorithm.restore_from_path(path)
    assert algorithm.foreach_env(elapsed) == [(2, 2)] * 2
    algorithm.train()
    assert algorithm.foreach_env(elapsed) == [(4, 4)] * 2
