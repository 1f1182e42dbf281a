"""Attributes that objects of RLlib have and skirl's do not: whoever uses one is told what to use instead."""

from typing import TYPE_CHECKING, Any, Final, NoReturn

_WHOLE_STATE: Final = "get_state() of the algorithm has all of its state, and set_state(state) puts it back"
_ADD: Final = "add_module(module_id, ...) of the algorithm does this"
_REMOVE: Final = "remove_module(module_id, ...) of the algorithm does this"
_EXPORT: Final = (
    "save_to_path(path) writes weights and spaces of each module into path/learner_group/learner/rl_module, and "
    "RLModule.from_checkpoint loads a module alone"
)
_OFFLINE: Final = "nothing here learns from recorded data"
_RESULT: Final = "train() returns all metrics as a dict: result['env_runners']['episode_return_mean']"
_REPLACED: Final = "processes that fail are replaced while training, as config.fault_tolerance(...) says"
_NEWEST: Final = "environments are always stepped with the newest weights and connectors: leave the call out"
_STOP: Final = "stop() of the algorithm closes its environments"
_VISIT: Final = "foreach_env(lambda env: ...) reaches the environments"
_FUTURES: Final = "foreach_env_runner(func) waits and returns what func returned"
_MODULES: Final = "algo.get_module(module_id) gives a copy of a module"

_ENV_RUNNER: Final = {
    "env": _VISIT,
    "envs": _VISIT,
    "async_env": _VISIT,
    "module": _MODULES,
    "get_policy": _MODULES,
    "policy_map": _MODULES,
    "foreach_policy": _MODULES,
    "foreach_module": _MODULES,
    "make_env": "environments are made when the algorithm is built",
    "make_module": "modules are made when the algorithm is built",
    "get_spaces": "algo.get_module(module_id) has observation_space and action_space",
    "metrics": _RESULT,
    "get_metrics": _RESULT,
    "get_state": _WHOLE_STATE,
    "set_state": _WHOLE_STATE,
    "assert_healthy": _REPLACED,
    "stop": _STOP,
}

