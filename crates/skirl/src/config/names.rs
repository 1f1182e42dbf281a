//! Names that users bring from elsewhere, and what to tell them.

use super::algorithm;
use super::error::Problem;
use super::not_served;
use super::spec::OptionSpec;

/// Other words for a section.
pub(super) const SECTION_SYNONYMS: &[(&str, &str)] =
    &[("model", "rl_module"), ("model_config", "rl_module"), ("rollouts", "env_runners")];

/// Names of other libraries that are no single option here: `(name, library, what to write)`.
const ELSEWHERE: &[(&str, &str, &str)] = &[
    (
        "total_timesteps",
        "SB3 and CleanRL",
        "write it as a stop criterion: stop.num_env_steps_sampled_lifetime",
    ),
    ("n_timesteps", "SB3 zoo", "write it as a stop criterion: stop.num_env_steps_sampled_lifetime"),
    ("max_epoch", "Tianshou", "write it as a stop criterion: stop.training_iteration"),
    (
        "num_minibatches",
        "CleanRL",
        "training.minibatch_size is the size, not the number: train_batch_size / num_minibatches",
    ),
    ("nminibatches", "SB2", "training.minibatch_size is the size, not the number"),
    ("anneal_lr", "CleanRL", "give training.lr as a schedule: [[0, 0.001], [1000000, 0.0]]"),
    ("lr_decay", "Tianshou", "give training.lr as a schedule: [[0, 0.001], [1000000, 0.0]]"),
    ("policy_kwargs", "SB3", "write its entries as options of rl_module"),
    ("policy", "SB3", "networks are described by rl_module"),
    ("step_per_epoch", "Tianshou", "an iteration here is one train batch: training.train_batch_size"),
    ("buffer_size", "SB3 and Tianshou", "no algorithm here keeps a buffer between iterations"),
    ("use_sde", "SB3", "state-dependent exploration is not served"),
    ("dual_clip", "Tianshou", "the second clip is not served"),
    ("recompute_advantage", "Tianshou", "advantages are computed once per iteration"),
    ("norm_reward", "SB3 VecNormalize", "use environment.reward_scale or environment.clip_rewards"),
    ("lr_schedule", "older RLlib", "give the points to training.lr itself: [[0, 0.001], [1000000, 0.0001]]"),
    (
        "entropy_coeff_schedule",
        "older RLlib",
        "give the points to training.entropy_coeff itself: [[0, 0.01], [1000000, 0.0]]",
    ),
    (
        "algorithm_config_overrides_per_module",
        "RLlib",
        "write the overrides as multi_agent.policies: {\"p0\": {\"lr\": 0.0003}}",
    ),
    ("policy_mapping_fn", "RLlib", "in a file write multi_agent.policy_mapping: {\"agent*\": \"p0\"}"),
    ("framework", "RLlib", "there is one native engine: remove it"),
    ("num_gpus", "RLlib", "skirl runs on the CPU: remove it"),
    ("num_cpus", "RLlib", "use resources.num_threads"),
    ("num_learner_workers", "older RLlib", "it is called num_learners now, and only 0 is served: remove it"),
    (
        "model_config_dict",
        "older RLlib",
        "it is called model_config now: write its entries as options of rl_module",
    ),
    ("adam_epsilon", "RLlib (DQN)", "use training.optimizer.eps"),
    ("simple_optimizer", "older RLlib", "remove it"),
    ("sample_async", "older RLlib", "A2C collects and learns in turns (false): remove it"),
];

/// Options of RLlib 2.60 that are not served yet, besides those of which [`not_served`] knows why.
const RLLIB_NOT_SERVED: &[&str] = &[
    "extra_python_environs_for_driver",
    "extra_python_environs_for_worker",
    "enable_rl_module_and_learner",
    "enable_env_runner_and_connector_v2",
    "observation_space",
    "action_space",
    "render_env",
    "disable_env_checking",
    "action_mask_key",
    "env_task_fn",
    "is_atari",
    "env_runner_cls",
    "gym_env_vectorize_mode",
    "env_to_module_connector",
    "module_to_env_connector",
    "learner_connector",
    "add_default_connectors_to_env_to_module_pipeline",
    "add_default_connectors_to_module_to_env_pipeline",
    "add_default_connectors_to_learner_pipeline",
    "episode_lookback_horizon",
    "merge_env_runner_states",
    "broadcast_env_runner_states",
    "use_env_runner_state_server",
    "env_runner_state_server_max_concurrency",
    "compress_observations",
    "episodes_to_numpy",
    "exploration_config",
    "sample_collector",
    "remote_worker_envs",
    "remote_env_batch_wait_ms",
    "learner_class",
    "learner_config_dict",
    "callbacks_class",
    "callbacks",
    "evaluation_auto_duration_min_env_steps_per_sample",
    "evaluation_auto_duration_max_env_steps_per_sample",
    "evaluation_sample_timeout_s",
    "evaluation_force_reset_envs_before_iteration",
    "evaluation_unhealthy_workers_timeout_s",
    "evaluation_error_after_n_consecutive_skips",
    "always_attach_evaluation_results",
    "observation_fn",
    "keep_per_episode_custom_metrics",
    "metrics_episode_collection_timeout_s",
    "min_train_timesteps_per_iteration",
    "export_native_model_files",
    "checkpoint_trainable_policies_only",
    "log_sys_usage",
    "fake_sampler",
    "rl_module_spec",
    "conv_filters",
    "conv_activation",
    "head_fcnet_hiddens",
    "head_fcnet_activation",
    "post_fcnet_hiddens",
    "post_fcnet_activation",
    "use_lstm",
    "max_seq_len",
    "lstm_cell_size",
    "lstm_use_prev_action",
    "lstm_use_prev_reward",
    "use_attention",
    "fusionnet_hiddens",
    "fusionnet_activation",
    "fcnet_bias_initializer",
    "fcnet_kernel_initializer_kwargs",
    "custom_model",
    "custom_model_config",
    "custom_action_dist",
    "no_final_linear",
    "framestack",
    "dim",
    "grayscale",
    "zero_mean",
];

