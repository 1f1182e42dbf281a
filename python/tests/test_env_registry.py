"""Names of environments, contexts, and configurations that hold Python objects."""

import subprocess
import sys

import gymnasium
import numpy as np
import pytest

from skirl.env import EnvContext, _build, _config, registry
from skirl.env.registry import lookup, register_env, resolve
from skirl.errors import EnvError


class Plain(gymnasium.Env):
    observation_space = gymnasium.spaces.Box(-1, 1, (2,))
    action_space = gymnasium.spaces.Discrete(2)

    def __init__(self, size=1, reward=None):
        self.size, self.reward = size, reward


class Configured(Plain):
    def __init__(self, config):
        self.config = config


@pytest.fixture(autouse=True)
def clean():
    before = dict(registry._creators), dict(gymnasium.registry)
    yield
    for table, old in zip((registry._creators, gymnasium.registry), before):
        table.clear()
        table.update(old)


def make(name, config=None, num_envs=1):
    return _build.build(name, _config.to_json(config or {}), num_envs)[1]


def test_a_plain_id_is_the_native_environment():
    assert resolve("CartPole-v1") == "CartPole-v1"
    assert resolve("CartPole-v1", {"sutton_barto_reward": True, "max_episode_steps": 9}) == "CartPole-v1"
    assert resolve("Pendulum-v1", {"g": 9.81}) == "Pendulum-v1"


def test_what_the_native_environment_does_not_take_means_gymnasium():
    assert resolve("CartPole-v1", {"render_mode": "rgb_array"}) == "gymnasium:CartPole-v1"


@pytest.mark.parametrize(
    "change",
    [
        {"entry_point": "other:Class"},
        {"kwargs": {"sutton_barto_reward": True}},
        {"max_episode_steps": 77},
        {"additional_wrappers": (object(),)},
    ],
)
def test_a_changed_entry_of_gymnasium_means_gymnasium(change):
    spec = gymnasium.registry["CartPole-v1"]
    for name, value in change.items():
        old = getattr(spec, name)
        setattr(spec, name, value)
        try:
            assert resolve("CartPole-v1") == "gymnasium:CartPole-v1"
        finally:
            setattr(spec, name, old)
    assert resolve("CartPole-v1") == "CartPole-v1"


def test_prefixes_choose():
    assert resolve("gymnasium:CartPole-v1") == "gymnasium:CartPole-v1"
    assert resolve("native:CartPole-v1") == "CartPole-v1"
    with pytest.raises(EnvError, match="no environment 'Taxi-v3' of its own"):
        resolve("native:Taxi-v3")


def test_ids_that_only_gymnasium_has():
    assert resolve("Taxi-v3") == "gymnasium:Taxi-v3"


def test_gymnasium_is_not_imported_for_a_native_name():
    script = (
        "import sys; from skirl.env import registry; assert registry.resolve('CartPole-v1') == 'CartPole-v1';"
        "assert 'gymnasium' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


def test_registered_names_come_first():
    register_env("CartPole-v1", lambda context: Plain())
    register_env("Own", lambda context: Plain(context["size"]))
    assert lookup(resolve("CartPole-v1")) == (True, [])
    assert isinstance(make(resolve("CartPole-v1"))[0], Plain)
    assert make("Own", {"size": 4})[0].size == 4
    with pytest.raises(EnvError, match="without white space"):
        register_env("a b", Plain)
    with pytest.raises(EnvError, match="expected a class or a function"):
        register_env("x", 3)


def test_classes_have_stable_names():
    assert resolve(Plain) == f"{__name__}:Plain" == resolve(Plain)
    local = [type("Local", (Plain,), {"number": number}) for number in range(2)]
    names = [resolve(cls) for cls in local]
    assert names[0] != names[1]
    assert [make(name)[0].number for name in names] == [0, 1]


def test_module_and_class():
    name = f"{Plain.__module__}:Plain"
    registry._objects.pop(name, None)
    assert resolve(name) == name
    assert lookup(name) == (True, [])
    assert make(name, {"size": 3})[0].size == 3
    assert not lookup("no_such_module_at_all:Class")[0]


def test_constructors_get_keywords_or_the_context():
    env = make(resolve(Configured), {"a": 1})[0]
    assert isinstance(env.config, EnvContext)
    assert env.config == {"a": 1}
    env = make(resolve(Plain), {"size": 2, "max_episode_steps": 5})[0]
    assert env.size == 2


def test_contexts_number_the_environments_and_none_is_made_too_many():
    seen = []

    def creator(context):
        seen.append((context.worker_index, context.vector_index, context.num_workers, context.remote))
        context["own"] = len(context)
        assert context["own"] == 0, "each environment has a configuration of its own"
        return Plain()

    register_env("Counted", creator)
    make("Counted", num_envs=3)
    assert seen == [(0, 0, 0, False), (0, 1, 0, False), (0, 2, 0, False)]


def test_a_context_has_defaults_and_copies():
    context = EnvContext({"a": 1}, worker_index=2)
    context.set_defaults({"a": 5, "b": 6})
    assert context == {"a": 1, "b": 6}
    copy = context.copy_with_overrides(vector_index=3)
    assert (copy, copy.worker_index, copy.vector_index) == ({"a": 1, "b": 6}, 2, 3)
    with pytest.raises(TypeError, match="no attribute 'worker'"):
        context.copy_with_overrides(worker=1)


def test_any_object_reaches_the_creator():
    def function(x):
        return x

    class Thing:
        pass

    thing = Thing()
    config = {
        "function": function,
        "thing": thing,
        "class": Thing,
        "array": np.arange(6, dtype=np.int16).reshape(2, 3),
        "tuple": (1, (2.5, None)),
        "infinite": float("-inf"),
        "huge": 2**70,
        "number": np.float32(0.5),
        "nested": {"list": [thing, 1]},
    }
    written = _config.to_json(config)
    import json

    read = _config.from_json(json.loads(json.dumps(written)))
    assert read["function"] is function and read["thing"] is thing and read["class"] is Thing
    assert read["nested"]["list"] == [thing, 1]
    np.testing.assert_array_equal(read["array"], config["array"])
    assert read["array"].dtype == np.int16
    for key in ("tuple", "infinite", "huge", "number"):
        assert read[key] == config[key]
    assert written == _config.to_json(config), "the same objects are written the same"


def test_an_object_of_another_process_is_named():
    with pytest.raises(EnvError, match="env_config\\['f'\\] is other.Thing"):
        _config.from_json({"f": {"$object": "other.Thing", "number": 10_000}})


def test_what_is_no_environment_is_refused():
    register_env("None", lambda context: None)
    with pytest.raises(EnvError, match="returned None"):
        make("None")
    register_env("Int", lambda context: 3)
    with pytest.raises(EnvError, match="builtins.int, expected a gymnasium.Env: it has no reset, step"):
        make("Int")
    with pytest.raises(EnvError, match="every run makes its own"):
        resolve(Plain())
