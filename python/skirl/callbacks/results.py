"""Results under RLlib's older names."""

from typing import Any, Final

#: Names of RLlib before 2.0, and where the numbers are now.
OLDER_KEYS: Final = {
    "episode_reward_mean": ("env_runners", "episode_return_mean"),
    "episode_reward_min": ("env_runners", "episode_return_min"),
    "episode_reward_max": ("env_runners", "episode_return_max"),
    "episode_len_mean": ("env_runners", "episode_len_mean"),
    "episodes_this_iter": ("env_runners", "num_episodes"),
    "episodes_total": ("env_runners", "num_episodes_lifetime"),
    "timesteps_total": ("num_env_steps_sampled_lifetime",),
    "custom_metrics": ("env_runners", "custom_metrics"),
}


class OlderKeys(dict[str, Any]):
    """A result that can also be read under RLlib's older names: `result["episode_reward_mean"]`."""

    def __missing__(self, key: str) -> Any:
        value: Any = self
        for name in OLDER_KEYS.get(key, (None,)):
            if not isinstance(value, dict) or name is None or not dict.__contains__(value, name):
                raise KeyError(key)
            value = dict.__getitem__(value, name)
        return value
