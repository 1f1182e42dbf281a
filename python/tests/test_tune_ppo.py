"""Tuning PPO itself: the tour's listing, own environments, checkpoints that go on, documentation that runs."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from skirl import tune
from skirl.algorithms.algorithm import Algorithm
from skirl.algorithms.ppo import PPO, PPOConfig
from skirl.errors import ConfigError, TuneError

RETURN = "env_runners/episode_return_mean"
SMALL = {"train_batch_size": 256, "minibatch_size": 128, "num_epochs": 1}


def small() -> PPOConfig:
    config: PPOConfig = PPOConfig().environment("CartPole-v1").env_runners(num_env_runners=0, num_envs_per_env_runner=4)
    return config.training(**SMALL, model={"fcnet_hiddens": [16]})


def fit(config: Any, where: Path, stop: Any, trainable: Any = PPO, **tune_config: Any) -> tune.ResultGrid:
    run_config = tune.RunConfig(storage_path=where, stop=stop, verbose=0)
    tuner = tune.Tuner(trainable, param_space=config, tune_config=tune.TuneConfig(**tune_config), run_config=run_config)
    return tuner.fit()


TOUR = """
from skirl import tune
from skirl.algorithms.ppo import PPOConfig

config = (
    PPOConfig()
    .environment("Pendulum-v1")
    # Specify a simple tune hyperparameter sweep.
    .training(
        lr=tune.grid_search([0.001, 0.0005, 0.0001]),
    )
)
# The listing's own batches of 4000 steps and 30 epochs are too much for a test.
config.training(train_batch_size_per_learner=1000, num_epochs=1)

# Create a Tuner instance to manage the trials.
tuner = tune.Tuner(
    config.algo_class,
    param_space=config,
    run_config=tune.RunConfig(
        stop=[{"env_runners/episode_return_mean": -1100.0}, {"training_iteration": 2}],
    ),
)
# Run the Tuner and capture the results.
results = tuner.fit()
best_result = results.get_best_result("env_runners/episode_return_mean", "max")
best_checkpoint = best_result.checkpoint

from pathlib import Path
import numpy as np
from skirl.core.rl_module import RLModule

rl_module = RLModule.from_checkpoint(
    Path(best_checkpoint.path)
    / "learner_group"
    / "learner"
    / "rl_module"
    / "default_policy"
)
outputs = rl_module.forward_inference({"obs": np.zeros((1, 3), np.float32)})
print("shape", np.asarray(outputs["action_dist_inputs"]).shape, len(results), results.num_errors)
"""


def run_script(text: str, where: Path, timeout: float = 60.0) -> str:
    file = where / "script.py"
    file.write_text(text)
    import os

    environment = {**os.environ, "SKIRL_RESULTS": str(where / "results")}
    done = subprocess.run([sys.executable, str(file)], capture_output=True, text=True, timeout=timeout, env=environment)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_tours_listing(tmp_path: Path) -> None:
    output = run_script(TOUR, tmp_path)
    assert output.splitlines()[-1] == "shape (1, 2) 3 0"
    assert "Trial status: 3 TERMINATED" in output
    assert re.search(r"_00002 +TERMINATED +0\.0001 ", output)
    assert re.search(r"^PPO_Pendulum-v1_[0-9a-f]{5}_00000 RUNNING lr=0\.001$", output, re.M)
    assert max(map(len, output.splitlines()[:-2])) <= 80
    assert len(list((tmp_path / "results").glob("PPO_*/PPO_Pendulum-v1_*/progress.csv"))) == 3


def test_best_result_and_checkpoint_go_on(tmp_path: Path) -> None:
    config = small().training(lr=tune.grid_search([0.001, 0.01]))
    results = fit(config, tmp_path, {"training_iteration": 2})
    assert results.num_errors == 0, results.errors
    best = results.get_best_result(RETURN, "max")
    other = results.get_best_result(RETURN, "min")
    assert {best.config["lr"], other.config["lr"]} == {0.001, 0.01}
    assert best.checkpoint is not None
    with_one_more = Algorithm.from_checkpoint(best.checkpoint.path)
    assert with_one_more.config["lr"] == best.config["lr"]
    assert with_one_more.train()["training_iteration"] == 3
    with_one_more.stop()


def test_a_trial_is_what_its_config_gives_alone(tmp_path: Path) -> None:
    config = small().training(lr=tune.loguniform(1e-4, 1e-2), gamma=tune.sample_from(lambda c: 1 - c["lr"])).debugging(seed=7)
    (result,) = fit(config, tmp_path, {"training_iteration": 2}, seed=1)
    assert result.config["gamma"] == 1 - result.config["lr"]
    alone = small().training(lr=result.config["lr"], gamma=result.config["gamma"]).debugging(seed=7).build_algo()
    expected = [alone.train() for _ in range(2)][-1]
    alone.stop()
    assert result.metrics["env_runners"]["episode_return_mean"] == expected["env_runners"]["episode_return_mean"]
    assert result.metrics["learners"]["default_policy"]["total_loss"] == expected["learners"]["default_policy"]["total_loss"]


def test_seeds_of_an_experiment_are_the_trials_own(tmp_path: Path) -> None:
    def rows() -> list[tuple[int, float]]:
        results = fit(small(), tmp_path, {"training_iteration": 1}, num_samples=2, seed=3)
        return [(r.config["seed"], r.metrics["learners"]["default_policy"]["total_loss"]) for r in results]

    first = rows()
    assert first == rows()
    assert first[0] != first[1]


OWN_ENVIRONMENT = """
import gymnasium as gym
import numpy as np
from skirl import tune
from skirl.algorithms.ppo import PPO

