//! Rules between options, one function each. Ranges of single options are checked by their definitions.

use serde_json::{Value, json};

use super::algorithm::AlgorithmConfig;
use super::choices::{BatchMode, CountStepsBy, OptimizerType};
use super::config_of::ConfigOf;
use super::error::{ConfigError, ConfigErrors};
use super::metric_names::{SCORE, check_metric};
use super::mixed::RolloutFragmentLength;
use super::training::{OptimizerOptions, Training};

type Rule<T> = fn(&ConfigOf<T>) -> Vec<ConfigError>;

fn all_rules<T: Training>() -> Vec<Rule<T>> {
    vec![
        environment_is_named,
        minibatch_fits_batch,
        every_environment_has_a_step,
        fragments_make_the_batch,
        gae_needs_critic,
        shared_layers_have_one_shape,
        optimizer_options_have_effect,
        mapped_policies_exist,
        trained_policies_exist,
        policy_overrides_are_valid,
        steps_are_counted_by_environment,
        parallel_evaluation_is_due_sometimes,
        own_evaluation_waits_for_training,
        evaluation_environments_are_counted_once,
        score_is_a_metric,
        value_network_options_have_effect,
    ]
}

/// Everything that is wrong: first the ranges, then, once single values are sound, the rules between them.
pub(super) fn check<T: Training>(config: &ConfigOf<T>) -> Result<(), ConfigErrors> {
    let mut errors = config.stop.errors();
    for section in config.sections() {
        errors.extend(
            section
                .check()
                .into_iter()
                .map(|(name, problem)| problem.at(format!("{}.{name}", section.path()), section.get(name))),
        );
    }
    let refused: Vec<String> = errors.iter().map(|error| error.path.clone()).collect();
    let broken = all_rules().into_iter().flat_map(|rule| rule(config));
    errors.extend(broken.filter(|error| !refused.contains(&error.path)));
    ConfigErrors(errors).into_result()
}

fn error<T: Training>(config: &ConfigOf<T>, path: &str, problem: String) -> ConfigError {
    ConfigError {
        value: config.get(path).filter(|value| !value.is_null()),
        ..ConfigError::new(path, problem)
    }
}

fn environment_is_named<T: Training>(config: &ConfigOf<T>) -> Vec<ConfigError> {
    let missing = config.common.environment.env.is_none();
    let error = || {
        ConfigError::new("environment.env", "the environment is missing")
            .suggest("name one, for example env = \"CartPole-v1\"; `skirl envs` lists them")
    };
    missing.then(error).into_iter().collect()
}

/// A misspelt metric would leave every checkpoint without a rank.
fn score_is_a_metric<T: Training>(config: &ConfigOf<T>) -> Vec<ConfigError> {
    let metric = config.common.checkpointing.checkpoint_score_attribute.as_deref();
    let problem = metric.and_then(|metric| check_metric(metric).err());
    problem.map(|problem| problem.at(SCORE, config.get(SCORE))).into_iter().collect()
}

fn minibatch_fits_batch<T: Training>(config: &ConfigOf<T>) -> Vec<ConfigError> {
    let training = config.training.update();
    let batch = training.train_batch_size;
    let parts = [
        ("training.minibatch_size", training.minibatch_size),
        ("training.microbatch_size", training.microbatch_size),
    ];
    let refuse = |(path, _)| {
        let problem = format!("larger than training.train_batch_size = {batch}");
        error(config, path, problem).suggest(format!("at most {batch}"))
    };
    parts.into_iter().filter(|(_, size)| size.is_some_and(|size| size > batch)).map(refuse).collect()
}

fn every_environment_has_a_step<T: Training>(config: &ConfigOf<T>) -> Vec<ConfigError> {
    let (envs, batch) = (config.common.env_runners.total_envs(), config.training.update().train_batch_size);
    if envs <= batch {
        return Vec::new();
    }
    let problem = format!("fewer than one step for each of the {envs} environments");
    vec![
        error(config, "training.train_batch_size", problem)
            .suggest(format!("at least {envs}, or fewer environments")),
    ]
}

fn fragments_make_the_batch<T: Training>(config: &ConfigOf<T>) -> Vec<ConfigError> {
    let RolloutFragmentLength::Steps(steps) = config.common.env_runners.rollout_fragment_length else {
        return Vec::new();
    };
    if config.common.env_runners.batch_mode == BatchMode::CompleteEpisodes {
        return Vec::new();
    }
    let (envs, batch) = (config.common.env_runners.total_envs(), config.training.update().train_batch_size);
    let collected = steps.saturating_mul(envs);
    if collected == batch {
        return Vec::new();
    }
    let problem = format!(
        "{steps} steps × {envs} environments = {collected} steps per iteration, \
         but training.train_batch_size = {batch}"
    );
    let suggestion =
        format!("set training.train_batch_size = {collected}, or rollout_fragment_length = \"auto\"");
    vec![error(config, "env_runners.rollout_fragment_length", problem).suggest(suggestion)]
}

