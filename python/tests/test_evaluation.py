"""Evaluation functions of one's own."""

from typing import Any

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
