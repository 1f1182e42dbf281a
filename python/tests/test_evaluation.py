"""Evaluation functions of one's own."""

from typing import Any

import gymnasium
import numpy as np
import pytest

from skirl.algorithms.ppo import PPO, PPOConfig
from skirl.errors import CallbackError, SkirlError
from skirl.evaluation import name_of
from test_callbacks import config


def rewards_per_step(algorithm: Any, eval_workers: Any) -> tuple[dict[str, Any], int, int]:
    """As RLlib's example does it: samples from the workers of evaluation, and says what it counted."""
    batches = eval_workers.foreach_worker(lambda worker: worker.sample(num_episodes=4))
    (batch,) = batches
    episodes, lengths = np.unique(batch["eps_id"], return_counts=True)
    metrics = eval_workers.foreach_env_runner(lambda runner: runner.get_metrics())[0]
    assert metrics["num_episodes"] == len(episodes) == 4
    assert metrics["episode_len_mean"] == pytest.approx(lengths.mean())
    return {"reward_per_step": float(batch["rewards"].mean()), "episode_return_mean": metrics["episode_return_mean"]}, batch.count, batch.count


def with_function(function: Any, **more: Any) -> PPOConfig:
    """An evaluation after each iteration."""
    return config().evaluation(evaluation_interval=1, custom_evaluation_function=function, **more)


def test_its_metrics_are_reported_and_the_run_is_the_same(tmp_path: Any) -> None:
    weights = []
    with with_function(rewards_per_step).build_algo() as algo:
        assert algo.config["custom_evaluation_function"] is rewards_per_step
        first = algo.train()["evaluation"]
        algo.train()
        weights.append(algo.get_weights()["default_policy"])
        path = algo.save_to_path(tmp_path / "checkpoint")
        assert algo.evaluate()["reward_per_step"] == 1.0
    with config().build_algo() as algo:
        algo.train()
        algo.train()
        weights.append(algo.get_weights()["default_policy"])
    assert first["reward_per_step"] == 1.0
    assert first["episode_return_mean"] > 0
    assert first["env_runners"]["num_env_steps_sampled"] == pytest.approx(4 * first["episode_return_mean"])
    assert all(np.array_equal(weights[0][name], weights[1][name]) for name in weights[0])
    with PPO.from_checkpoint(path) as algo:
        assert algo.evaluate()["reward_per_step"] == 1.0


def test_a_dict_alone_is_enough_and_steps_are_counted() -> None:
    def plays(algorithm: Any, env_runner_group: Any) -> dict[str, float]:
        env_runner_group.local_env_runner.sample(num_timesteps=50)
        usual = algorithm.env_runner.num_envs
        return {"envs": usual, "weights": len(algorithm.get_weights())}

    with config().update_from_dict({"evaluation_interval": 1, "custom_eval_function": plays}).build_algo() as algo:
        found = algo.train()["evaluation"]
    assert found["envs"] == 4
    assert found["env_runners"]["num_env_steps_sampled"] >= 50


def test_the_runner_is_lent_for_the_call_only() -> None:
    kept: list[Any] = []

    def keeps(algorithm: Any, env_runner_group: Any) -> dict[str, float]:
        kept.append(env_runner_group.local_env_runner)
        return {}

    with with_function(keeps).build_algo() as algo:
        algo.train()
    with pytest.raises(SkirlError, match="the runner of evaluation can be used only while"):
        kept[0].sample(num_timesteps=1)


def test_what_goes_wrong_names_the_function() -> None:
    def fails(algorithm: Any, env_runner_group: Any) -> dict[str, float]:
        raise ValueError("mine")

    def returns_nothing(algorithm: Any, env_runner_group: Any) -> None:
        return None

    with with_function(fails).build_algo() as algo:
        with pytest.raises(CallbackError, match="fails' failed: ValueError: mine") as caught:
            algo.train()
        assert isinstance(caught.value.__cause__, ValueError)
        # The iteration was trained, and the algorithm can go on.
        assert algo.training_iteration == 1
    with with_function(returns_nothing).build_algo() as algo, pytest.raises(CallbackError, match="must return a dict of metrics"):
        algo.train()


def test_two_functions_of_one_name_are_told_apart_by_when_they_are_given() -> None:
    first, second = (with_function(lambda algorithm, runners, value=value: {"value": value}) for value in (1, 2))
    assert name_of(first["custom_evaluation_function"]) == name_of(second["custom_evaluation_function"])
    for made, value in ((first, 1), (second, 2), (first, 1)):
        with made.build_algo() as algo:
            assert algo.train()["evaluation"]["value"] == value


