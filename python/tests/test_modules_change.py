"""Modules that come and go in the middle of a run: what stays goes on to the last bit, and what fails changes nothing."""

import contextlib
import json
from pathlib import Path

import gymnasium
import numpy as np
import pytest

import skirl.shared
from skirl.algorithms.ppo import PPO, PPOConfig
from skirl.callbacks import RLlibCallback
from skirl.env.multi_agent_env import MultiAgentEnv
from skirl.errors import CallbackError, ConfigError, EnvError, SkirlError, StoppedError
from skirl.policy import PolicySpec

BOX = gymnasium.spaces.Box(-1, 1, (3,), np.float32)


class Duel(MultiAgentEnv):
    """Two agents alike, episodes of seven steps; knows which are open, and fails on order."""

    #: Those that were not closed yet.
    opened = set()
    fails = False

    def __init__(self, config=None):
        if Duel.fails:
            raise RuntimeError("no more duels")
        self.opened = Duel.opened
        self.opened.add(self)
        self.possible_agents = self.agents = ["left", "right"]
        self.observation_spaces = dict.fromkeys(self.agents, BOX)
        self.action_spaces = dict.fromkeys(self.agents, gymnasium.spaces.Discrete(2))
        self.phase = 0

    def observation(self):
        return {agent: np.full(3, self.t / 10, np.float32) for agent in self.possible_agents}

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.t = 0
        return self.observation(), {}

    def step(self, actions):
        self.t += 1
        over = self.t >= 7
        rewards = {agent: float(action) + self.phase for agent, action in actions.items()}
        return self.observation(), rewards, {"__all__": over}, {"__all__": False}, {}

    def set_task(self, task):
        self.phase = task

    def get_task(self):
        return self.phase

    def close(self):
        self.opened.discard(self)


class Three(Duel):
    """A third agent, which sees less."""

    def __init__(self, config=None):
        super().__init__()
        self.possible_agents = self.agents = ["left", "right", "small"]
        self.observation_spaces = self.observation_spaces | {"small": gymnasium.spaces.Box(-1, 1, (1,), np.float32)}
        self.action_spaces = dict.fromkeys(self.agents, gymnasium.spaces.Discrete(2))

    def observation(self):
        return super().observation() | {"small": np.zeros(1, np.float32)}


ENVS = {"TwoCartPole-v0": ("cart_0", "cart_1"), Duel: ("left", "right")}


@pytest.fixture(params=list(ENVS), ids=["native", "python"])
def env(request):
    return request.param


@pytest.fixture(autouse=True)
def duels():
    # Algorithms of other tests close their environments whenever they are collected.
    Duel.opened, Duel.fails = set(), False


def config(env, **multi_agent):
    made = PPOConfig().environment(env).env_runners(num_env_runners=0, num_envs_per_env_runner=2, observation_filter="MeanStdFilter")
    made = made.training(train_batch_size=64, minibatch_size=32, num_epochs=2, lr=[[0, 1e-3], [1000, 1e-4]])
    made = made.debugging(seed=1)
    return made.multi_agent(**(multi_agent or {"policies": {"main"}, "policy_mapping_fn": lambda agent, *_, **__: "main"}))


def against(new, env):
    """The second agent plays `new`."""
    return lambda agent_id, episode=None, **kwargs: new if agent_id == ENVS[env][1] else "main"


def tensors(file):
    """The bytes of a safetensors file by name."""
    data = file.read_bytes()
    start = 8 + int.from_bytes(data[:8], "little")
    header = json.loads(data[8:start])
    offsets = {name: entry["data_offsets"] for name, entry in header.items() if name != "__metadata__"}
    return {name: data[start + begin : start + end] for name, (begin, end) in offsets.items()}


def learner(algo, path, module="main"):
    """All that a checkpoint holds of one module: bytes of weights and optimizer, and what is counted."""
    path = Path(algo.save_to_path(path)) / "learner_group" / "learner"
    found = {name.name: name.read_bytes() for name in (path / "rl_module" / module).iterdir() if name.name != "component.json"}
    for file in path.rglob("*.safetensors"):
        if "rl_module" not in file.parts:
            found |= {name: data for name, data in tensors(file).items() if name.startswith(f"{module}/")}
    assert any("/" in name for name in found), "no optimizer state was found"
    counted = [json.loads(file.read_text()) for file in path.glob("*.json")]
    found["counted"] = [state["modules"][module] for state in counted if "modules" in state]
    assert found["counted"]
    return found


