"""What crosses the border between Python environments and the engine (rows 1 to 8 of the list of bad inputs)."""

import warnings
import weakref

import gymnasium
import numpy as np
import pytest
from env_runs import Env, build, train
from gymnasium import spaces

from skirl.errors import ConfigError, EnvError

def returning(value, space=None, **methods):
    """An environment whose observations are `value` (a function of nothing)."""

    class Returning(Env):
        def observe(self):
            # The first one fits: a fault shows in a step.
            return self.observation_space.sample() * 0 if self.total == 0 and not isinstance(space, nested) else value()

    if space is not None:
        Returning.observation_space = space
    for name, method in methods.items():
        setattr(Returning, name, method)
    return Returning


nested = (spaces.Dict, spaces.Tuple)


def refused(env, match):
    with pytest.raises(EnvError, match=match) as caught:
        train(env, iterations=1)
    return str(caught.value)


def rewarding(value):
    class Rewarding(Env):
        def reward(self):
            return value() if self.total == 3 else 1.0

    return Rewarding


# 1, 2: NaN and infinities


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), np.float32("-inf")])
def test_a_reward_that_is_not_finite(bad):
    message = refused(rewarding(lambda: bad), "reward is (NaN|inf|-inf), expected a finite number, after action [01] in ")
    assert "Rewarding.step" in message and ".py:" in message
    assert "last reset with seed" in message and "step 3 of the episode" in message and "environment 0" in message


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_an_observation_that_is_not_finite(dtype):
    value = np.array([0, np.nan, 0], dtype)
    message = refused(returning(lambda: value), "observation of .*step .* is NaN at index 1, expected a finite number")
    assert "environment 0 failed at its step 1" in message and ".py:" in message
    assert "last reset with seed" in message and "step 1 of the episode, action" in message


@pytest.mark.parametrize("own", [np.float32, np.float64])
def test_a_huge_number_is_told_in_short(own):
    space = gymnasium.spaces.Box(-np.inf, np.inf, (3,), own)
    value = np.array([0, 1e300, 0])
    message = refused(returning(lambda: value, space), "1e300")
    assert "000000000000" not in message and "last reset with seed" in message


def test_an_integer_beyond_all_floats_is_called_so():
    refused(rewarding(lambda: 10**400), "the reward of .* is an integer beyond the largest float")


def test_an_empty_space_names_the_environment():
    space = gymnasium.spaces.Box(-1, 1, (0,), np.float32)
    with pytest.raises(ConfigError, match=r"observation space of environment .*, agent 'default_agent'.*at least one number.*\(0,\)"):
        build(returning(lambda: np.zeros(0, np.float32), space))


# 4: shapes


@pytest.mark.parametrize("shape", [(), (1,), (2,), (4,), (3, 1), (1, 3), (0,)])
def test_a_wrong_shape(shape):
    value = np.zeros(shape, np.float32)
    message = refused(returning(lambda: value), "has shape .*, expected \\(3,\\) as its space says")
    assert "Returning.step" in message or "Env.step" in message
    assert "env_runs.py:" in message


# 5: element types

