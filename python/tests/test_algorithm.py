"""The algorithm in Python's hands: training, acting, weights, checkpoints, its end."""

import pickle
import pprint
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from skirl.algorithms.a2c import A2C, A2CConfig
from skirl.algorithms.algorithm import Algorithm
from skirl.algorithms.pg import PGConfig
from skirl.algorithms.ppo import PPO, PPOConfig
from skirl.errors import CheckpointError, ConfigError, EnvError, SkirlError, StoppedError
from skirl.logger import pretty_print

TUNED = {
    "env": "CartPole-v1",
    "num_env_runners": 0,
    "num_envs_per_env_runner": 8,
    "gamma": 0.98,
    "lambda": 0.9,
    "lr": [[0, 3e-3], [60_000, 1e-4]],
    "train_batch_size": 512,
    "minibatch_size": 64,
    "num_epochs": 4,
    "clip_param": [[0, 0.2], [60_000, 0.05]],
    "use_kl_loss": False,
    "vf_clip_param": None,
    "vf_loss_coeff": 0.5,
    "grad_clip": 0.5,
    "standardize_advantages": "minibatch",
    "optimizer": {"eps": 1e-5},
    "model": {"fcnet_hiddens": [64, 64], "fcnet_kernel_initializer": "orthogonal"},
}


def small(env: str = "CartPole-v1", seed: int = 1) -> PPOConfig:
    config = PPOConfig().environment(env).env_runners(num_env_runners=0).debugging(seed=seed)
    return config.training(train_batch_size=200, minibatch_size=100, num_epochs=2).rl_module(fcnet_hiddens=[16])


def weights_equal(left: Any, right: Any) -> bool:
    return list(left) == list(right) and all(
        np.array_equal(left[module][name], right[module][name]) for module in left for name in left[module]
    )


def test_results_are_plain_numbers_under_rllibs_keys() -> None:
    with small().build_algo() as algo:
        assert isinstance(algo, PPO)
        result = algo.train()
        assert 0 < result["env_runners"]["episode_return_mean"] < 100
        assert result["env_runners"]["num_env_steps_sampled_lifetime"] == 200
        assert result["learners"]["default_policy"]["curr_clip_param"] == pytest.approx(0.3)
        assert result["training_iteration"] == algo.iteration == algo.training_iteration == 1
        assert isinstance(result, dict) and result["episode_reward_mean"] == result["env_runners"]["episode_return_mean"]
        pending: list[Any] = list(result.values())
        while pending:
            value = pending.pop()
            pending += value.values() if type(value) is dict else []
            assert type(value) in (dict, int, float, str, bool, list, type(None))
        assert pickle.loads(pickle.dumps(result)) == result and "episode_return_mean" in pprint.pformat(result)
        assert "  episode_return_mean: " in pretty_print(result)


@pytest.mark.parametrize("seed", [1, 2])
def test_the_tuned_config_solves_cartpole(seed: int) -> None:
    algo = PPO(config=TUNED | {"seed": seed})
    returns = [algo.train()["env_runners"]["episode_return_mean"]]
    while returns[-1] < 475 and algo.iteration < 400:
        returns.append(algo.train()["env_runners"]["episode_return_mean"])
    assert returns[-1] >= 475, f"best {max(returns)} after {algo.iteration} iterations"
    assert algo.evaluate(episodes=10)["env_runners"]["episode_return_mean"] >= 475
    algo.stop()


def test_actions_of_the_trained_policy_hold_the_pole() -> None:
    gymnasium = pytest.importorskip("gymnasium")
    algo = PPO(config=TUNED | {"seed": 1})
    while algo.train()["env_runners"]["episode_return_mean"] < 475:
        assert algo.iteration < 400
    env = gymnasium.make("CartPole-v1")
    observation, _ = env.reset(seed=5)
    total, ended = 0.0, False
    while not ended:
        action = algo.compute_single_action(observation, explore=False)
        assert type(action) is int
        observation, reward, terminated, truncated, _ = env.step(action)
        total, ended = total + float(reward), terminated or truncated
    assert total >= 475
    algo.stop()