fn gae_needs_critic<T: Training>(config: &ConfigOf<T>) -> Vec<ConfigError> {
    let critic = config.training.update().critic;
    if !critic.is_some_and(|critic| critic.use_gae && !critic.use_critic) {
        return Vec::new();
    }
    let problem = "GAE needs the value function, but training.use_critic = false".to_owned();
    vec![error(config, "training.use_gae", problem).suggest("set training.use_gae = false as well")]
}

fn shared_layers_have_one_shape<T: Training>(config: &ConfigOf<T>) -> Vec<ConfigError> {
    let module = &config.common.rl_module;
    if !module.vf_share_layers || module.value_hiddens() == module.fcnet_hiddens {
        return Vec::new();
    }
    let problem = "differs from rl_module.fcnet_hiddens, but rl_module.vf_share_layers = true".to_owned();
    vec![
        error(config, "rl_module.vf_hiddens", problem)
            .suggest("leave vf_hiddens out, or vf_share_layers = false"),
    ]
}

fn value_network_options_have_effect<T: Training>(config: &ConfigOf<T>) -> Vec<ConfigError> {
    if config.training.update().value_network {
        return Vec::new();
    }
    let module = &config.common.rl_module;
    let set = [
        ("rl_module.vf_hiddens", module.vf_hiddens.is_some()),
        ("rl_module.vf_share_layers", module.vf_share_layers),
    ];
    let refuse = |(path, _)| {
        let problem = format!("has no effect: {} has no value network here", T::ALGORITHM);
        error(config, path, problem).suggest("remove it")
    };
    set.into_iter().filter(|(_, set)| *set).map(refuse).collect()
}

fn optimizer_options_have_effect<T: Training>(config: &ConfigOf<T>) -> Vec<ConfigError> {
    use OptimizerType::{Adam, AdamW, RmsProp, Sgd};
    let (own, default) = (config.training.optimizer_options(), OptimizerOptions::default());
    let uses: [(&str, bool, &[OptimizerType]); 4] = [
        ("betas", own.betas == default.betas, &[Adam, AdamW]),
        ("eps", own.eps == default.eps, &[Adam, AdamW, RmsProp]),
        ("momentum", own.momentum == default.momentum, &[RmsProp, Sgd]),
        ("alpha", own.alpha == default.alpha, &[RmsProp]),
    ];
    let idle = uses.into_iter().filter(|(_, unchanged, used_by)| !unchanged && !used_by.contains(&own.kind));
    let refuse = |(name, _, used_by): (&str, bool, &[OptimizerType])| {
        let names: Vec<&str> = used_by.iter().map(|kind| kind.as_str()).collect();
        let problem = format!("has no effect with the optimizer {}; used by {}", own.kind, names.join(", "));
        error(config, &format!("training.optimizer.{name}"), problem).suggest("remove it")
    };
    idle.map(refuse).collect()
}

fn mapped_policies_exist<T: Training>(config: &ConfigOf<T>) -> Vec<ConfigError> {
    let names = config.common.multi_agent.policy_names();
    let rules = config.common.multi_agent.policy_mapping.0.iter();
    let missing = rules.filter(|(_, policy)| !names.contains(&policy.as_str()));
    let refuse = |(agent, policy): (&String, &String)| {
        ConfigError::new(format!("multi_agent.policy_mapping.{agent}"), "there is no such policy")
            .found(policy.as_str())
            .suggest(format!("multi_agent.policies has {}", names.join(", ")))
    };
    missing.map(refuse).collect()
}

fn trained_policies_exist<T: Training>(config: &ConfigOf<T>) -> Vec<ConfigError> {
    let names = config.common.multi_agent.policy_names();
    let trained = config.common.multi_agent.policies_to_train.iter().flatten();
    let missing = trained.filter(|policy| !names.contains(&policy.as_str()));
    let refuse = |policy: &String| {
        ConfigError::new("multi_agent.policies_to_train", "there is no such policy")
            .found(policy.as_str())
            .suggest(format!("multi_agent.policies has {}", names.join(", ")))
    };
    missing.map(refuse).collect()
}

fn steps_are_counted_by_environment<T: Training>(config: &ConfigOf<T>) -> Vec<ConfigError> {
    if config.common.multi_agent.count_steps_by == CountStepsBy::EnvSteps {
        return Vec::new();
    }
    let problem = "not served by skirl yet".to_owned();
    vec![error(config, "multi_agent.count_steps_by", problem).suggest("use \"env_steps\"")]
}