FLOATS = ["float32", "float64", "float16"]
INTEGERS = ["int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "bool"]


@pytest.mark.parametrize("to", [*FLOATS[:2], *INTEGERS])
@pytest.mark.parametrize("of", [*FLOATS, *INTEGERS])
def test_the_matrix_of_element_types(to, of):
    high = 1 if to == "bool" else 2
    space = spaces.Box(0, high, (3,), to)
    value = np.array([0, 1, 1], of)
    env = returning(lambda: value, space)
    if of in FLOATS and to in INTEGERS:
        refused(env, f"has dtype {of}, expected {to} as its space says")
    else:
        train(env, iterations=1)


@pytest.mark.parametrize(
    ("of", "value", "to"),
    [
        ("float64", 1e300, "float32"),
        ("int64", 2**24 + 1, "float32"),
        ("int64", 2**53 + 1, "float64"),
        ("uint64", 2**63, "int64"),
        ("int64", 300, "uint8"),
        ("int64", -1, "uint8"),
        ("uint8", 2, "bool"),
    ],
)
def test_a_value_that_does_not_fit_is_refused(of, value, to):
    array = np.array([0, value, 0], of)
    space = spaces.Box(0, 1, (3,), to)
    refused(returning(lambda: array, space), f"has dtype {of}, expected {to}.* element 1 is .*, which {to} does not hold")


@pytest.mark.parametrize(
    "value",
    [
        [0, 1, 2],
        (0.0, 1.0, 2.0),
        [np.float32(0), np.int64(1), True],
        np.zeros((3, 2), np.float32)[:, 0],
        np.zeros(3, ">f4"),
        np.zeros(6, np.float32)[::2],
    ],
)
def test_lists_and_other_layouts_are_taken(value):
    train(returning(lambda: value), iterations=1)


@pytest.mark.parametrize("value", [None, "abc", {}, [None] * 3, [1, [2, 3]], np.zeros(3, complex), np.array(["a"] * 3)])
def test_what_is_no_array_is_refused(value):
    refused(returning(lambda: value), "observation (is|has)")


@pytest.mark.parametrize("value", [2, np.int64(2), np.int32(2), np.array(2), np.uint8(2), True])
def test_discrete_observations(value):
    train(returning(lambda: value, spaces.Discrete(3)), iterations=1)


@pytest.mark.parametrize("value", [2.0, np.array([2]), None, "2"])
def test_what_is_no_integer_is_refused(value):
    refused(returning(lambda: value, spaces.Discrete(3)), "observation")


def test_torch_tensors():
    torch = pytest.importorskip("torch")
    train(returning(lambda: torch.zeros(3)), iterations=1)
    train(rewarding(lambda: torch.tensor(1.5)), iterations=1)


# 6: rewards and flags


@pytest.mark.parametrize(
    "value", [1, True, 1.5, np.float32(1.5), np.float64(1.5), np.int8(1), np.bool_(True), np.array(1.5), np.array([1.5])]
)
def test_rewards_that_are_numbers(value):
    class Counting(Env):
        def reward(self):
            return value

    result = train(Counting, iterations=1)
    assert result["env_runners"]["episode_return_mean"] == 5 * float(np.asarray(value).item())


@pytest.mark.parametrize("value", [None, "1", np.zeros(2), [1.0], 1j, object()])
def test_rewards_that_are_none(value):
    message = refused(rewarding(lambda: value), "the reward of .* is .*, expected (a|one) number")
    assert "Env.step" in message or "Rewarding.step" in message
    assert ".py:" in message


def flagging(value):
    class Flagging(Env):
        def step(self, action):
            observation, reward, terminated, truncated, info = super().step(action)
            return observation, reward, value if self.t == 3 else False, truncated, info

    return Flagging


@pytest.mark.parametrize("value", [True, np.bool_(True), np.array(True), 1, np.int64(1)])
def test_flags(value):
    result = train(flagging(value), iterations=1)
    assert result["env_runners"]["episode_len_mean"] == 3


@pytest.mark.parametrize("value", [None, "yes", 2, np.zeros(2, bool), 0.5])
def test_what_is_no_flag_is_refused(value):
    refused(flagging(value), "terminated of Flagging.step .* is .*, expected")


# 7: bounds


def test_an_observation_outside_its_bounds_is_reported_once_for_each_environment():
    env = returning(lambda: np.array([0, 11, 0], np.float32))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        train(env, iterations=2)
    messages = [str(warning.message) for warning in caught if "left its space" in str(warning.message)]
    assert len(messages) == 2
    assert "element 1 is 11, expected [-10, 10] (environment 0" in messages[0]


# 8: an environment that reuses its array


def test_an_environment_may_write_into_the_array_that_it_returned(tmp_path):
    from env_runs import weights

    class Fresh(Env):
        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            self.buffer = np.zeros(3, np.float32)

        def observe(self):
            self.buffer[:] = [self.t, self.total % 7, -self.t]
            return self.buffer.copy()

    class Reusing(Fresh):
        def observe(self):
            return super().observe() if False else self._write()

        def _write(self):
            self.buffer[:] = [self.t, self.total % 7, -self.t]
            return self.buffer

    found = []
    for name, env in (("fresh", Fresh), ("reusing", Reusing)):
        algorithm = build(env)
        algorithm.train(), algorithm.train()
        found.append(weights(algorithm, tmp_path / name))
    assert found[0] == found[1]


def test_an_environment_may_write_into_its_action():
    class Writing(Env):
        action_space = spaces.Box(-1, 1, (2,), np.float32)
        kept = []

        def step(self, action):
            assert isinstance(action, np.ndarray) and action.dtype == np.float32 and action.shape == (2,)
            self.kept.append(action)
            values = action.copy()
            result = super().step(action)
            action[:] = 1e9
            assert all(other is action or not np.shares_memory(other, action) for other in self.kept)
            assert np.all(np.abs(values) <= 1)
            return result

    train(Writing)


# Actions


@pytest.mark.parametrize(
    ("space", "kind", "shape"),
    [
        (spaces.Discrete(3, start=5), np.int64, None),
        (spaces.Discrete(3, dtype=np.int32), np.int32, None),
        (spaces.Discrete(5_000), np.int64, None),
        (spaces.MultiDiscrete([2, 3]), np.int64, (2,)),
        (spaces.MultiDiscrete([2, 3], dtype=np.int32), np.int32, (2,)),
        (spaces.MultiDiscrete([[2, 3], [4, 5]]), np.int64, (2, 2)),
        (spaces.MultiBinary(4), np.int8, (4,)),
        (spaces.Box(-1, 1, (2, 2), np.float64), np.float64, (2, 2)),
        (spaces.Box(-1, 1, (), np.float32), np.float32, ()),
    ],
)
def test_actions_are_what_gymnasium_expects(space, kind, shape):
    class Acting(Env):
        action_space = space

        def step(self, action):
            assert type(action) is (kind if shape is None else np.ndarray), type(action)
            assert action.dtype == kind and (shape is None or action.shape == shape)
            assert space.contains(action), action
            return super().step(action)

    train(Acting, iterations=1)


KEEPS = {
    "the array": lambda action: action,
    "a view": lambda action: action[:1],
    "its memory": memoryview,
}


@pytest.mark.parametrize("keep", KEEPS.values(), ids=KEEPS)
def test_an_action_that_the_environment_keeps_never_changes(keep):
    class Keeping(Env):
        action_space = spaces.Box(-1, 1, (2,), np.float32)
        kept, copies = [], []

        def step(self, action):
            self.kept.append(keep(action))
            self.copies.append(action.copy())
            return super().step(action)

    train(Keeping)
    for kept, copy in zip(Keeping.kept, Keeping.copies, strict=True):
        assert np.array_equal(np.asarray(kept), copy[: len(kept)])
    assert len({copy.tobytes() for copy in Keeping.copies}) > 10


def test_a_weak_reference_to_an_action_does_not_lead_to_the_next_one():
    class Referring(Env):
        action_space = spaces.Box(-1, 1, (2,), np.float32)
        before = []

        def step(self, action):
            assert all(reference() is not action for reference in self.before)
            self.before.append(weakref.ref(action))
            return super().step(action)

    train(Referring)
    assert len(Referring.before) == 64


def freeze(action):
    action.flags.writeable = False


def reshape(action):
    action.shape = (1, 2)


def reinterpret(action):
    action.dtype = np.int32


CHANGES = [freeze, reshape, reinterpret, lambda action: action.resize((4,), refcheck=False), lambda action: action.fill(7)]


@pytest.mark.filterwarnings("ignore:Setting the:DeprecationWarning")
@pytest.mark.parametrize("change", CHANGES)
def test_what_is_done_to_an_action_does_not_reach_the_next_one(change):
    class Changing(Env):
        action_space = spaces.Box(-1, 1, (2,), np.float32)
        changed = 0

        def step(self, action):
            assert self.action_space.contains(action) and action.dtype == np.float32 and action.flags.writeable
            assert action.flags.owndata and action.base is None
            change(action)
            type(self).changed += 1
            return super().step(action)

    train(Changing)
    assert Changing.changed == 64


def test_an_action_that_nobody_keeps_is_made_of_the_one_before():
    class Forgetting(Env):
        action_space = spaces.Box(-1, 1, (2, 2), np.float32)
        places, values = set(), set()

        def step(self, action):
            self.places.add((id(action), action.__array_interface__["data"][0]))
            self.values.add(action.tobytes())
            return super().step(action)

    train(Forgetting)
    assert len(Forgetting.places) == 1 and len(Forgetting.values) == 64


def test_an_action_in_what_a_step_returned_is_one_that_is_kept():
    class Echo(Env):
        observation_space = action_space = spaces.Box(-1, 1, (2,), np.float32)
        infos = []

        def observe(self):
            return np.zeros(2, np.float32)

        def step(self, action):
            _, *others, info = super().step(action)
            self.infos.append((action.copy(), info))
            info["action"] = action
            return action, *others, info

    train(Echo)
    assert all(np.array_equal(copy, info["action"]) for copy, info in Echo.infos)


# Tuples of other APIs


@pytest.mark.parametrize(
    ("returned", "match"),
    [
        (lambda o: (o, 1.0, False, {}), "returned 4 values, expected .*gym before 0.26"),
        (lambda o: (o, 1.0, False), "returned 3 values"),
        (lambda o: o, "returned ndarray of shape \\(3,\\) and dtype float32, expected"),
        (lambda o: None, "returned None, expected"),
    ],
)
def test_a_step_of_another_api(returned, match):
    class Old(Env):
        def step(self, action):
            return returned(self.observe())

    refused(Old, match)


@pytest.mark.parametrize(
    ("returned", "match"),
    [
        (lambda o: o, "Returning the observation alone is the API of gym before 0.26"),
        (lambda o: (o, None), "the second is None"),
        (lambda o: (o, {}, {}), "returned a tuple of 3"),
    ],
)
def test_a_reset_of_another_api(returned, match):
    class Old(Env):
        def reset(self, *, seed=None, options=None):
            return returned(self.observe())

    refused(Old, match)


# Spaces


def test_nested_observations():
    class Nested(Env):
        observation_space = spaces.Dict(
            {
                "b": spaces.Tuple((spaces.Discrete(3, start=1), spaces.MultiBinary(2))),
                "a": spaces.Box(0, 255, (2, 2), np.uint8),
                "c": spaces.MultiDiscrete([2, 4]),
            }
        )

        def observe(self):
            return {
                "a": np.full((2, 2), 7, np.uint8),
                "c": np.array([1, 3]),
                "b": (np.int64(2), np.array([0, 1], np.int8)),
            }

    train(Nested)

    class Missing(Nested):
        def observe(self):
            observation = super().observe()
            observation.pop("c")
            return observation

    refused(Missing, r"observation has the keys .*'a', 'b'.*, expected a, b, c")

    class Shorter(Nested):
        def observe(self):
            return super().observe() | {"b": (2,)}

    refused(Shorter, r"observation\[b\] is a tuple of 1, expected a tuple of 2")


@pytest.mark.parametrize(
    "space",
    [
        spaces.Text(5),
        spaces.Sequence(spaces.Discrete(2)),
        spaces.OneOf([spaces.Discrete(2), spaces.Discrete(3)]),
        spaces.Graph(spaces.Discrete(2), None),
        spaces.Box(-1, 1, (2,), np.float16),
        None,
    ],
)
def test_spaces_that_are_not_served(space):
    class Unserved(Env):
        observation_space = space

    refused(Unserved, "observation_space of Unserved is .*, expected")


def test_spaces_there_and_back():
    from skirl import _native

    for space in [
        spaces.Discrete(3, start=-1),
        spaces.MultiDiscrete([[2, 3], [4, 5]], start=[[0, 1], [2, 3]]),
        spaces.MultiBinary([2, 3]),
        spaces.MultiBinary(4),
        spaces.Box(np.array([-np.inf, 0]), np.array([3, np.inf]), dtype=np.float64),
        spaces.Box(0, 255, (2, 3), np.uint8),
        spaces.Box(-1, 1, (), np.float32),
        spaces.Dict(z=spaces.Tuple((spaces.Discrete(2), spaces.Discrete(3))), a=spaces.MultiBinary(1)),
    ]:
        assert _native.space_from_json(_native.space_to_json(space)) == space


def test_environments_with_other_spaces_are_refused():
    from skirl.env import register_env

    class Growing(Env):
        def __init__(self, index):
            super().__init__()
            self.observation_space = spaces.Box(-1, 1, (2 + index,))

    register_env("Growing", lambda context: Growing(context.vector_index))
    refused("Growing", "environment 1 has the observation space .*, expected .*, as that of environment 0")


def test_gym_is_not_needed_to_be_a_subclass():
    class Duck:
        observation_space = gymnasium.spaces.Discrete(2)
        action_space = gymnasium.spaces.Discrete(2)

        def reset(self, *, seed=None, options=None):
            return 0, {}

        def step(self, action):
            return 1, 0.0, True, False, {}

        def close(self):
            pass

    train(Duck)
