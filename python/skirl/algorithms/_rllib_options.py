"""What RLlib's configs may say although skirl has no such option: values that ask for what skirl does anyway.

Every other value is an error that says so; the engine knows RLlib's names (`crates/skirl/src/config/names.rs`).
"""

from enum import Enum
from typing import Any, Final

#: Any value will do: the option tells Ray's scheduler what to reserve, and the result does not depend on it.
ANY: Final = object()

#: Option -> values for which skirl does the same as RLlib.
SAME_ANYWAY: Final[dict[str, tuple[Any, ...] | object]] = {
    # Reservations.
    "num_cpus_for_main_process": ANY,
    "num_cpus_for_local_worker": ANY,
    "num_cpus_per_env_runner": ANY,
    "num_cpus_per_worker": ANY,
    "num_cpus_per_learner": ANY,
    "num_cpus_per_learner_worker": ANY,
    "placement_strategy": ANY,
    "local_gpu_idx": ANY,
    "custom_resources_for_main_process": ({},),
    "custom_resources_per_env_runner": ({},),
    "custom_resources_per_worker": ({},),
    "custom_resources_per_learner": ({},),
    # A runner is asked for one rollout at a time, and learning is not spread over processes.
    "max_requests_in_flight_per_env_runner": (1,),
    "max_requests_in_flight_per_sampler_worker": (1,),
    "num_aggregator_actors_per_learner": (0,),
    # Where RLlib keeps an environment for itself.
    "create_local_env_runner": ANY,
    "create_env_on_local_worker": ANY,
    "validate_env_runners_after_construction": ANY,
    # No GPU, no simulated one.
    "num_gpus": (0,),
    "num_gpus_per_env_runner": (0,),
    "num_gpus_per_worker": (0,),
    "num_gpus_per_learner": (0,),
    "num_gpus_per_learner_worker": (0,),
    "_fake_gpus": (False,),
    # One stack, with torch's meaning of every option.
    "framework": ("torch",),
    "torch_compile_learner": (False,),
    "torch_compile_worker": (False,),
    # Of TensorFlow, which `framework` does not choose.
    "eager_tracing": ANY,
    "eager_max_retraces": ANY,
    "enable_tf1_exec_eagerly": (False,),
    # A gradient that is not finite is an error, never left out.
    "torch_skip_nan_gradients": (False,),
    "enable_rl_module_and_learner": (True,),
    "enable_env_runner_and_connector_v2": (True,),
    "_enable_rl_module_api": (True,),
    "enable_connectors": (True,),
    "env_runner_cls": (None,),
    "learner_class": (None,),
    "learner_config_dict": ({},),
    "env_to_module_connector": (None,),
    "module_to_env_connector": (None,),
    "learner_connector": (None,),
    "add_default_connectors_to_env_to_module_pipeline": (True,),
    "add_default_connectors_to_module_to_env_pipeline": (True,),
    "add_default_connectors_to_learner_pipeline": (True,),
    # Networks see the newest observation alone.
    "episode_lookback_horizon": (1,),
    # Environments of a process step one after the other; what they return is always compared with their spaces.
    "gym_env_vectorize_mode": ("sync",),
    "disable_env_checking": (False,),
    # As in RLlib, a mask in an observation is for modules that look for it: none does by itself.
    "action_mask_key": ("action_mask",),
    # Spaces are the environment's.
    "observation_space": (None,),
    "action_space": (None,),
    "render_env": (False,),
    "is_atari": (None, False),
    # The distribution's own draw is the only exploration.
    "exploration_config": ({}, {"type": "StochasticSampling"}),
    "remote_worker_envs": (False,),
    "compress_observations": ANY,
    # There is one observation filter in a run.
    "use_worker_filter_stats": (True,),
    "update_worker_filter_stats": (True,),
    # A process that has died is noticed at once, whoever asks.
    "env_runner_health_probe_timeout_s": ANY,
    "worker_health_probe_timeout_s": ANY,
    "ignore_env_runner_failures": (False,),
    "ignore_worker_failures": (False,),
    # Modules: all are in memory.
    "policy_map_capacity": ANY,
    "policy_states_are_swappable": ANY,
    "observation_fn": (None,),
    "algorithm_config_overrides_per_module": ({},),
    "rl_module_spec": (None,),
    # Of algorithms without minibatches.
    "minibatch_size": (None,),
    # Networks.
    "use_lstm": (False,),
    "use_attention": (False,),
    "conv_filters": (None,),
    "custom_model": (None,),
    "custom_action_dist": (None,),
    "head_fcnet_hiddens": ([], ()),
    "post_fcnet_hiddens": ([], ()),
    "no_final_linear": (False,),
    # Evaluation.
    "evaluation_force_reset_envs_before_iteration": (True,),
    "always_attach_evaluation_results": (True,),
    "off_policy_estimation_methods": ({}, None),
    "evaluation_sample_timeout_s": ANY,
    "offline_evaluation_interval": (None,),
    "num_offline_eval_runners": (0,),
    # Reporting and debugging.
    "log_sys_usage": ANY,
    "fake_sampler": (False,),
    "keep_per_episode_custom_metrics": (False,),
    "min_train_timesteps_per_iteration": (0,),
    "export_native_model_files": (False,),
    "checkpoint_trainable_policies_only": (False,),
    "output": (None,),
    "input": ("sampler",),
    "input_": ("sampler",),
    "offline_sampling": (False,),
    # Experimental: what RLlib does when nobody asks for anything else.
    "_validate_config": (True,),
    "_use_msgpack_checkpoints": (False,),
    "_torch_grad_scaler_class": (None,),
    "_torch_lr_scheduler_classes": (None,),
    "_tf_policy_handles_more_than_one_loss": (False,),
    "_disable_preprocessor_api": (False,),
    "_disable_action_flattening": (False,),
    # No loss is ever tried on made-up data.
    "_disable_initialize_loss_from_dummy_batch": ANY,
}