@pytest.mark.parametrize(("config", "env"), [(A2CConfig(), "CartPole-v1"), (PGConfig(), "CartPole-v1"), (PPOConfig(), "Pendulum-v1")])
def test_every_algorithm_trains(config: Any, env: str) -> None:
    config.environment(env).debugging(seed=1).training(train_batch_size=256).rl_module(fcnet_hiddens=[16])
    if isinstance(config, PPOConfig):
        config.training(num_epochs=2)
    with config.build_algo() as algo:
        assert algo.train()["training_iteration"] == 1
        action = algo.compute_single_action(np.zeros(4 if env == "CartPole-v1" else 3))
        if env == "Pendulum-v1":
            assert action.shape == (1,) and action.dtype == np.float32 and -2 <= action[0] <= 2


def test_greedy_actions_are_those_of_the_module_and_drawn_ones_vary() -> None:
    algo = small().build_algo()
    observations = np.random.default_rng(0).uniform(-1, 1, (50, 4)).astype(np.float32)
    logits = algo.get_module().forward_inference({"obs": observations})["action_dist_inputs"]
    greedy = [algo.compute_single_action(each, explore=False) for each in observations]
    assert greedy == logits.argmax(axis=1).tolist()
    together = algo.compute_actions({("env", index): each for index, each in enumerate(observations)}, explore=False)
    assert list(together.values()) == greedy and list(together)[0] == ("env", 0)
    assert len({algo.compute_single_action(observations[0]) for _ in range(50)}) == 2
    # Whatever is asked for in between, training gives the same bytes.
    algo.train()
    other = small().build_algo()
    other.train()
    assert weights_equal(algo.get_weights(), other.get_weights())


@pytest.mark.parametrize(
    ("observation", "said"),
    [([0.0] * 3, r"expected shape \(4,\)"), ("text", "expected"), ([np.nan] * 4, "NaN"), (None, "expected"), ([[0.0] * 4], r"\(1, 4\)")],
)
def test_observations_that_do_not_fit_are_refused(observation: Any, said: str) -> None:
    algo = small().build_algo()
    with pytest.raises(SkirlError, match=said):
        algo.compute_single_action(observation)
    assert algo.compute_single_action([0, 0, 0, 0]) in (0, 1)
    with pytest.raises(SkirlError, match="default_policy"):
        algo.compute_single_action([0.0] * 4, policy_id="other")


def test_weights_are_replaced_for_learning_and_acting() -> None:
    algo, other = small(seed=1).build_algo(), small(seed=2).build_algo()
    algo.train()
    assert not weights_equal(algo.get_weights(), other.get_weights())
    other.set_weights(algo.get_weights())
    assert weights_equal(algo.get_weights(), other.get_weights())
    observation = [0.1, 0.2, -0.1, 0.3]
    outputs = [each.get_module().forward_inference({"obs": [observation]})["action_dist_inputs"] for each in (algo, other)]
    assert np.array_equal(*outputs)
    assert algo.compute_single_action(observation, explore=False) == other.compute_single_action(observation, explore=False)
    before = other.get_weights()
    other.train()
    assert not weights_equal(before, other.get_weights())
    # A dict of zeros: the learner goes on from there.
    zeros = {name: np.zeros_like(array) for name, array in before["default_policy"].items()}
    other.set_weights({"default_policy": zeros})
    assert all(not array.any() for array in other.get_weights(["default_policy"])["default_policy"].values())
    for wrong in ({"x": np.zeros(3)}, {**zeros, "pi.0.bias": np.zeros(3)}):
        with pytest.raises(SkirlError):
            other.set_weights({"default_policy": wrong})
        assert all(not array.any() for array in other.get_weights()["default_policy"].values())
    with pytest.raises(SkirlError, match="default_policy"):
        other.set_weights({"other": zeros})


def test_a_restored_algorithm_goes_on_byte_for_byte(tmp_path: Path) -> None:
    straight = small().build_algo()
    for _ in range(4):
        straight.train()
    first = small().build_algo()
    first.train()
    first.train()
    saved = first.save_to_path(tmp_path / "checkpoint")
    assert saved == str(tmp_path / "checkpoint")
    for resumed in (PPO.from_checkpoint(saved), Algorithm.from_checkpoint(Path(saved)), small(seed=9).build_algo()):
        if resumed.iteration == 0:
            resumed.restore_from_path(saved)
        assert isinstance(resumed, PPO) and resumed.iteration == 2
        assert resumed.config["train_batch_size"] == 200
        resumed.train()
        resumed.train()
        assert weights_equal(resumed.get_weights(), straight.get_weights())


