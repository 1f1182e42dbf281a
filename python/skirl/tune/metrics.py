"""Metrics of nested results by their path, and the names they had elsewhere."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any

# Names of RLlib's old results, and where the value is now.
_RENAMED = {
    "episode_reward_mean": "env_runners/episode_return_mean",
    "episode_reward_min": "env_runners/episode_return_min",
    "episode_reward_max": "env_runners/episode_return_max",
    "episode_return_mean": "env_runners/episode_return_mean",
    "episode_len_mean": "env_runners/episode_len_mean",
    "episodes_total": "env_runners/num_episodes_lifetime",
    "env_runners/episode_reward_mean": "env_runners/episode_return_mean",
    "sampler_results/episode_reward_mean": "env_runners/episode_return_mean",
    "evaluation/episode_reward_mean": "evaluation/env_runners/episode_return_mean",
    "evaluation/episode_return_mean": "evaluation/env_runners/episode_return_mean",
    "timesteps_total": "num_env_steps_sampled_lifetime",
    "num_env_steps_sampled": "num_env_steps_sampled_lifetime",
}


def flatten(result: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested maps as one: `{"a": {"b": 1}}` becomes `{"a/b": 1}`."""
    flat: dict[str, Any] = {}
    for key, value in result.items():
        path = f"{prefix}{key}"
        if isinstance(value, Mapping):
            flat.update(flatten(value, f"{path}/"))
        else:
            flat[path] = value
    return flat


def current_name(path: str) -> str:
    """The path under which a metric with an old name is found."""
    return _RENAMED.get(path, path)


def lookup(result: Mapping[str, Any], path: str) -> Any:
    """The value at a path such as `env_runners/episode_return_mean`, or None. Old names find the new place."""
    found = _at(result, path)
    return _at(result, current_name(path)) if found is None else found


def _at(result: Mapping[str, Any], path: str) -> Any:
    if path in result:
        return result[path]
    node: Any = result
    for key in path.split("/"):
        if not isinstance(node, Mapping) or key not in node:
            return None
        node = node[key]
    return node


def is_number(value: Any) -> bool:
    """Whether a metric can be compared and ranked."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def near_names(result: Mapping[str, Any], path: str) -> str:
    """Paths of numbers in `result` that are most like `path`, as text for an error."""
    names = [name for name, value in flatten(result).items() if is_number(value)]
    by_end = {name.rpartition("/")[2]: name for name in reversed(names)}
    near = difflib.get_close_matches(path, names, 3, 0.6)
    near += [by_end[end] for end in difflib.get_close_matches(path.rpartition("/")[2], by_end, 3, 0.6)]
    near = list(dict.fromkeys(near))[:3]
    if near:
        return "near it: " + ", ".join(f"`{name}`" for name in near)
    return "the results have: " + ", ".join(f"`{name}`" for name in names[:12]) + (", …" if len(names) > 12 else "")