def same(one, other):
    return all(np.array_equal(one[name], other[name]) for name in one.keys() | other.keys())


def test_what_stays_goes_on_to_the_last_bit(env, tmp_path):
    algo = config(env).build_algo()
    for _ in range(3):
        before = algo.train()
    kept = learner(algo, tmp_path / "before")
    seen = algo.compute_actions({0: np.zeros(BOX.shape if env is Duel else 4, np.float32)}, explore=False, policy_id="main")
    algo.add_module("new", new_agent_to_module_mapping_fn=against("new", env))
    assert learner(algo, tmp_path / "after") == kept
    assert algo.iteration == 3
    assert seen == algo.compute_actions({0: np.zeros(BOX.shape if env is Duel else 4, np.float32)}, explore=False, policy_id="main")
    after = algo.train()
    assert after["training_iteration"] == 4
    assert after["num_env_steps_sampled_lifetime"] == before["num_env_steps_sampled_lifetime"] + 64
    now, then = after["env_runners"], before["env_runners"]
    assert now["num_episodes_lifetime"] == then["num_episodes_lifetime"] + now["num_episodes"]
    steps = [sum(result["num_agent_steps_sampled_lifetime"].values()) for result in (then, now)]
    assert 64 < steps[1] - steps[0] <= 128
    if now["num_episodes"] == 0:
        # The window of means goes on.
        assert now["episode_return_mean"] == then["episode_return_mean"]
    assert after["time_total_s"] > before["time_total_s"]
    assert set(after["learners"]) >= {"main", "new"}
    assert set(algo.get_weights()) == {"main", "new"}
    assert learner(algo, tmp_path / "trained") != kept


def test_the_filter_of_observations_goes_on(tmp_path):
    algo = config(Duel).build_algo()
    algo.train()

    def moments(name):
        files = Path(algo.save_to_path(tmp_path / name)).rglob("*.safetensors")
        return {key: data for file in files for key, data in tensors(file).items() if key in ("main/count", "main/mean", "main/m2")}

    before = moments("before")
    assert len(before) == 3
    algo.add_module("new", new_agent_to_module_mapping_fn=against("new", Duel))
    assert moments("after") == before


def test_a_new_module_begins_as_in_a_fresh_build(env):
    algo = config(env).build_algo()
    algo.train()
    algo.add_module("new", new_agent_to_module_mapping_fn=against("new", env), config_overrides={"lr": 0.0})
    fresh = config(env, policies={"main", "new"}, policy_mapping_fn=against("new", env)).build_algo()
    assert same(algo.get_weights(["new"])["new"], fresh.get_weights(["new"])["new"])


def test_a_frozen_copy_is_an_opponent(env):
    algo = config(env).build_algo()
    algo.train()
    main = algo.get_weights(["main"])["main"]
    algo.add_module("old", new_agent_to_module_mapping_fn=against("old", env), new_should_module_be_updated=["main"])
    algo.set_weights({"old": main})
    assert same(algo.get_weights(["main"])["main"], main)
    result = algo.train()
    assert set(result["learners"]) - {"__all_modules__"} == {"main"}
    assert same(algo.get_weights(["old"])["old"], main)
    assert not same(algo.get_weights(["main"])["main"], main)
    assert algo.config["policies_to_train"] == ["main"]
    assert list(algo.config["policies"]) == ["main", "old"]
    with pytest.raises(ConfigError, match="frozen"):
        algo.config.lr = 1.0


def test_removed_it_is_as_if_it_had_not_been(env, tmp_path):
    algo = config(env).build_algo()
    algo.train()
    algo.add_module("new", PolicySpec(config={"lr": 1e-5}), new_agent_to_module_mapping_fn=against("new", env), new_should_module_be_updated={"main", "new"})
    algo.train()
    kept = learner(algo, tmp_path / "before")
    algo.remove_module("new", new_agent_to_module_mapping_fn=lambda agent_id, *_, **__: "main")
    assert learner(algo, tmp_path / "after") == kept
    assert set(algo.get_weights()) == {"main"} == set(algo.config["policies"])
    assert algo.config["policies_to_train"] == ["main"]
    result = algo.train()
    assert result["training_iteration"] == 3
    assert "new" not in result["env_runners"]["module_episode_return_mean"]
    with pytest.raises(SkirlError, match="new"):
        algo.get_weights(["new"])