def test_one_module_is_restored_alone(tmp_path: Path) -> None:
    trained, other = small().build_algo(), small(seed=2).build_algo()
    trained.train()
    saved = Path(trained.save_to_path(tmp_path / "saved"))
    component = "learner_group/learner/rl_module/default_policy"
    for path in (saved, saved / component):
        other = small(seed=2).build_algo()
        other.restore_from_path(path, component=component)
        assert weights_equal(other.get_weights(), trained.get_weights()) and other.iteration == 0
    with pytest.raises(ConfigError, match="expected learner_group/learner/rl_module/<module id>"):
        other.restore_from_path(saved, component="env_runner")
    with pytest.raises(SkirlError, match="expected one of default_policy, found 'p0'"):
        other.restore_from_path(saved, component="learner_group/learner/rl_module/p0")
    with pytest.raises(CheckpointError, match="observation_space of module 'default_policy': expected Box"):
        small("Pendulum-v1").build_algo().restore_from_path(saved, component=component)


def test_checkpoints_without_a_path_go_to_the_results_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SKIRL_RESULTS", str(tmp_path / "results"))
    algo = small().build_algo()
    paths = {algo.save_to_path(), algo.save_to_path(), algo.save()}
    assert len(paths) == 3
    assert all(Path(path).parent == tmp_path / "results" and "PPO_CartPole-v1" in path for path in paths)
    assert PPO.from_checkpoint(paths.pop()).iteration == 0


def test_checkpoints_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    saved = small().build_algo().save_to_path(tmp_path / "ppo")
    with pytest.raises(SkirlError, match="PPO"):
        A2C.from_checkpoint(saved)
    with pytest.raises(CheckpointError):
        PPO.from_checkpoint(tmp_path / "nothing")
    with pytest.raises(CheckpointError, match="local path"):
        PPO.from_checkpoint("s3://bucket/checkpoint")
    pendulum = small("Pendulum-v1").build_algo()
    with pytest.raises(SkirlError):
        pendulum.restore_from_path(saved)
    pendulum.train()


def test_configs_are_frozen_copies() -> None:
    config = small()
    algo = config.build_algo(env="Pendulum-v1")
    assert algo.config["env"] == "Pendulum-v1" and config.env == "CartPole-v1"
    config.training(gamma=0.5)
    assert algo.get_config().gamma == 0.99
    with pytest.raises(ConfigError, match="frozen"):
        algo.config.training(gamma=0.5)
    # The seed that was drawn is in it.
    assert isinstance(PPO(env="CartPole-v1").config["seed"], int)
    assert "CartPole-v1" in repr(PPO(env="CartPole-v1", config={"seed": 3}))


def test_evaluation_is_repeatable_and_configured() -> None:
    algo = small().evaluation(evaluation_interval=1, evaluation_duration=4).build_algo()
    result = algo.train()
    assert result["evaluation"]["env_runners"]["num_episodes"] == 4
    ours = algo.evaluate(episodes=6, seed=1)["env_runners"]
    assert ours["num_episodes"] == 6
    assert ours["episode_return_mean"] == algo.evaluate(episodes=6, seed=1)["env_runners"]["episode_return_mean"]


@pytest.mark.parametrize("how", [{"episodes": 0}, {"episodes": -1}, {"episodes": 2.5}, {"seed": "x"}, {"seed": -1}])
def test_what_an_evaluation_cannot_be_asked_for(how: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=r"evaluate\((episodes|seed)=.*\): expected a whole number from [01] on"):
        small().build_algo().evaluate(**how)


def test_errors_of_the_engine_have_their_classes(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="environment"):
        PPOConfig().build_algo()
    with pytest.raises((EnvError, ConfigError), match="CartPole"):
        PPO(env="CartPoll-v1")
    algo = small().build_algo()
    with pytest.raises(SkirlError):
        algo.save_to_path("/dev/null/checkpoint")
    with pytest.raises(ConfigError, match="recurrent"):
        algo.compute_single_action([0.0] * 4, state=[1.0])