class Guess(gym.Env):
    observation_space = gym.spaces.Box(0.0, 1.0, (2,), np.float32)
    action_space = gym.spaces.Discrete(2)

    def __init__(self, config):
        self.bonus = config["bonus"]

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.t = 0
        return np.zeros(2, np.float32), {}

    def step(self, action):
        self.t += 1
        return np.zeros(2, np.float32), float(action) + self.bonus, self.t == 8, False, {}

tune.register_env("guess", lambda context: Guess(context))
small = {"num_env_runners": 0, "train_batch_size": 64, "minibatch_size": 64, "num_epochs": 1}

analysis = tune.run(
    "PPO",
    config={"env": "guess", "env_config": {"bonus": tune.grid_search([0.0, 100.0])}, **small},
    stop={"training_iteration": 1}, verbose=0,
)
returns = [trial.last_result["env_runners"]["episode_return_mean"] for trial in analysis.trials]
print(returns[0] <= 8, returns[1] >= 800)

def train(config, reporter):
    trainer = PPO(config=config, env=Guess)
    while True:
        result = trainer.train()
        reporter(**result)

analysis = tune.run(
    train, config={"env_config": {"bonus": 0.0}, **small},
    stop={"training_iteration": 2}, verbose=0, metric="episode_reward_mean", mode="max",
    resources_per_trial={"cpu": 1, "gpu": lambda spec: 0, "extra_cpu": lambda spec: spec.config.num_env_runners},
)
print(analysis.trials[0].last_result["training_iteration"], analysis.trials[0].name.partition("_")[0])
"""


def test_environments_of_the_script(tmp_path: Path) -> None:
    assert run_script(OWN_ENVIRONMENT, tmp_path).splitlines() == ["True True", "2 train"]


def test_environments_that_fail_show_their_traceback(tmp_path: Path) -> None:
    def broken(_context: Any) -> Any:
        raise RuntimeError("planted")

    tune.register_env("broken", broken)
    results = fit(small().environment("broken"), tmp_path, {"training_iteration": 1})
    assert isinstance(results.errors[0], TuneError)
    assert "planted" in str(results.errors[0])


def test_wrong_values_are_found_before_anything_starts(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="lr"):
        fit(small().training(lr=tune.grid_search([0.1, "fast"])), tmp_path, None)
    with pytest.raises(ConfigError, match="minibatch_size"):
        fit(small().training(minibatch_size=tune.grid_search([1000, 2000])), tmp_path, None)
    with pytest.raises(ConfigError, match="did you mean 'PPO'"):
        tune.Tuner("PPo", param_space=small())
    assert not list(tmp_path.iterdir())


def test_the_pages_listings_run(tmp_path: Path) -> None:
    page = (Path(__file__).parents[2] / "docs" / "tune.md").read_text(encoding="utf-8")
    listings = re.findall(r"```python\n(.*?)```", page, re.S)
    assert len(listings) == 2
    # The same listings with less to do.
    text = "\n".join(listings).replace(
        ".training(lr=", ".training(train_batch_size=200, minibatch_size=100, num_epochs=1, lr="
    )
    output = run_script(text.replace("-1100.0", "-1800.0"), tmp_path)
    assert "checkpoint_000000" in output
    assert np.isclose(len(list((tmp_path / "results").glob("train_*/*/checkpoint_000001"))), 2)