def test_the_run_is_the_same_from_run_to_run(env, tmp_path):
    found = []
    for run in range(2):
        algo = config(env).build_algo()
        algo.train()
        algo.add_module("new", new_agent_to_module_mapping_fn=against("new", env))
        algo.train()
        found.append([learner(algo, tmp_path / f"{run}", module) for module in ("main", "new")])
    assert found[0] == found[1]


def test_a_checkpoint_after_the_change_is_restored(env, tmp_path):
    algo = config(env).build_algo()
    algo.train()
    algo.add_module("new", {"lr": 1e-5}, new_agent_to_module_mapping_fn=against("new", env))
    algo.train()
    path = algo.save_to_path(tmp_path / "saved")
    other = PPO.from_checkpoint(path)
    assert other.config["policy_mapping"] == dict(zip(ENVS[env], ("main", "new"), strict=True))
    assert other.iteration == 2
    if env is not Duel:
        # Goes on exactly: the native environment's state is saved.
        assert other.train()["env_runners"]["episode_return_mean"] == algo.train()["env_runners"]["episode_return_mean"]
        assert learner(other, tmp_path / "a") == learner(algo, tmp_path / "b")
        assert learner(other, tmp_path / "c", "new") == learner(algo, tmp_path / "d", "new")
    algo.restore_from_path(path)
    # From a checkpoint, too, modules come and go.
    other.remove_module("new", new_agent_to_module_mapping_fn=lambda agent_id: "main")
    assert list(other.get_weights()) == ["main"]
    with pytest.raises(SkirlError):
        other.restore_from_path(path)
    other.train()


def test_callbacks_shared_state_and_tasks_go_on(tmp_path):
    class Keeps(RLlibCallback):
        inits = 0

        def __init__(self):
            self.results = 0

        def on_algorithm_init(self, *, algorithm, **kwargs):
            Keeps.inits += 1

        def on_train_result(self, *, algorithm, result, **kwargs):
            self.results += 1
            result["results"] = self.results
            result["policies"] = len(algorithm.config["policies"])

        def on_episode_step(self, *, episode, **kwargs):
            episode.custom_data["steps"] = episode.custom_data.get("steps", 0) + 1

        def on_episode_end(self, *, episode, env_runner, **kwargs):
            # Episodes before and after the change have their own data.
            assert episode.custom_data["steps"] == 7
            if not env_runner.in_evaluation:
                episodes.append(episode.id_)

    episodes = []
    algo = config(Duel).callbacks(Keeps).evaluation(evaluation_num_env_runners=0, evaluation_interval=7).build_algo()
    algo.eval_env_runner.foreach_env(lambda env: env.set_task(5))
    algo.train()
    algo.shared_state.counter("dug").inc(3)
    algo.env_runner_group.foreach_env_runner(lambda runner: runner.foreach_env(lambda env: env.set_task(2)))
    algo.add_module("new", new_agent_to_module_mapping_fn=against("new", Duel))
    assert algo.shared_state.counter("dug").get() == 3
    assert algo.env_runner.foreach_env(lambda env: env.phase) == [2, 2]
    assert set(algo.eval_env_runner.foreach_env(lambda env: env.phase)) == {5}
    ended = len(episodes)
    result = algo.train()
    assert (result["results"], result["policies"], Keeps.inits) == (2, 2, 1)
    # Episodes are numbered on.
    assert 0 < ended < len(episodes) == len(set(episodes))
    # Nothing stays open.
    assert len(Duel.opened) == 2 + len(algo.eval_env_runner.foreach_env(id))
    algo.stop()
    assert not Duel.opened