fn parallel_evaluation_is_due_sometimes<T: Training>(config: &ConfigOf<T>) -> Vec<ConfigError> {
    let evaluation = &config.common.evaluation;
    if !evaluation.evaluation_parallel_to_training || evaluation.evaluation_interval.is_some() {
        return Vec::new();
    }
    let problem = "has no effect without evaluation.evaluation_interval".to_owned();
    vec![
        error(config, "evaluation.evaluation_parallel_to_training", problem)
            .suggest("set evaluation.evaluation_interval = 1"),
    ]
}

fn own_evaluation_waits_for_training<T: Training>(config: &ConfigOf<T>) -> Vec<ConfigError> {
    let evaluation = &config.common.evaluation;
    if !evaluation.evaluation_parallel_to_training || evaluation.custom_evaluation_function.is_none() {
        return Vec::new();
    }
    let problem =
        "an own evaluation function may use the whole algorithm, so it cannot run while that trains";
    vec![
        error(config, "evaluation.custom_evaluation_function", problem.to_owned())
            .suggest("set evaluation.evaluation_parallel_to_training = false"),
    ]
}

fn evaluation_environments_are_counted_once<T: Training>(config: &ConfigOf<T>) -> Vec<ConfigError> {
    let evaluation = &config.common.evaluation;
    if evaluation.evaluation_num_env_runners == 0 || evaluation.evaluation_num_envs.is_none() {
        return Vec::new();
    }
    let problem = "the number of evaluation's environments is given by evaluation.evaluation_num_envs, too";
    vec![
        error(config, "evaluation.evaluation_num_env_runners", problem.to_owned())
            .suggest("leave one of them out"),
    ]
}

/// Rules between options that may differ from policy to policy.
fn per_policy_rules<T: Training>() -> [Rule<T>; 4] {
    [
        gae_needs_critic,
        shared_layers_have_one_shape,
        optimizer_options_have_effect,
        value_network_options_have_effect,
    ]
}

/// What a policy's own options break that the common ones do not.
fn broken_by_overrides<'a, T: Training>(
    config: &'a ConfigOf<T>,
    own: &'a ConfigOf<T>,
) -> impl Iterator<Item = ConfigError> + 'a {
    per_policy_rules().into_iter().flat_map(move |rule| {
        let common: Vec<String> = rule(config).into_iter().map(|error| error.path).collect();
        rule(own).into_iter().filter(move |error| !common.contains(&error.path))
    })
}

/// Sections of which policies may differ, and options in them that concern the whole batch.
const PER_POLICY_SECTIONS: [&str; 3] = ["training", "training.optimizer", "rl_module"];
const SHARED_BY_POLICIES: [&str; 5] =
    ["train_batch_size", "minibatch_size", "microbatch_size", "num_epochs", "shuffle_batch_per_epoch"];

fn policy_overrides_are_valid<T: Training>(config: &ConfigOf<T>) -> Vec<ConfigError> {
    config
        .common
        .multi_agent
        .policy_names()
        .into_iter()
        .flat_map(|policy| policy_errors(config, policy))
        .collect()
}

fn policy_errors<T: Training>(config: &ConfigOf<T>, policy: &str) -> Vec<ConfigError> {
    let prefix = format!("multi_agent.policies.{policy}");
    let own = match config.for_policy(policy) {
        Ok(own) => own,
        Err(errors) => {
            let moved =
                |error: ConfigError| ConfigError { path: format!("{prefix}.{}", error.path), ..error };
            return errors.0.into_iter().map(moved).collect();
        }
    };
    let specs = own.specs();
    let changed = specs.iter().filter(|spec| own.get(&spec.path()) != config.get(&spec.path()));
    let differs = |section: &str, name: &str| {
        PER_POLICY_SECTIONS.contains(&section) && !SHARED_BY_POLICIES.contains(&name)
    };
    let refused = changed.filter(|spec| !differs(spec.section, spec.name));
    let mut errors: Vec<ConfigError> = refused
        .map(|spec| {
            ConfigError::new(format!("{prefix}.{}", spec.name), "may not differ between policies")
                .found(own.get(&spec.path()).unwrap_or(Value::Null))
                .suggest(format!("write it once, as {}", spec.path()))
        })
        .collect();
    errors.extend(
        broken_by_overrides(config, &own)
            .map(|error| ConfigError { path: format!("{prefix}.{}", error.path), ..error }),
    );
    if own.stop.to_value() != config.stop.to_value() {
        errors.push(
            ConfigError::new(format!("{prefix}.stop"), "may not differ between policies").found(json!({})),
        );
    }
    errors
}
