"""Environments and their arguments between Python, where they may be anything, and the engine, which knows names and JSON."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from skirl._native import NativeConfig
from skirl.env import _config
from skirl.algorithms._policies import MAPPING_PATH, mapping_of
from skirl.env.registry import resolve
from skirl.errors import ConfigError

if TYPE_CHECKING:
    from skirl.algorithms.algorithm_config import AlgorithmConfig

#: Options that name an environment, each with the arguments of that environment.
ENVS = {
    "environment.env": "environment.env_config",
    "evaluation.evaluation_config.env": "evaluation.evaluation_config.env_config",
}


def encode(path: str, value: Any) -> Any:
    """A value on its way to the engine: arguments of environments become JSON, with placeholders for what is none."""
    if path in ENVS.values():
        return _config.to_json(value) if isinstance(value, Mapping) else value
    if any(path.startswith(f"{config}.") for config in ENVS.values()):
        return _config.to_json({"value": value})["value"]
    if isinstance(value, Mapping) and any(config.startswith(f"{path}.") for config in ENVS.values()):
        return {name: encode(f"{path}.{name}", inner) for name, inner in value.items()}
    return value


def decode(path: str, value: Any) -> Any:
    """The reverse."""
    return _config.from_json(value) if path in ENVS.values() and isinstance(value, dict) else value


def settled(config: "AlgorithmConfig") -> tuple[NativeConfig, list[tuple[str, str]]]:
    """What the engine builds from: every environment by the name that it has there; and what is wrong with them.

    Only now, because a name's meaning may depend on the arguments, which may be given later.
    """
    values, problems = config._values, []
    arguments: dict[str, Any] = {}
    for path, config_path in ENVS.items():
        arguments = arguments | (config[config_path] or {})
        env = config[path]
        if env is None:
            continue
        try:
            values, found = values.with_value(path, resolve(env, arguments))
            problems += found
        except Exception as error:
            problems.append((path, f"{path}: {error}"))
    if not problems and MAPPING_PATH in config._objects:
        values, problems = _mapped(config, values)
    return values, problems


def _mapped(config: "AlgorithmConfig", values: NativeConfig) -> tuple[NativeConfig, list[tuple[str, str]]]:
    """With the map that the user's function makes of the agents."""
    env, env_config = values.get("environment.env"), config["environment.env_config"] or {}
    if env is None:
        return values, []
    try:
        return values.with_value("multi_agent.policy_mapping", mapping_of(config._objects[MAPPING_PATH], env, env_config))
    except ConfigError as error:
        message = f"{MAPPING_PATH}: {error}"
        if error.__cause__ is not None:
            # With the traceback of the user's function.
            raise ConfigError(message) from error.__cause__
        return values, [(MAPPING_PATH, message)]