@pytest.mark.parametrize("beside", [False, True])
def test_in_on_train_result_as_a_league_does(env, beside):
    class League(RLlibCallback):
        def on_train_result(self, *, algorithm, result, **kwargs):
            if result["training_iteration"] == 2:
                main = algorithm.get_weights(["main"])["main"]
                algorithm.add_module("v0", new_agent_to_module_mapping_fn=against("v0", env), new_should_module_be_updated=["main"])
                algorithm.set_weights({"v0": main})
                League.frozen = main

    algo = config(env).callbacks(League).evaluation(evaluation_interval=1, evaluation_duration=2, evaluation_parallel_to_training=beside)
    algo = algo.build_algo()
    for iteration in range(1, 5):
        result = algo.train()
        assert result["training_iteration"] == iteration
        assert result["evaluation"]["env_runners"]["num_episodes"] == 2
    assert set(algo.get_weights()) == {"main", "v0"}
    assert same(algo.get_weights(["v0"])["v0"], League.frozen)
    algo.evaluate()
    algo.stop()


@pytest.mark.parametrize("hook", ["on_evaluate_start", "on_evaluate_end", "on_episode_end", "on_sample_end"])
def test_in_the_middle_of_the_work_it_is_refused(hook):
    def change(algorithm=None, env_runner=None, **kwargs):
        held["algo"].add_module("new", new_agent_to_module_mapping_fn=against("new", Duel))

    held = {}
    algo = held["algo"] = config(Duel).callbacks(**{hook: change}).build_algo()
    with pytest.raises(CallbackError, match="on_train_result"):
        algo.evaluate() if "evaluate" in hook else algo.train()
    assert list(algo.config["policies"]) == ["main"]


def test_in_an_evaluation_function_it_is_refused():
    def mine(algorithm, env_runner_group):
        algorithm.add_module("new", new_agent_to_module_mapping_fn=against("new", Duel))

    algo = config(Duel).evaluation(custom_evaluation_function=mine, evaluation_interval=5).build_algo()
    with pytest.raises(CallbackError, match="evaluation function.*between two calls of train"):
        algo.evaluate()


def raises(algo, match, error=ConfigError, /, call="add_module", **arguments):
    """The call is refused, and nothing has changed."""
    before, shown = algo.get_weights(), algo.config.to_dict()
    with pytest.raises(error, match=match):
        getattr(algo, call)(**arguments)
    now = algo.get_weights()
    assert list(now) == list(before)
    assert all(same(now[module], before[module]) for module in now)
    assert algo.config.to_dict() == shown
    algo.train()


def test_what_is_refused_changes_nothing(env):
    algo = config(env).build_algo()
    algo.train()
    new = against("new", env)
    cart_0, cart_1 = ENVS[env]
    raises(algo, r"add_module\('main'\): expected a new id, found one of 'main'", module_id="main")
    raises(algo, "expected an id", module_id=7)
    raises(algo, f"module 'new': .*at least one agent.*'{cart_0}' by 'main', '{cart_1}' by 'main'", module_id="new")
    raises(algo, f"policy_mapping.{cart_1} = \"other\": there is no such policy", module_id="new", new_agent_to_module_mapping_fn=against("other", env))
    raises(algo, "module 'main'.*at least one agent", module_id="new", new_agent_to_module_mapping_fn=lambda agent_id: "new")
    raises(algo, "policy_mapping_fn used episode.id_", module_id="new", new_agent_to_module_mapping_fn=lambda agent_id, episode: episode.id_)
    raises(algo, "add_to_learners=False is RLlib's", module_id="new", new_agent_to_module_mapping_fn=new, add_to_learners=False)
    raises(algo, "collection of module ids", module_id="new", new_agent_to_module_mapping_fn=new, new_should_module_be_updated=lambda id: True)
    raises(algo, "no such policy", module_id="new", new_agent_to_module_mapping_fn=new, new_should_module_be_updated=["x"])
    raises(algo, "learning_rate_x", module_id="new", new_agent_to_module_mapping_fn=new, config_overrides={"learning_rate_x": 1})
    raises(algo, "PolicySpec", module_id="new", module_spec=object(), new_agent_to_module_mapping_fn=new)
    raises(algo, "expected None as policy_class", module_id="new", module_spec=PolicySpec(policy_class=int), new_agent_to_module_mapping_fn=new)
    raises(algo, "observation_space", module_id="new", module_spec=PolicySpec(observation_space=gymnasium.spaces.Discrete(9)), new_agent_to_module_mapping_fn=new)
    raises(algo, r"expected one of 'main'", call="remove_module", module_id="new")
    raises(algo, "expected a module beside it", call="remove_module", module_id="main")
    algo.add_module("new", new_agent_to_module_mapping_fn=new)
    raises(algo, f"expected no agent that it acts for, found '{cart_1}'", call="remove_module", module_id="new")
    raises(algo, f"expected no agent that it acts for, found '{cart_1}'", call="remove_module", module_id="new", new_agent_to_module_mapping_fn=new)
    raises(algo, "remove_from_learners", call="remove_module", module_id="new", remove_from_learners=False)


