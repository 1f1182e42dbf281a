"""Names of RLlib that are not served: the error says what to use instead."""

import copy
import re
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from skirl._rllib_names import INSTEAD
from skirl.algorithms.algorithm import Algorithm
from skirl.algorithms.ppo import PPO, PPOConfig
from skirl.core.learner import LearnerGroup
from skirl.env.env_runner import EnvRunner, EvaluationEnvRunner, TrainingEnvRunner
from skirl.env.env_runner_group import EnvRunnerGroup
from skirl.errors import SkirlError

CLASSES: dict[str, Any] = {
    each.__name__: each for each in (Algorithm, LearnerGroup, EnvRunnerGroup, TrainingEnvRunner, EvaluationEnvRunner, EnvRunner)
}


@pytest.fixture(scope="module")
def algo() -> Iterator[Any]:
    config = PPOConfig().environment("CartPole-v1").env_runners(num_env_runners=0).evaluation(evaluation_interval=10)
    with config.training(train_batch_size=64, minibatch_size=64, num_epochs=1).debugging(seed=1).build_algo() as built:
        yield built


def test_every_name_of_the_table_says_what_to_use(algo: Any) -> None:
    objects = {
        "Algorithm": algo,
        "LearnerGroup": algo.learner_group,
        "EnvRunnerGroup": algo.env_runner_group,
        "TrainingEnvRunner": algo.env_runner,
        "EvaluationEnvRunner": algo.eval_env_runner,
        "EnvRunner": EnvRunner(algo.config),
    }
    assert INSTEAD.keys() == CLASSES.keys() == objects.keys()
    for kind, names in INSTEAD.items():
        for name, advice in names.items():
            assert not hasattr(CLASSES[kind], name), f"{kind}.{name} is there: take it out of the table"
            with pytest.raises(AttributeError) as refused:
                getattr(objects[kind], name)
            assert re.fullmatch(rf"\w+ has no '{name}', which is RLlib's: .*", str(refused.value)) and advice in str(refused.value)
            assert not hasattr(objects[kind], name) and getattr(objects[kind], name, 3) == 3


def test_what_the_advice_names_is_there(algo: Any) -> None:
    named = set(re.findall(r"(\w+)\(", " ".join(advice for names in INSTEAD.values() for advice in names.values())))
    elsewhere = {"func", "SingleAgentEnvRunner", "multi_agent", "fault_tolerance", "callbacks", "build_algo", "sample"}
    kinds = [PPO, EnvRunnerGroup, TrainingEnvRunner, LearnerGroup]
    assert {name for name in named - elsewhere if not any(hasattr(kind, name) for kind in kinds)} == set()
    assert all(hasattr(PPOConfig, name) for name in ("multi_agent", "fault_tolerance", "callbacks", "build_algo"))
    result = algo.train()
    assert result["num_env_steps_sampled_lifetime"] == 64 and result["time_total_s"] > 0
    assert algo.config["env"] == "CartPole-v1" and algo.get_state()["learner_group"]["learner"]["optimizer"]


def test_a_typo_gets_a_suggestion(algo: Any) -> None:
    for owner, typo, meant in (
        (algo, "trian", "train"),
        (algo, "save_to_pth", "save_to_path"),
        (algo.env_runner, "foreach_envs", "foreach_env"),
        (algo.env_runner_group, "foreach_env_runer", "foreach_env_runner"),
        (algo.learner_group, "get_weight", "get_weights"),
    ):
        with pytest.raises(AttributeError, match=f"{type(owner).__name__} has no attribute '{typo}'; did you mean '{meant}'"):
            getattr(owner, typo)
    with pytest.raises(AttributeError, match="PPO has no attribute 'quux'$"):
        _ = algo.quux
    # What Python itself looks for is answered as ever.
    assert not hasattr(algo, "_repr_html_") and not hasattr(algo, "__len__")
    assert copy.copy(algo).iteration == algo.iteration


def test_the_error_of_a_property_is_not_hidden() -> None:
    class Mine(PPO):
        @property
        def broken(self) -> Any:
            return [].missing  # type: ignore[attr-defined]

    with Mine(config=PPOConfig().environment("CartPole-v1").env_runners(num_env_runners=0)) as mine:
        with pytest.raises(AttributeError, match="'list' object has no attribute 'missing'"):
            _ = mine.broken


def test_the_learner_group_has_the_weights(algo: Any) -> None:
    group = algo.learner_group
    weights = group.get_weights()
    assert list(weights) == ["default_policy"] == list(group.get_weights(module_ids={"default_policy"}))
    group.set_weights({"default_policy": {name: array * 2 for name, array in weights["default_policy"].items()}})
    assert all(np.array_equal(array, 2 * weights["default_policy"][name]) for name, array in algo.get_weights()["default_policy"].items())
    with pytest.raises(SkirlError, match="p0"):
        group.get_weights(["p0"])
