"""Writes docs/migrating/rllib.md and sb3.md: every option of those libraries, and what skirl says to it.

What stands in the tables is the engine's own answer, so they cannot drift from what it does:

    python python/tools/generate_migration.py          writes the pages
    python python/tools/generate_migration.py --check  fails if they are not up to date
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from skirl import _native
from skirl.algorithms._rllib_options import ANY, SAME_ANYWAY
from skirl.algorithms.ppo import PPOConfig
from skirl.errors import ConfigError

PAGES = Path(__file__).resolve().parents[2] / "docs" / "migrating"

# Options of RLlib 2.60's PPOConfig by section, with their defaults; `...` where the default is an object of RLlib's.
RLLIB: dict[str, dict[str, Any]] = {
    "environment": dict(
        env=None, env_config={}, observation_space=None, action_space=None, render_env=False, clip_rewards=None,
        normalize_actions=True, clip_actions=False, disable_env_checking=False, action_mask_key="action_mask",
    ),
    "env_runners": dict(
        env_runner_cls=None, num_env_runners=2, create_local_env_runner=True, create_env_on_local_worker=False,
        num_envs_per_env_runner=1, gym_env_vectorize_mode="sync", num_cpus_per_env_runner=1,
        num_gpus_per_env_runner=0, custom_resources_per_env_runner={}, validate_env_runners_after_construction=True,
        sample_timeout_s=60.0, max_requests_in_flight_per_env_runner=1, rollout_fragment_length="auto",
        batch_mode="truncate_episodes", explore=True, episode_lookback_horizon=1, compress_observations=False,
        observation_filter="NoFilter", update_worker_filter_stats=True, use_worker_filter_stats=True,
        env_to_module_connector=None, module_to_env_connector=None,
    ),
    "training": dict(
        gamma=0.99, lr=5e-5, grad_clip=None, grad_clip_by="global_norm", train_batch_size=4000,
        train_batch_size_per_learner=None, num_epochs=30, minibatch_size=128, shuffle_batch_per_epoch=True,
        optimizer={}, learner_config_dict={}, use_critic=True, use_gae=True, lambda_=1.0, use_kl_loss=True,
        kl_coeff=0.2, kl_target=0.01, vf_loss_coeff=1.0, entropy_coeff=0.0, clip_param=0.3, vf_clip_param=10.0,
    ),
    "rl_module": dict(
        model_config=..., rl_module_spec=None, algorithm_config_overrides_per_module={}, fcnet_hiddens=[256, 256],
        fcnet_activation="tanh", vf_share_layers=True, free_log_std=False, log_std_clip_param=20.0,
        conv_filters=None, use_lstm=False, head_fcnet_hiddens=[],
    ),
    "learners": dict(
        num_learners=0, num_cpus_per_learner="auto", num_gpus_per_learner=0, local_gpu_idx=0,
        num_aggregator_actors_per_learner=0, max_requests_in_flight_per_learner=3, learner_class=None,
        learner_connector=None,
    ),
    "evaluation": dict(
        evaluation_interval=None, evaluation_duration=10, evaluation_duration_unit="episodes",
        evaluation_sample_timeout_s=120.0, evaluation_parallel_to_training=False,
        evaluation_force_reset_envs_before_iteration=True, evaluation_config=None, evaluation_num_env_runners=0,
        custom_evaluation_function=None, off_policy_estimation_methods={}, offline_evaluation_interval=None,
        num_offline_eval_runners=0, offline_evaluation_type="eval_loss", offline_eval_runner_class=None,
        offline_loss_for_module_fn=None, offline_eval_batch_size_per_runner=256,
        dataset_num_iters_per_offline_eval_runner=1,
    ),
    "multi_agent": dict(
        policies=None, policy_mapping_fn=..., policies_to_train=None, policy_map_capacity=100, observation_fn=None,
        count_steps_by="env_steps",
    ),
    "reporting": dict(
        keep_per_episode_custom_metrics=False, metrics_episode_collection_timeout_s=60.0,
        metrics_num_episodes_for_smoothing=100, min_time_s_per_iteration=None, min_train_timesteps_per_iteration=0,
        min_sample_timesteps_per_iteration=0, log_gradients=False,
    ),
    "checkpointing": dict(export_native_model_files=False, checkpoint_trainable_policies_only=False),
    "debugging": dict(log_level="WARN", log_sys_usage=True, seed=None),
    "fault_tolerance": dict(
        restart_failed_env_runners=True, ignore_env_runner_failures=False, max_num_env_runner_restarts=1000,
        delay_between_env_runner_restarts_s=60.0, restart_failed_sub_environments=False,
        num_consecutive_env_runner_failures_tolerance=100, env_runner_health_probe_timeout_s=30.0,
        env_runner_restore_timeout_s=1800.0,
    ),
    "resources": dict(num_cpus_for_main_process=1, num_gpus=0, placement_strategy="PACK"),
    "framework": dict(framework="torch", eager_tracing=True, torch_skip_nan_gradients=False, torch_compile_learner=False),
    "api_stack": dict(enable_rl_module_and_learner=True, enable_env_runner_and_connector_v2=True),
    "offline_data": dict(
        input_="sampler", offline_data_class=None, input_read_method="read_parquet", input_read_method_kwargs={},
        input_read_schema={}, input_read_episodes=False, input_read_sample_batches=False, input_read_batch_size=None,
        input_filesystem=None, input_filesystem_kwargs={}, input_compress_columns=["obs", "new_obs"], input_config={},
        materialize_data=False, materialize_mapped_data=True, map_batches_kwargs={}, iter_batches_kwargs={},
        ignore_final_observation=False, prelearner_class=None, prelearner_buffer_class=None, prelearner_buffer_kwargs={},
        prelearner_module_synch_period=10, dataset_num_iters_per_learner=None, actions_in_input_normalized=False,
        postprocess_inputs=False, shuffle_buffer_size=0, output=None, output_config={},
        output_compress_columns=["obs", "new_obs"], output_max_file_size=67108864, output_max_rows_per_file=None,
        output_write_remaining_data=False, output_write_method="write_parquet", output_write_method_kwargs={},
        output_filesystem=None, output_filesystem_kwargs={}, output_write_episodes=True, offline_sampling=False,
    ),
    "experimental": dict(
        _validate_config=True, _use_msgpack_checkpoints=False, _torch_grad_scaler_class=None,
        _torch_lr_scheduler_classes=None, _tf_policy_handles_more_than_one_loss=False, _disable_preprocessor_api=False,
        _disable_action_flattening=False, _disable_initialize_loss_from_dummy_batch=False,
    ),
}

# Arguments of Stable-Baselines3 2.9's PPO, with their defaults.
SB3: dict[str, Any] = dict(
    policy="MlpPolicy", learning_rate=3e-4, n_steps=2048, batch_size=64, n_epochs=10, gamma=0.99,
    gae_lambda=0.95, clip_range=0.2, clip_range_vf=None, normalize_advantage=True, ent_coef=0.0, vf_coef=0.5,
    max_grad_norm=0.5, use_sde=False, sde_sample_freq=-1, rollout_buffer_class=None, target_kl=None,
    stats_window_size=100, tensorboard_log=None, policy_kwargs=None, verbose=0, seed=None, device="auto",
    n_envs=1, total_timesteps=None, net_arch=[64, 64], activation_fn="Tanh", ortho_init=True, log_std_init=0.0,
    norm_obs=False, norm_reward=False, clip_obs=10.0, eval_freq=10000, n_eval_episodes=5, deterministic=True,
)

RLLIB_HEAD = """# From RLlib