class Paid(gymnasium.Env[Any, Any]):
    """Every step pays what the task says; three steps make an episode."""

    observation_space = gymnasium.spaces.Box(-1, 1, (1,), np.float32)
    action_space = gymnasium.spaces.Discrete(2)

    def __init__(self, config: Any) -> None:
        self.pay = config.get("pay", 1)

    def get_task(self) -> int:
        return int(self.pay)

    def set_task(self, task: int) -> None:
        self.pay = task

    def reset(self, *, seed: Any = None, options: Any = None) -> Any:
        self.t = 0
        return np.zeros(1, np.float32), {}

    def step(self, action: Any) -> Any:
        self.t += 1
        return np.zeros(1, np.float32), float(self.pay), self.t == 3, False, {}


def paid(**evaluation: Any) -> PPOConfig:
    return config().environment(Paid).evaluation(evaluation_duration=4, **evaluation)


def mean_of(algo: Any, **how: Any) -> float:
    return float(algo.evaluate(**how)["env_runners"]["episode_return_mean"])


def test_the_environments_of_evaluation_are_reached_as_those_of_training_are(tmp_path: Any) -> None:
    with paid(evaluation_interval=2, evaluation_config={"env_config": {"pay": 2}}).build_algo() as algo:
        group = algo.eval_env_runner_group
        # Before the first evaluation as well.
        assert group.foreach_env(lambda env: env.unwrapped.pay) == [[2, 2, 2, 2]]
        assert group.foreach_env_runner(lambda runner: runner.num_envs) == [4] == [group.local_env_runner.num_envs]
        contexts = group.foreach_env_with_context(lambda env, context: (context["pay"], context.vector_index))
        assert contexts == [[(2, 0), (2, 1), (2, 2), (2, 3)]]
        assert group.num_remote_env_runners() == 0
        assert mean_of(algo) == 6
        assert algo.evaluation_workers.foreach_worker(lambda worker: worker.foreach_env(lambda env: env.unwrapped.set_task(5))) == [[None] * 4]
        assert mean_of(algo) == 15
        # The environments of training are others.
        assert algo.train()["env_runners"]["episode_return_mean"] == 3
        # Another number of environments: tasks stay.
        assert mean_of(algo, episodes=2) == 15
        algo.env_runner.foreach_env(lambda env: env.unwrapped.set_task(7))
        path = algo.save_to_path(tmp_path / "saved")
    with PPO.from_checkpoint(path) as algo:
        assert algo.eval_env_runner.foreach_env(lambda env: env.unwrapped.get_task()) == [5] * 4
        assert algo.env_runner.foreach_env(lambda env: env.unwrapped.get_task()) == [7] * 4
        weights = algo.eval_env_runner.get_weights()["default_policy"]
        assert all(np.array_equal(array, weights[name]) for name, array in algo.get_weights()["default_policy"].items())


def test_looking_at_the_environments_of_evaluation_changes_no_episode() -> None:
    found = []
    for looks in (False, True):
        with config().evaluation(evaluation_interval=1, evaluation_duration=6, evaluation_config={"explore": True}).build_algo() as algo:
            results = []
            for _ in range(2):
                if looks:
                    assert algo.eval_env_runner.num_envs == 6
                results.append(algo.train()["evaluation"]["env_runners"]["episode_return_mean"])
            found.append(results)
    assert found[0] == found[1]


def test_without_evaluation_there_is_no_group() -> None:
    with paid().build_algo() as algo:
        assert algo.eval_env_runner_group is None and algo.eval_env_runner is None and algo.evaluation_workers is None


def test_an_exception_in_an_environment_of_evaluation_is_raised_as_it_is() -> None:
    with paid(evaluation_interval=1).build_algo() as algo:
        with pytest.raises(KeyError, match="mine"):
            algo.eval_env_runner_group.foreach_env(lambda env: {}["mine"])
        assert mean_of(algo) == 3


def test_an_own_function_has_the_environments_in_hand() -> None:
    said: list[str] = []

    def plays(algorithm: Any, env_runner_group: Any) -> dict[str, float]:
        try:
            algorithm.eval_env_runner_group.foreach_env(lambda env: None)
        except SkirlError as error:
            said.append(str(error))
        return {"envs": len(env_runner_group.foreach_env(lambda env: None)[0])}

    with paid(evaluation_interval=1, custom_evaluation_function=plays).build_algo() as algo:
        assert algo.train()["evaluation"]["envs"] == 4
        assert algo.eval_env_runner.foreach_env(lambda env: env.unwrapped.pay) == [1] * 4
    assert "plays" in said[0] and "Use the environment runner that the function is given" in said[0]
