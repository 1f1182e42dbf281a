"""An algorithm that takes no time, with the interface that skirl.tune uses."""

from __future__ import annotations

import json
import os
import time
from typing import Any


class FakeConfig:
    """Sections `environment`, `training`, `debugging`; search values wait beside them."""

    def __init__(self, **training: Any) -> None:
        self.options: dict[str, dict[str, Any]] = {
            "environment": {"env": "Line-v0"},
            "training": {"lr": 0.1, "gamma": 0.9, "sleep": 0.0, **training},
            "debugging": {"seed": None},
        }

    @property
    def algo_class(self) -> type:
        return PPO

    def copy(self) -> FakeConfig:
        copied = FakeConfig()
        copied.options = {section: dict(options) for section, options in self.options.items()}
        return copied

    def _search_space(self) -> dict[str, Any]:
        from skirl.tune.sample import Domain
        from skirl.tune.variants import is_grid

        return {
            f"{section}.{name}": value
            for section, options in self.options.items()
            for name, value in options.items()
            if isinstance(value, Domain) or is_grid(value)
        }

    def _with(self, path: str, value: Any) -> FakeConfig:
        changed = self.copy()
        section, name = path.split(".")
        changed.options[section][name] = value
        return changed

    def to_dict(self) -> dict[str, Any]:
        return {name: value for options in self.options.values() for name, value in options.items()}

    def build_algo(self) -> PPO:
        return PPO(self)


class PPO:
    """Its return is `lr` times the iteration."""

    def __init__(self, config: Any) -> None:
        if isinstance(config, dict):
            config = FakeConfig(**{key: value for key, value in config.items() if key not in ("env", "seed")})
        self.training = config.options["training"]
        self.seed = config.options["debugging"]["seed"]
        self.iteration = 0

    def train(self) -> dict[str, Any]:
        is_long = self.training.get("sleeps_at") == self.iteration + 1
        time.sleep(self.training["long"] if is_long else self.training["sleep"])
        self.iteration += 1
        if self.training.get("fails_at") == self.iteration:
            raise ValueError(f"planted at {self.iteration}")
        if self.training.get("dies_at") == self.iteration:
            print("about to die", flush=True)
            os.kill(os.getpid(), 9)
        return {
            "training_iteration": self.iteration,
            "time_total_s": 0.5 * self.iteration,
            "num_env_steps_sampled_lifetime": 100 * self.iteration,
            "seed": self.seed,
            "env_runners": {
                "episode_return_mean": self.training["lr"] * self.iteration,
                "num_episodes_lifetime": self.iteration,
            },
        }

    def save_to_path(self, path: str) -> str:
        os.makedirs(path)
        with open(os.path.join(path, "state.json"), "w") as file:
            json.dump({"iteration": self.iteration, "lr": self.training["lr"]}, file)
        return path

    def stop(self) -> None:
        print("stopped in order", flush=True)
