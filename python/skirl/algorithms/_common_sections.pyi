# Written by python/tools/generate_stubs.py from the engine's option definitions.
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Literal

from typing_extensions import Self

from skirl.algorithms._search import SearchSpace

DOCUMENTED_BY: Final[str]
NOT_HERE: Final[tuple[str, ...]]

class CommonSections:
    def api_stack(self, **options: Any) -> Self: ...
    def checkpointing(
        self,
        *,
        checkpoint_frequency: int | SearchSpace = ...,
        checkpoint_at_end: bool | SearchSpace = ...,
        num_to_keep: int | None | SearchSpace = ...,
        checkpoint_score_attribute: str | None | SearchSpace = ...,
        checkpoint_score_order: Literal["max", "min"] | SearchSpace = ...,
        output_dir: str | None | SearchSpace = ...,
    ) -> Self: ...
    def debugging(
        self,
        *,
        seed: int | None | SearchSpace = ...,
        log_level: Literal["DEBUG", "INFO", "WARN", "ERROR"] | SearchSpace = ...,
    ) -> Self: ...
    def env_runners(
        self,
        *,
        num_env_runners: int | SearchSpace = ...,
        num_envs_per_env_runner: int | SearchSpace = ...,
        rollout_fragment_length: int | Literal["auto"] | SearchSpace = ...,
        sample_timeout_s: float | SearchSpace = ...,
        batch_mode: Literal["truncate_episodes", "complete_episodes"] | SearchSpace = ...,
        explore: bool | SearchSpace = ...,
        observation_filter: Literal["NoFilter", "MeanStdFilter"] | SearchSpace = ...,
        observation_filter_clip: float | SearchSpace = ...,
    ) -> Self: ...
    def environment(
        self,
        env: str | type | Callable[..., Any] | None | SearchSpace = ...,
        *,
        env_config: Mapping[str, Any] | SearchSpace = ...,
        clip_rewards: bool | float | None | SearchSpace = ...,
        reward_scale: float | SearchSpace = ...,
        normalize_actions: bool | SearchSpace = ...,
        clip_actions: bool | SearchSpace = ...,
    ) -> Self: ...
    def evaluation(
        self,
        *,
        evaluation_interval: int | None | SearchSpace = ...,
        evaluation_duration: int | SearchSpace = ...,
        evaluation_duration_unit: Literal["episodes", "timesteps"] | SearchSpace = ...,
        evaluation_num_envs: int | None | SearchSpace = ...,
        evaluation_num_env_runners: int | SearchSpace = ...,
        evaluation_parallel_to_training: bool | SearchSpace = ...,
        custom_evaluation_function: str | Callable[..., Any] | None | SearchSpace = ...,
        evaluation_at_end: bool | SearchSpace = ...,
        evaluation_config: Mapping[str, Any] = ...,
    ) -> Self: ...
    def experimental(self, **options: Any) -> Self: ...
    def exploration(self, **options: Any) -> Self: ...
    def fault_tolerance(
        self,
        *,
        restart_failed_env_runners: bool | SearchSpace = ...,
        max_num_env_runner_restarts: int | SearchSpace = ...,
        delay_between_env_runner_restarts_s: float | SearchSpace = ...,
        restart_failed_sub_environments: bool | SearchSpace = ...,
        num_consecutive_env_runner_failures_tolerance: int | SearchSpace = ...,
        env_runner_restore_timeout_s: float | SearchSpace = ...,
    ) -> Self: ...
    def framework(self, framework: Any = ..., **options: Any) -> Self: ...
    def learners(
        self,
        *,
        num_learners: int | SearchSpace = ...,
    ) -> Self: ...
    def multi_agent(
        self,
        *,
        policies: Sequence[str] | Mapping[str, Mapping[str, Any]] | SearchSpace = ...,
        policy_mapping: Mapping[str, str] | SearchSpace = ...,
        policies_to_train: Sequence[str] | None | SearchSpace = ...,
        count_steps_by: Literal["env_steps", "agent_steps"] | SearchSpace = ...,
        policy_mapping_fn: Callable[..., str] | None = ...,
    ) -> Self: ...
    def offline_data(self, **options: Any) -> Self: ...
    def python_environment(self, **options: Any) -> Self: ...
    def reporting(
        self,
        *,
        metrics_num_episodes_for_smoothing: int | SearchSpace = ...,
        min_time_s_per_iteration: float | None | SearchSpace = ...,
        min_sample_timesteps_per_iteration: int | SearchSpace = ...,
        log_gradients: bool | SearchSpace = ...,
    ) -> Self: ...
    def resources(
        self,
        *,
        num_threads: int | None | SearchSpace = ...,
    ) -> Self: ...
    def rl_module(
        self,
        *,
        fcnet_hiddens: Sequence[int] | SearchSpace = ...,
        fcnet_activation: Literal["tanh", "relu", "silu", "gelu", "elu", "linear"] | SearchSpace = ...,
        fcnet_use_layernorm: bool | SearchSpace = ...,
        vf_hiddens: Sequence[int] | None | SearchSpace = ...,
        vf_share_layers: bool | SearchSpace = ...,
        free_log_std: bool | SearchSpace = ...,
        log_std_init: float | SearchSpace = ...,
        log_std_clip_param: float | SearchSpace = ...,
        fcnet_kernel_initializer: Literal["torch_default", "orthogonal", "xavier_uniform", "xavier_normal", "kaiming_uniform", "kaiming_normal", "normc"] | SearchSpace = ...,
        fcnet_kernel_gain: float | SearchSpace = ...,
        policy_head_gain: float | SearchSpace = ...,
        vf_head_gain: float | SearchSpace = ...,
        model_config: Mapping[str, Any] = ...,
    ) -> Self: ...