/// Sections of RLlib that hold nothing here yet.
pub(super) const RLLIB_SECTIONS_NOT_SERVED: &[&str] = &[
    "python_environment",
    "framework",
    "api_stack",
    "callbacks",
    "offline_data",
    "experimental",
    "exploration",
];

/// The candidate nearest to a misspelt word, when one is near enough to be meant.
pub(super) fn nearest<'a>(word: &str, candidates: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let word = word.to_lowercase().replace('-', "_");
    let allowed = (word.chars().count() / 3).clamp(1, 4);
    let distances = candidates.map(|name| (strsim::damerau_levenshtein(&word, &name.to_lowercase()), name));
    distances
        .filter(|(distance, _)| *distance <= allowed)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

/// Finds an option by its name or an RLlib synonym; `section` narrows the search, else only whole sections count.
pub(super) fn find<'a>(
    specs: &[&'a OptionSpec],
    section: Option<&str>,
    name: &str,
) -> Result<&'a OptionSpec, Problem> {
    let in_section = |spec: &&&OptionSpec| match section {
        Some(section) => spec.section == section,
        None => !spec.section.contains('.'),
    };
    let mut named =
        specs.iter().filter(in_section).filter(|spec| spec.name == name || spec.synonyms.contains(&name));
    match named.next() {
        Some(spec) => Ok(spec),
        None => Err(unknown(specs, section, name)),
    }
}

/// Why a name is not an option here, and which one is meant.
fn unknown(specs: &[&OptionSpec], section: Option<&str>, name: &str) -> Problem {
    let place = section.map_or(String::new(), |section| format!(" in section {section}"));
    if let Some(spec) = specs.iter().find(|spec| spec.name == name || spec.synonyms.contains(&name)) {
        return Problem::new(format!("there is no option `{name}`{place}")).suggest(format!(
            "`{}` belongs to section {}: write {}",
            spec.name,
            spec.section,
            spec.path()
        ));
    }
    let owners = algorithm::algorithms_with(section, name);
    if let Some(owner) = owners.first() {
        let problem = format!("no option of this algorithm, but one of {}", owners.join(" and "));
        return Problem::new(problem).suggest(format!("leave it out, or run {owner}"));
    }
    foreign(specs, name).unwrap_or_else(|| {
        let problem = Problem::new(format!("unknown option{place}"));
        match similar(specs, section, name) {
            Some(suggestion) => problem.suggest(suggestion),
            None => problem,
        }
    })
}

/// A name of another library, or of RLlib but not served.
fn foreign(specs: &[&OptionSpec], name: &str) -> Option<Problem> {
    let name = &name.replace('-', "_");
    let translated = specs.iter().find_map(|spec| {
        let called = spec.called.iter().find(|(_, other)| other == name)?;
        Some((spec, called.0))
    });
    if let Some((spec, library)) = translated {
        let problem = format!("unknown option; `{name}` is the name in {library}");
        return Some(Problem::new(problem).suggest(format!(
            "`{name}` is called `{}` here: write {}",
            spec.name,
            spec.path()
        )));
    }
    if let Some((_, library, advice)) = ELSEWHERE.iter().find(|(other, ..)| other == name) {
        return Some(Problem::new(format!("no option here, but one of {library}")).suggest(*advice));
    }
    let problem = match not_served::reason(name) {
        Some(reason) => format!("RLlib option, not served by skirl: {reason}"),
        None if RLLIB_NOT_SERVED.contains(&name.as_str()) => {
            "RLlib option, not served by skirl yet".to_owned()
        }
        None => return None,
    };
    Some(Problem::new(problem).suggest("remove it"))
}

/// The nearest name: of options in the section, of all options, of names elsewhere.
fn similar(specs: &[&OptionSpec], section: Option<&str>, name: &str) -> Option<String> {
    let own = |spec: &&&OptionSpec| section.is_none_or(|section| spec.section == section);
    let here = specs.iter().filter(own).map(|spec| spec.name);
    if let Some(near) = nearest(name, here) {
        let path = specs.iter().filter(own).find(|spec| spec.name == near).map(|spec| spec.path());
        return Some(format!("did you mean `{}`?", path.unwrap_or_else(|| near.to_owned())));
    }
    let synonyms = specs.iter().flat_map(|spec| spec.synonyms.iter().map(move |word| (*word, *spec)));
    let called = specs.iter().flat_map(|spec| spec.called.iter().map(move |(_, word)| (*word, *spec)));
    let all = specs.iter().map(|spec| (spec.name, *spec)).chain(synonyms).chain(called);
    let all: Vec<(&str, &OptionSpec)> = all.collect();
    let near = nearest(name, all.iter().map(|(word, _)| *word))?;
    let spec = all.iter().find(|(word, _)| *word == near)?.1;
    if near == spec.name {
        return Some(format!("did you mean `{}`?", spec.path()));
    }
    Some(format!("`{near}` is called `{}` here: write {}", spec.name, spec.path()))
}
