"""Modules that come and go in the middle of a run."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Mapping
from typing import TYPE_CHECKING, Any

from skirl.algorithms._environments import settled
from skirl.algorithms._policies import MAPPING, check_spaces, options_of_policy
from skirl.errors import ConfigError, SkirlError

if TYPE_CHECKING:
    from skirl._native import NativeAlgorithm, NativeConfig
    from skirl.algorithms.algorithm_config import AlgorithmConfig


class ModuleChanges:
    """What an algorithm can do with its modules."""

    config: AlgorithmConfig
    _native: NativeAlgorithm

    if TYPE_CHECKING:

        def _begin_anew(self, config: AlgorithmConfig) -> None: ...

    def add_module(
        self,
        module_id: str,
        module_spec: Any = None,
        *,
        config_overrides: Mapping[str, Any] | None = None,
        new_agent_to_module_mapping_fn: Callable[..., str] | None = None,
        new_should_module_be_updated: Collection[str] | None = None,
        add_to_learners: bool = True,
        add_to_env_runners: bool = True,
        add_to_eval_env_runners: bool = True,
    ) -> None:
        """Adds a module to a run with several agents, between two calls of `train` or in `on_train_result`: a frozen copy of a
        policy as new opponent, for example.

        All modules that were there keep their weights, optimizer and observation filter to the last bit; counters, metrics,
        shared state, callbacks and random streams go on. The new one begins with initial weights of its own: copy others with
        `algo.set_weights({"new": algo.get_weights(["old"])["old"]})`. Environments are made anew, while the old ones are still
        there, and the episodes that ran are given up; tasks of `set_task` stay. `algo.config` shows the new policies. Where
        anything fails, the algorithm stays as it was.

        Args:
            module_id: The new id.
            module_spec: As in `multi_agent(policies={module_id: ...})`: a `PolicySpec`, a map of the options in which the module
                differs, or None.
            config_overrides: Options in which the module differs, over those of `module_spec`.
            new_agent_to_module_mapping_fn: From now on in place of `policy_mapping_fn`. Every module must act for some agent, so
                without it the function of the config must give the new id to one.
            new_should_module_be_updated: Ids of the modules that learn from now on. None leaves `policies_to_train` as it is,
                where no list there means all modules. One that stops learning gives up its optimizer's moments.
            add_to_learners: RLlib's; only True is served, as every module is everywhere.
            add_to_env_runners: The same.
            add_to_eval_env_runners: The same.

        Raises:
            ConfigError: An id that is there already; a mapping to a module that is not there; a module without agents, a new one
                or one that the new mapping leaves; options that are wrong.
            EnvError: The environments cannot be made.
            SkirlError: A call from another hook than `on_train_result`.
        """
        _only_true(
            add_to_learners=add_to_learners,
            add_to_env_runners=add_to_env_runners,
            add_to_eval_env_runners=add_to_eval_env_runners,
        )
        policies = _policies(self)
        if not isinstance(module_id, str) or not module_id:
            raise ConfigError(f"add_module: expected an id (a str that is not empty), found {module_id!r}; correct the call")
        if module_id in policies:
            raise ConfigError(f"add_module({module_id!r}): expected a new id, found one of {_listed(policies)}; choose another one")
        spaces, options = options_of_policy(module_spec)
        spec = (None, *spaces, {**options, **(config_overrides or {})})
        new = {"policies": {**policies, module_id: spec}}
        changed = _changed(self, new, new_agent_to_module_mapping_fn, new_should_module_be_updated)
        values = _checked(changed)
        _check_spaces(self, changed, module_id, values)
        _change(self, changed, values)

    def remove_module(
        self,
        module_id: str,
        *,
        new_agent_to_module_mapping_fn: Callable[..., str] | None = None,
        new_should_module_be_updated: Collection[str] | None = None,
        remove_from_learners: bool = True,
        remove_from_env_runners: bool = True,
        remove_from_eval_env_runners: bool = True,
    ) -> None:
        """Removes a module, with its weights and optimizer; as `add_module` in all else.

        Args:
            module_id: The id.
            new_agent_to_module_mapping_fn: From now on in place of `policy_mapping_fn`: needed where agents are mapped to the
                module.
            new_should_module_be_updated: Ids of the modules that learn from now on. None takes the id out of
                `policies_to_train`.
            remove_from_learners: RLlib's; only True is served, as every module is everywhere.
            remove_from_env_runners: The same.
            remove_from_eval_env_runners: The same.

        Raises:
            ConfigError: An id that is not there; the last module; a module that agents are still mapped to.
            EnvError: The environments cannot be made.
            SkirlError: A call from another hook than `on_train_result`.
        """
        _only_true(
            remove_from_learners=remove_from_learners,
            remove_from_env_runners=remove_from_env_runners,
            remove_from_eval_env_runners=remove_from_eval_env_runners,
        )
        policies = _policies(self)
        if module_id not in policies:
            raise ConfigError(f"remove_module({module_id!r}): expected one of {_listed(policies)}; correct the id")
        if len(policies) == 1:
            raise ConfigError(f"remove_module({module_id!r}): expected a module beside it, found none; add the one that follows it first")
        if new_agent_to_module_mapping_fn is None:
            _check_unused(module_id, self._native.mapping())
        rest = {name: options for name, options in policies.items() if name != module_id}
        trained = new_should_module_be_updated
        if trained is None and self.config["policies_to_train"] is not None:
            trained = [name for name in self.config["policies_to_train"] if name != module_id]
        changed = _changed(self, {"policies": rest}, new_agent_to_module_mapping_fn, trained)
        values, problems = settled(changed)
        if not problems and new_agent_to_module_mapping_fn is not None:
            _check_unused(module_id, list(values.get("multi_agent.policy_mapping").items()))
        _change(self, changed, _checked(changed, (values, problems)))


def _only_true(**given: object) -> None:
    """Refuses modules that are in one place and not in another."""
    for name, value in given.items():
        if value is not True:
            raise ConfigError(
                f"{name}={value!r} is RLlib's and not served by skirl: expected True, because every module is where it learns and "
                "where it acts; remove it. A module that shall not learn is left out of new_should_module_be_updated"
            )


def _policies(algorithm: ModuleChanges) -> dict[str, Any]:
    """All policies with the options in which they differ; the one that all agents have where none is named."""
    policies = algorithm.config["policies"]
    named = dict(policies) if isinstance(policies, Mapping) else {name: {} for name in policies or ()}
    return named or {"default_policy": {}}


def _listed(policies: Mapping[str, Any]) -> str:
    return ", ".join(map(repr, policies))


def _changed(algorithm: ModuleChanges, new: dict[str, Any], mapping: Any, trained: Any) -> AlgorithmConfig:
    """The config of the algorithm with other modules."""
    if mapping is not None:
        new[MAPPING] = mapping
    if trained is not None:
        if isinstance(trained, str) or not isinstance(trained, Collection):
            raise ConfigError(
                f"new_should_module_be_updated: expected a collection of module ids, found {trained!r}; a function is RLlib's and "
                "not served by skirl"
            )
        new["policies_to_train"] = trained if isinstance(trained, (set, frozenset)) else list(trained)
    config = algorithm.config.copy(copy_frozen=False)
    spaces = config._objects.policy_spaces
    config.multi_agent(**new)
    config._objects.policy_spaces = {**spaces, **config._objects.policy_spaces}
    return config


def _checked(config: AlgorithmConfig, found: tuple[NativeConfig, list[tuple[str, str]]] | None = None) -> NativeConfig:
    """What the engine goes on with."""
    values, problems = found or settled(config)
    if problems := problems or values.problems():
        raise ConfigError.of(problems)
    return values


def _check_unused(module_id: str, mapping: Collection[tuple[str, str]]) -> None:
    """A module is not taken away from its agents."""
    agents = [agent for agent, module in mapping if module == module_id]
    if agents:
        raise ConfigError(
            f"remove_module({module_id!r}): expected no agent that it acts for, found {', '.join(map(repr, agents))}; give "
            "new_agent_to_module_mapping_fn, a function that maps them to other modules"
        )


def _check_spaces(algorithm: ModuleChanges, config: AlgorithmConfig, module_id: str, values: NativeConfig) -> None:
    """What the spec says of spaces must be what the environment says."""
    declared = config._objects.policy_spaces.get(module_id)
    mapping = values.get("multi_agent.policy_mapping")
    agent = next((agent for agent, _ in algorithm._native.mapping() if mapping.get(agent) == module_id), None)
    if declared and agent is not None:
        now = algorithm._native.policy_for(agent)
        check_spaces({module_id: declared}, {module_id: algorithm._native.module(now).describe()})


def _change(algorithm: ModuleChanges, config: AlgorithmConfig, values: NativeConfig) -> None:
    try:
        algorithm._native.change_modules(values)
    finally:
        # Also where Ctrl-C was noticed when the change was made already.
        with contextlib.suppress(SkirlError):
            if set(algorithm._native.config().get("multi_agent.policies")) == set(config["policies"]):
                algorithm._begin_anew(config)