Change the imports, and most scripts run:

| RLlib | skirl |
|---|---|
| `from ray.rllib.algorithms.ppo import PPOConfig` | `from skirl.algorithms.ppo import PPOConfig` |
| `from ray.rllib.core.rl_module import RLModule` | `from skirl.core.rl_module import RLModule` |
| `from ray.rllib.callbacks.callbacks import RLlibCallback` | `from skirl.callbacks.callbacks import RLlibCallback` |
| `from ray.rllib.core.columns import Columns` | `from skirl.core.columns import Columns` |
| `from ray.rllib.core import DEFAULT_MODULE_ID, COMPONENT_LEARNER, …` | `from skirl.core import DEFAULT_MODULE_ID, COMPONENT_LEARNER, …` |
| `from ray.rllib.utils.metrics import ENV_RUNNER_RESULTS, …` | `from skirl.utils.metrics import ENV_RUNNER_RESULTS, …` |
| `from ray import tune` | `from skirl import tune` |
| `from ray.tune.registry import register_env` | `from skirl.tune.registry import register_env` |
| `from ray.tune.logger import pretty_print` | `from skirl.tune.logger import pretty_print` |
| `from ray.train import RunConfig, CheckpointConfig` | `from skirl.train import RunConfig, CheckpointConfig` ([tuning](../tune.md)) |
| `ray.init()`, `ray.shutdown()` | remove them: there is no cluster to start |
| `rllib train --run=PPO --env=CartPole-v1` | `skirl train --run=PPO --env=CartPole-v1` |