#: RLlib's sections that may be called although nothing in them is served; their options are looked up above.
OTHER_SECTIONS: Final = (
    "api_stack",
    "experimental",
    "exploration",
    "framework",
    "offline_data",
    "python_environment",
)


def unserved_form(name: str, value: object) -> str | None:
    """Why a form that RLlib has for a value is refused, and what to write instead; `None` for all other values."""
    if name == "evaluation_duration" and isinstance(value, str) and value.lower() == "auto":
        return (
            'expected a whole number of episodes (of steps with evaluation_duration_unit="timesteps"), found "auto", with which RLlib '
            "evaluates for as long as the iteration trains: skirl does not serve that yet\n"
            "  help: write a number; with evaluation_parallel_to_training=True so much is played beside training"
        )
    if name == "policies_to_train" and callable(value):
        return (
            f"expected a list of policies, or None for all of them, found {_named(value)}: RLlib also takes a function of (policy_id, "
            "batch), which skirl does not serve yet\n"
            '  help: name the policies that learn: policies_to_train=["learner"]'
        )
    if name == "agent_to_module_mapping_fn":
        return (
            f"expected policy_mapping_fn, found RLlib's other name of it with {_named(value)}: skirl does not serve this name yet\n"
            "  help: write policy_mapping_fn=...; the function is asked once for each agent when the algorithm is built"
        )
    if name == "evaluation_config" and value is None:
        return (
            "expected a map of options, found None, with which RLlib evaluates as it trains: skirl's evaluation takes the most likely "
            "actions unless it is told to draw them\n"
            '  help: leave it out, or write evaluation_config={"explore": True}'
        )
    if name == "minibatch_size" and value is None:
        return (
            "expected a whole number of rows, found None, with which RLlib does not split the train batch: skirl does not serve that\n"
            "  help: write the size of the train batch"
        )
    if name in ("observation_space", "action_space") and value is not None:
        return (
            f"expected None, found {value!r}: spaces are the environment's, and skirl does not serve others yet\n"
            "  help: leave it out; where the environment's space shall be another one, wrap the environment"
        )
    return None


def _named(value: object) -> str:
    return f"the function {value.__name__}" if hasattr(value, "__name__") else repr(value)


def is_same_anyway(name: str, value: object) -> bool:
    """Whether skirl does what this option of RLlib asks for without having it."""
    accepted = SAME_ANYWAY.get(name, ())
    if accepted is ANY:
        return True
    if isinstance(value, Enum):
        # Gymnasium's `VectorizeMode.SYNC` for "sync".
        value = value.value
    assert isinstance(accepted, tuple)
    return any(type(value) is type(each) and value == each or value is each for each in accepted) or (
        # 0 and 0.0, as in `num_gpus`.
        isinstance(value, (int, float)) and not isinstance(value, bool) and 0 in accepted and value == 0
    )