def test_environments_that_fail_leave_the_old_ones(tmp_path):
    algo = config(Duel).build_algo()
    algo.train()
    kept, opened = learner(algo, tmp_path / "before"), set(Duel.opened)
    values = algo._native.change_modules

    class Fails:
        """The native half with environments that fail after the agents were asked for."""

        def __getattr__(self, name):
            return getattr(native, name)

        def change_modules(self, changed):
            Duel.fails = True
            values(changed)

    native, algo._native = algo._native, Fails()
    with pytest.raises(EnvError, match="no more duels"):
        algo.add_module("new", new_agent_to_module_mapping_fn=against("new", Duel))
    Duel.fails, algo._native = False, native
    assert (learner(algo, tmp_path / "after"), Duel.opened) == (kept, opened)
    assert algo.train()["training_iteration"] == 2
    algo.add_module("new", new_agent_to_module_mapping_fn=against("new", Duel))
    assert algo.train()["training_iteration"] == 3


def test_a_module_that_stays_keeps_its_spaces():
    sizes = {"left": "big", "right": "big", "small": "little"}
    algo = config(Three, policies={"big", "little"}, policy_mapping_fn=lambda agent_id: sizes[agent_id]).build_algo()
    swapped = {"left": "new", "right": "little", "small": "big"}
    raises(algo, "module 'big'.*which stays", module_id="new", new_agent_to_module_mapping_fn=lambda agent_id: swapped[agent_id])
    assert len(Duel.opened) == 2


def test_what_new_environments_share_as_they_are_made_does_not_count_again():
    class Counts(Duel):
        def __init__(self, config=None):
            super().__init__()
            # The environment that is only asked for its agents belongs to no run.
            with contextlib.suppress(SkirlError):
                skirl.shared.counter("made").inc()

    algo = config(Counts).build_algo()
    made = algo.shared_state.counter("made").get()
    assert made == 2
    algo.add_module("new", new_agent_to_module_mapping_fn=against("new", Duel))
    algo.train()
    assert algo.shared_state.counter("made").get() == made


def test_a_policy_that_never_acted_is_removed():
    algo = config(Duel, policies=["main", "idle"], policy_mapping_fn=lambda agent_id: "main").build_algo()
    assert list(algo.get_weights()) == ["main"]
    raises(algo, "policy_mapping_fn", call="remove_module", module_id="idle", new_agent_to_module_mapping_fn=lambda agent_id: 5)
    algo.add_module("new", new_agent_to_module_mapping_fn=against("new", Duel))
    algo.remove_module("idle")
    assert list(algo.config["policies"]) == list(algo.get_weights()) == ["main", "new"]
    algo.train()


def test_one_agent_has_one_module():
    algo = PPOConfig().environment("CartPole-v1").training(train_batch_size=64, minibatch_size=32, num_epochs=1).build_algo()
    with pytest.raises(ConfigError, match="expected an environment of several agents"):
        algo.add_module("new")
    algo.train()


def test_a_stopped_algorithm_says_so():
    algo = config("TwoCartPole-v0").build_algo()
    algo.stop()
    with pytest.raises(SkirlError, match="was stopped"):
        algo.add_module("new", new_agent_to_module_mapping_fn=against("new", "TwoCartPole-v0"))


def test_hooks_in_the_middle_of_a_rollout_list_the_modules_as_they_are_now(env):
    seen = []

    def lists(policies, **kwargs):
        seen.append(tuple(sorted(policies)))

    algo = config(env).callbacks(on_postprocess_trajectory=lists).build_algo()
    algo.train()
    assert set(seen) == {("main",)}
    algo.add_module("new", new_agent_to_module_mapping_fn=against("new", env))
    seen.clear()
    algo.train()
    assert set(seen) == {("main", "new")}
    algo.stop()
    with pytest.raises(StoppedError):
        algo.get_weights()
