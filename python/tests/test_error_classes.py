"""What is wrong with the arguments of a call is an exception of skirl's, which says what was expected and what was found."""

import threading
from typing import Any

import numpy as np
import pytest

from skirl import estimators, tune
from skirl._worker import pickled
from skirl.algorithms.ppo import PPOConfig
from skirl.errors import ConfigError, SkirlError

ONES = np.ones(3, np.float32)


def small() -> PPOConfig:
    return (
        PPOConfig()
        .environment("CartPole-v1")
        .env_runners(num_env_runners=0, num_envs_per_env_runner=2)
        .training(train_batch_size=64, minibatch_size=32, num_epochs=1)
        .rl_module(fcnet_hiddens=[4])
        .debugging(seed=1)
    )


def test_weights_that_are_none() -> None:
    with small().build_algo() as algo:
        name, array = next(iter(algo.get_weights()["default_policy"].items()))
        before = algo.get_weights()["default_policy"][name]
        for weights, said in (
            ({"default_policy": {name: np.full_like(array, np.nan)}}, "expected finite numbers, found NaN"),
            ({"default_policy": {name: array.astype(int)}}, "expected a NumPy array of floats, found .* of int64"),
            ({"default_policy": {name: "text"}}, "expected a NumPy array of floats, found str"),
            ({"default_policy": {1: array}}, "expected names of weights .* found 1"),
            ({"x": 1}, "module 'x': expected arrays by name, .* found 1"),
            ({3: {}}, "expected names of modules"),
            (3, "expected weights by module, .* found 3"),
        ):
            with pytest.raises(ConfigError, match=said):
                algo.set_weights(weights)  # type: ignore[arg-type]
        with pytest.raises(ConfigError, match="set_state: expected arrays by name"):
            algo.get_module().set_state(3)  # type: ignore[arg-type]
        assert np.array_equal(algo.get_weights()["default_policy"][name], before)
        with pytest.raises(ConfigError, match=r"compute_actions: expected observations by any key, .* found list"):
            algo.compute_actions([np.zeros(4, np.float32)])  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: estimators.gae(ONES, ONES, ONES, ONES, ONES, gamma=9), "gamma: expected a number from 0 to 1, found 9"),
        (lambda: estimators.gae(ONES, ONES, ONES, ONES, ONES, lambda_=float("nan")), "lambda_: expected a number from 0 to 1"),
        (lambda: estimators.gae("x", ONES, ONES, ONES, ONES), "rewards: expected an array of numbers"),
        (lambda: estimators.gae(ONES, ["a"] * 3, ONES, ONES, ONES), "values: expected an array of numbers"),
        (lambda: estimators.gae([[1], [2, 3]], ONES, ONES, ONES, ONES), "rewards: expected an array of numbers"),
        (lambda: estimators.gae([], [], [], [], []), "rewards: expected the shape"),
        (lambda: estimators.discounted_returns(ONES, ONES, ONES, gamma="1"), "gamma: expected a number from 0 to 1, found '1'"),
        (
            lambda: estimators.vtrace(ONES, ONES, ONES, ONES, ONES, ONES, ONES, clip_rho_threshold=0),
            "clip_rho_threshold: expected a number above 0",
        ),
        (lambda: estimators.gae(ONES, ONES, 0 * ONES, 0 * ONES, ONES, next_row=[7, 8, 9]), "."),
        (lambda: tune.grid_search(3), r"tune.grid_search: expected a list of values, found 3; write \[3\]"),
        (lambda: pickled(_holding_a_lock()), "foreach_env: the function cannot be sent .*lock.*num_env_runners=0"),
    ],
)
def test_calls_that_take_something_else(call: Any, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        call()
    assert issubclass(ConfigError, ValueError) and issubclass(ConfigError, SkirlError)


def _holding_a_lock() -> Any:
    lock = threading.Lock()
    return lambda env: lock
