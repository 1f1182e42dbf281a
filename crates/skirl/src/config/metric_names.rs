//! Metrics that results have: a stop criterion on a misspelt one would never stop the run.

use super::error::{ConfigError, ConfigErrors, Problem};
use super::names::nearest;
use super::{AlgorithmConfig, stop};

/// Option that names the metric of the best checkpoint.
pub(super) const SCORE: &str = "checkpointing.checkpoint_score_attribute";

/// Metrics of the whole run.
const OF_RUN: &[&str] = &[
    "training_iteration",
    "time_total_s",
    "num_env_steps_sampled_lifetime",
    "time_this_iter_s",
    "timestamp",
];

/// Leaves directly below `env_runners` and `evaluation/env_runners`: all there are without callbacks.
const OF_RUNNERS: &[&str] = &[
    "episode_return_mean",
    "episode_return_min",
    "episode_return_max",
    "episode_len_mean",
    "episode_len_min",
    "episode_len_max",
    "num_episodes",
    "num_episodes_lifetime",
    "num_env_steps_sampled",
    "num_env_steps_sampled_lifetime",
    "num_agent_steps_dropped",
    "num_agent_steps_dropped_lifetime",
];

const RUNNERS: [&str; 2] = ["evaluation/env_runners/", "env_runners/"];

/// Names of RLlib's old results and of other libraries.
const RENAMED_METRICS: &[(&str, &str)] = &[
    ("episode_reward_mean", "env_runners/episode_return_mean"),
    ("episode_return_mean", "env_runners/episode_return_mean"),
    ("env_runners/episode_reward_mean", "env_runners/episode_return_mean"),
    ("sampler_results/episode_reward_mean", "env_runners/episode_return_mean"),
    ("evaluation/episode_reward_mean", "evaluation/env_runners/episode_return_mean"),
    ("evaluation/episode_return_mean", "evaluation/env_runners/episode_return_mean"),
    ("episode_len_mean", "env_runners/episode_len_mean"),
    ("timesteps_total", "num_env_steps_sampled_lifetime"),
    ("total_timesteps", "num_env_steps_sampled_lifetime"),
    ("num_env_steps_sampled", "num_env_steps_sampled_lifetime"),
    ("num_env_steps_trained", "num_env_steps_sampled_lifetime"),
    ("env_runners/num_agent_steps_sampled", "env_runners/num_agent_steps_sampled/default_agent"),
    (
        "env_runners/num_agent_steps_sampled_lifetime",
        "env_runners/num_agent_steps_sampled_lifetime/default_agent",
    ),
    ("iterations", "training_iteration"),
    ("time_s", "time_total_s"),
];

/// Refuses what cannot be a metric of a result, and what is nearly one.
pub(super) fn check_metric(metric: &str) -> Result<(), Problem> {
    if metric.split('/').any(str::is_empty) {
        return Err(Problem::new("is not the path of a metric")
            .suggest("write for example \"env_runners/episode_return_mean\" or \"training_iteration\""));
    }
    let known = known();
    if known.iter().any(|known| known == metric) {
        return Ok(());
    }
    if let Some((_, now)) = RENAMED_METRICS.iter().find(|(old, _)| *old == metric) {
        return Err(Problem::new("no such metric in a result").suggest(format!("it is called `{now}` here")));
    }
    match nearest(metric, known.iter().map(String::as_str)) {
        // `episode_return_max` is near `episode_return_mean`, so only names of the same length class may be refused.
        Some(near) if strsim::damerau_levenshtein(metric, near) <= 2 => {
            Err(Problem::new("no such metric in a result").suggest(format!("did you mean `{near}`?")))
        }
        _ => Ok(()),
    }
}

fn known() -> Vec<String> {
    let of_runners =
        RUNNERS.iter().flat_map(|group| OF_RUNNERS.iter().map(move |leaf| format!("{group}{leaf}")));
    OF_RUN.iter().map(|metric| (*metric).to_owned()).chain(of_runners).collect()
}

/// Refuses stop criteria and the score of checkpoints where no result can have their metric, as long as nobody adds to
/// results: no callback and no evaluation function of the user's own. What other groups hold is known by results only.
pub(crate) fn check_unaided(config: &dyn AlgorithmConfig) -> Result<(), ConfigErrors> {
    let stop = config.stop().0.keys().map(|metric| (stop::path(metric), metric));
    let score = config.common().checkpointing.checkpoint_score_attribute.iter();
    let named = stop.chain(score.map(|metric| (SCORE.to_owned(), metric)));
    let wrong = named.filter_map(|(path, metric)| Some(missing(metric)?.at(path, None)));
    ConfigErrors(wrong.collect::<Vec<ConfigError>>()).into_result()
}

fn missing(metric: &str) -> Option<Problem> {
    let group = RUNNERS.iter().find(|group| metric.starts_with(*group)).copied().unwrap_or("");
    let leaf = &metric[group.len()..];
    if leaf.starts_with("custom_metrics/") {
        return Some(
            Problem::new(
                "no such metric in a result: custom metrics come from callbacks, and this run has none",
            )
            .suggest("add the callbacks that measure it"),
        );
    }
    if group.is_empty() || leaf.contains('/') || OF_RUNNERS.contains(&leaf) {
        return None;
    }
    let similar = |known: &&&str| (strsim::jaro_winkler(leaf, known) * 1e6) as u64;
    let near = OF_RUNNERS.iter().max_by_key(similar).copied().unwrap_or_default();
    let all = OF_RUNNERS.join(", ");
    let problem =
        format!("no such metric in a result: {group} has {all}, and callbacks that add more are not there");
    Some(Problem::new(problem).suggest(format!("did you mean `{group}{near}`?")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_of_rllib_that_are_not_there_are_refused_and_maps_are_pointed_into() {
        assert!(missing("env_runners/episode_duration_sec_mean").is_some(), "it is not measured");
        let map = check_metric("env_runners/num_agent_steps_sampled_lifetime");
        let help = map.err().and_then(|problem| problem.suggestion).unwrap_or_default();
        assert!(help.contains("num_agent_steps_sampled_lifetime/default_agent"), "{help}");
        assert!(check_metric("env_runners/num_agent_steps_sampled_lifetime/default_agent").is_ok());
    }
}