What differs on purpose: an option that is unknown, misspelt or not served is an error that says so, never ignored; checkpoints hold data only (safetensors and JSON) and
cannot run code; the same seed gives the same bytes. Result keys are RLlib's (`env_runners/episode_return_mean`, …): [all of them](../results.md). The oldest names (`result["episode_reward_mean"]`) are read as well. `episode_duration_sec_mean` is not measured.

Attributes of RLlib's objects that skirl's do not have (`algo.metrics`, `algo.training_step`, `algo.env_runner.sample`, `env_runner_group.sync_weights`, …) are an `AttributeError` that says what to use instead.

An environment's class gets the whole `EnvContext` if its constructor's first parameter is called `config`, `env_config` or `env_context`, or is annotated `EnvContext`; RLlib hands it to every class.
With any other constructor the keys of `env_config` are its arguments.

`algo.add_module` and `algo.remove_module` take RLlib's arguments, with a `PolicySpec` or a dict of options as `module_spec` in place of an `RLModuleSpec`. The mapping function is asked once for each agent, and every module acts for some agent:
[what goes on and what begins anew](../python.md#modules-that-come-and-go).

## Every option of `PPOConfig`

"same" means: the same name and meaning. The third column has skirl's default where it is another one.

"""

# A value that asks for nothing is taken, so that configurations which spell out RLlib's defaults run.
HARMLESS = "RLlib's default is taken, and is what skirl does; a value that asks for something is refused"
# What only Ray's scheduler would look at, or has no effect on what is learned.
WITHOUT_EFFECT = "any value is taken, and changes nothing"

SB3_HEAD = """# From Stable-Baselines3

| SB3 | skirl |
|---|---|
| `model = PPO("MlpPolicy", "CartPole-v1")` | `algo = PPOConfig().environment("CartPole-v1").build_algo()` |
| `model.learn(total_timesteps)` | `while result["num_env_steps_sampled_lifetime"] < total: result = algo.train()` |
| `model.predict(obs, deterministic=True)` | `algo.compute_single_action(obs, explore=False)` |
| `model.save(path)`, `PPO.load(path)` | `algo.save_to_path(path)`, `PPO.from_checkpoint(path)` |
| `make_vec_env(env, n_envs=8)` | `.env_runners(num_envs_per_env_runner=8)` |
| `SubprocVecEnv` | `.env_runners(num_env_runners=2)` for environments written in Python |
| `VecNormalize(norm_obs=True)` | `.env_runners(observation_filter="MeanStdFilter")` |
| `EvalCallback` | `.evaluation(evaluation_interval=…)`; `checkpoint_score_attribute` keeps the best |
| `check_env(env)` | `skirl.check_env(env)` |

skirl's defaults are RLlib's, not SB3's. To train as SB3 does, set what the third column shows.

## Every argument of `PPO`

"""


#: Options that take a function, which the engine does not have.
FUNCTIONS = {"policy_mapping_fn": "same, asked once for each agent when the algorithm is built; `policy_mapping` is the map itself"}
#: Options that are read before the engine sees them.
MAPS = {"model_config": "same: a map of the options below, or a `DefaultModelConfig`"}


def answer(name: str, value: Any, section: str | None) -> str:
    """What skirl says to the option: an empty string if it takes it."""
    config = PPOConfig()
    try:
        if section is None:
            config.update_from_dict({name: value})
        else:
            getattr(config, section)(**{name: value})
    except ConfigError as error:
        # RLlib says None for "as elsewhere"; leaving the option out says the same here.
        said = reason(str(error))
        return "" if value is None and ("found nothing" in said or "found None" in str(error)) else said
    return ""


def reason(message: str) -> str:
    """A message without the option's path and value in front of it."""
    _, _, problem = message.partition(": ")
    problem, _, hint = problem.partition("\n  help: ")
    return hint if "is called" in hint or "write" in hint else ". ".join(filter(None, [problem, hint]))


def default_of(section: str | None, name: str) -> Any:
    """The engine's default; `...` where it is no option of the engine."""
    named = [option for option in _native.options("PPO") if option["name"] == name]
    return next((option["default"] for option in named if option["section"] == section), ...)


def is_group(section: str | None, name: str) -> bool:
    return any(option["section"] == f"{section}.{name}" for option in _native.options("PPO"))


def synonyms() -> dict[str, str]:
    return {name: option["name"] for option in _native.options("PPO") for name in option["synonyms"]}


def row(name: str, value: Any, section: str | None) -> str:
    if name in MAPS:
        return f"| `{name}` | {MAPS[name]} | |"
    said = answer(name, None if value is ... else value, section)
    if said:
        return f"| `{name}` | {said.replace('|', '/')} | |"
    if name in FUNCTIONS:
        return f"| `{name}` | {FUNCTIONS[name]} | |"
    known = synonyms().get(name, name)
    if default_of(section, known) is ...:
        harmless = WITHOUT_EFFECT if SAME_ANYWAY.get(name) is ANY else HARMLESS
        return f"| `{name}` | {'same, a group of options' if is_group(section, name) else harmless} | |"
    same = "same" if known == name else f"`{known}`"
    default = default_of(section, known)
    differs = value not in (..., None, {}) and default != value
    return f"| `{name}` | {same} | {f'`{default}`, there `{value}`' if differs else ''} |"


def rllib_page() -> str:
    lines = [RLLIB_HEAD]
    for section, options in RLLIB.items():
        lines += [f"### `{section}`\n", "| option | in skirl | default |", "|---|---|---|"]
        lines += [row(name, value, section) for name, value in options.items()]
        lines.append("")
    return "\n".join(lines)


def sb3_page() -> str:
    lines = [SB3_HEAD + "| argument | SB3's default | in skirl |", "|---|---|---|"]
    for name, value in SB3.items():
        said = answer(name, 1 if value is None else value, None)
        lines.append(f"| `{name}` | `{value}` | {said.replace('|', '/') or 'same name'} |")
    return "\n".join(lines) + "\n"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true")
    check = parser.parse_args().check
    pages = {PAGES / "rllib.md": rllib_page(), PAGES / "sb3.md": sb3_page()}
    stale = [path for path, text in pages.items() if not path.exists() or path.read_text() != text]
    if check and stale:
        print("not up to date:", *stale, "; run python/tools/generate_migration.py", file=sys.stderr)
        return 1
    for path in stale:
        path.parent.mkdir(exist_ok=True)
        path.write_text(pages[path])
    return 0


if __name__ == "__main__":
    sys.exit(main())