def test_a_stopped_algorithm_says_so() -> None:
    with small().build_algo() as algo:
        algo.train()
    algo.stop()
    for call in (algo.train, algo.evaluate, algo.get_weights, lambda: algo.iteration, lambda: algo.compute_single_action([0.0] * 4)):
        with pytest.raises(StoppedError, match=r"was stopped, by stop\(\) .*build a new one, .*save_to_path\(\) before"):
            call()


def test_two_threads_at_once_are_an_error() -> None:
    algo = small().training(train_batch_size=20_000, num_epochs=20, minibatch_size=200).build_algo()
    outcomes: list[Any] = []
    entered = threading.Barrier(2)

    def work() -> None:
        entered.wait()
        try:
            outcomes.append(algo.train()["training_iteration"])
        except SkirlError as error:
            outcomes.append(str(error))

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    refused = [outcome for outcome in outcomes if isinstance(outcome, str)]
    assert len(refused) == 1 and "at work in another thread" in refused[0]
    assert algo.train()["training_iteration"] == 2


def test_algorithms_in_several_threads_train_beside_each_other() -> None:
    results: dict[int, Any] = {}

    def work(seed: int) -> None:
        with small(seed=seed).build_algo() as algo:
            algo.train()
            results[seed] = algo.get_weights()

    threads = [threading.Thread(target=work, args=(seed,)) for seed in (1, 2, 3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    alone = small(seed=2).build_algo()
    alone.train()
    assert weights_equal(results[2], alone.get_weights()) and not weights_equal(results[1], results[2])


@pytest.mark.skipif(sys.platform == "win32", reason="forks")
def test_a_forked_process_is_told_to_build_its_own() -> None:
    code = (
        "import os, sys\nfrom skirl import PPO, SkirlError\nalgo = PPO(env='CartPole-v1')\npid = os.fork()\n"
        "if pid == 0:\n"
        "    try:\n        algo.train()\n"
        "    except SkirlError as error:\n        sys.exit(7 if 'forked' in str(error) else 8)\n"
        "    sys.exit(9)\n"
        "print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))\n"
    )
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "7"


def test_a_script_may_end_without_stopping_anything() -> None:
    code = (
        "from skirl import PPO\nalgos = [PPO(env='CartPole-v1') for _ in range(3)]\n"
        "algos[0].compute_single_action([0.0] * 4)\ndel algos[1]\nprint('done')\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "done\n", "")


def test_a_script_whose_environment_cannot_be_made_ends() -> None:
    code = (
        "import gymnasium, skirl\n"
        "class Broken(gymnasium.Env):\n"
        "    observation_space = action_space = gymnasium.spaces.Discrete(2)\n"
        "    def __init__(self): raise RuntimeError('no such map')\n"
        "skirl.PPO(env=Broken)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert "no such map" in done.stderr.splitlines()[-1]


def test_nested_observations_and_arrays_of_actions() -> None:
    gymnasium = pytest.importorskip("gymnasium")
    spaces = gymnasium.spaces

    class Nested(gymnasium.Env):  # type: ignore[name-defined,misc]
        observation_space = spaces.Dict(
            {"place": spaces.Discrete(3, start=1), "pair": spaces.Tuple((spaces.Box(-1, 1, (2, 2), np.float64), spaces.MultiBinary(2)))}
        )
        action_space = spaces.MultiDiscrete([2, 3])

        def __init__(self, config: Any = None) -> None:
            self.steps = 0

        def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
            super().reset(seed=seed)
            self.steps = 0
            return self.observation_space.sample(), {}

        def step(self, action: Any) -> Any:
            assert self.action_space.contains(action)
            self.steps += 1
            return self.observation_space.sample(), 1.0, self.steps >= 10, False, {}

    algo = small().environment(Nested).build_algo()
    algo.train()
    for _ in range(20):
        action = algo.compute_single_action(Nested.observation_space.sample())
        assert Nested.action_space.contains(action)
    with pytest.raises(EnvError, match=r"observation: expected a part 'pair'"):
        algo.compute_single_action({"place": 1})
    module = algo.get_module()
    batch = {"place": np.array([1, 3]), "pair": (np.zeros((2, 2, 2)), np.ones((2, 2), np.int8))}
    assert module.forward_inference({"obs": batch})["action_dist_inputs"].shape == (2, 5)
    assert module.observation_space == Nested.observation_space and module.action_space == Nested.action_space
    algo.stop()