#: By class, then by RLlib's name: what to use instead.
INSTEAD: Final[dict[str, dict[str, str]]] = {
    "Algorithm": {
        "metrics": f"{_RESULT}; callbacks log their own with metrics_logger",
        "training_step": "what an iteration does follows from the config; code of your own is called between iterations by on_train_result "
        "(config.callbacks), or stands in your loop around train()",
        "train_buffered": "train() does one iteration",
        "log_result": "on_train_result (config.callbacks) sees each result and may change it",
        "timesteps_total": "train() returns result['num_env_steps_sampled_lifetime']",
        "time_total": "train() returns result['time_total_s']",
        "add_policy": _ADD,
        "remove_policy": _REMOVE,
        "export_model": _EXPORT,
        "export_policy_model": _EXPORT,
        "export_policy_checkpoint": _EXPORT,
        "save_checkpoint": "save_to_path(path) does this",
        "load_checkpoint": "restore_from_path(path) does this",
        "logdir": "save_to_path(path) writes where you say, and returns where that is",
        "evaluate_offline": _OFFLINE,
        "offline_data": _OFFLINE,
        "offline_eval_runner_group": _OFFLINE,
        "local_replay_buffer": "all algorithms here learn from what they have just collected",
        "optimizer": "get_state()['learner_group']['learner']['optimizer'] has its moments",
        "restore_env_runners": _REPLACED,
        "restore_workers": _REPLACED,
        "callbacks": "config.callbacks(...) takes them",
        "spaces": "get_module(module_id) has observation_space and action_space",
        "env_creator": "algo.config['env'] says which environment it is; skirl.register_env names one",
        "setup": "config.build_algo() builds a new algorithm",
        "reset_config": "config.build_algo() builds a new algorithm",
        "default_resource_request": "skirl.tune counts threads and processes by itself",
    },
    "LearnerGroup": {
        "update": "train() collects and learns",
        "update_from_batch": "train() collects and learns",
        "update_from_episodes": "train() collects and learns",
        "foreach_learner": "there is one learner for each module, which is the engine's; get_weights and set_weights reach the weights",
        "get_state": _WHOLE_STATE,
        "set_state": _WHOLE_STATE,
        "load_module_state": "restore_from_path(path, component='learner_group/learner/rl_module/<module id>') of the algorithm does this",
        "restore_from_path": "restore_from_path(path, component=...) of the algorithm restores the weights of a module",
        "save_to_path": "save_to_path(path) of the algorithm writes learner_group/learner with all else",
        "add_module": _ADD,
        "remove_module": _REMOVE,
        "shutdown": _STOP,
    },
    "EnvRunnerGroup": {
        "sync_weights": _NEWEST,
        "sync_env_runner_states": _NEWEST,
        "probe_unhealthy_env_runners": f"{_REPLACED}; num_healthy_remote_env_runners() counts those that are up",
        "probe_unhealthy_workers": f"{_REPLACED}; num_healthy_remote_env_runners() counts those that are up",
        "healthy_env_runner_ids": "num_healthy_remote_env_runners() counts those that are up",
        "healthy_worker_ids": "num_healthy_remote_env_runners() counts those that are up",
        "num_remote_workers": "num_remote_env_runners() does this",
        "num_healthy_remote_workers": "num_healthy_remote_env_runners() does this",
        "num_healthy_workers": "num_healthy_env_runners() does this",
        "num_remote_worker_restarts": "num_remote_env_runner_restarts() does this",
        "remote_workers": "foreach_env_runner(func) calls func for each runner",
        "foreach_env_runner_with_id": "foreach_env_runner(func, with_index=True) calls func(worker_index, env_runner)",
        "foreach_worker_with_id": "foreach_env_runner(func, with_index=True) calls func(worker_index, env_runner)",
        "foreach_worker_with_index": "foreach_env_runner(func, with_index=True) calls func(worker_index, env_runner)",
        "foreach_env_runner_async": _FUTURES,
        "foreach_worker_async": _FUTURES,
        "fetch_ready_async_reqs": _FUTURES,
        "foreach_policy": _MODULES,
        "foreach_policy_to_train": _MODULES,
        "add_policy": _ADD,
        "stop": _STOP,
        "reset": "environments of training go on where they were; build a new algorithm for fresh ones",
    },
    "TrainingEnvRunner": {
        **_ENV_RUNNER,
        "sample": "what steps these environments is train(); SingleAgentEnvRunner(config).sample(...) steps others, without learning",
    },
    "EvaluationEnvRunner": {
        **_ENV_RUNNER,
        "sample": "algo.evaluate(episodes=...) plays in these environments; a custom_evaluation_function is given a runner with sample()",
        "set_weights": "evaluation plays with the weights of the algorithm: algo.set_weights(...)",
    },
    "EnvRunner": {"env": _VISIT, "envs": _VISIT, "module": "get_weights() and set_weights(...) reach its weights"},
}


class TellsInstead:
    """An object whose class stands in the table above."""

    # Not for type checkers: they are to find what is not there.
    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            if name.startswith("_"):
                raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
            if hasattr(type(self), name):
                # A property that failed: its own error is the one to see.
                return object.__getattribute__(self, name)
            _refuse(type(self), name)


def _refuse(kind: type, name: str) -> NoReturn:
    from difflib import get_close_matches

    for each in kind.__mro__:
        advice = INSTEAD.get(each.__name__, {}).get(name)
        if advice is not None:
            raise AttributeError(f"{kind.__name__} has no {name!r}, which is RLlib's: {advice}")
    near = get_close_matches(name, [known for known in dir(kind) if not known.startswith("_")], 1)
    meant = f"; did you mean {near[0]!r}?" if near else ""
    raise AttributeError(f"{kind.__name__} has no attribute {name!r}{meant}")
