//! Stop criteria: RLlib's map from a result's path to a minimum.

use indexmap::IndexMap;
use serde_json::{Value, json};

use super::error::{ConfigError, Problem};
use super::names::nearest;
use super::value::OptionValue;

/// A run stops at the first result in which one of these metrics is at least its threshold. Empty never stops by itself.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct StopCriteria(pub IndexMap<String, f64>);

/// The criterion that was met.
#[derive(Debug, Clone, PartialEq)]
pub struct StopReason {
    /// Path of the metric, for example `env_runners/episode_return_mean`.
    pub metric: String,
    /// The minimum asked for.
    pub threshold: f64,
    /// The value found.
    pub value: f64,
}

impl std::fmt::Display for StopReason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} = {} reached {}", self.metric, self.value, self.threshold)
    }
}

/// Metrics that results have, for suggestions: a criterion on a misspelt metric would never stop the run.
const KNOWN_METRICS: &[&str] = &[
    "training_iteration",
    "time_total_s",
    "num_env_steps_sampled_lifetime",
    "env_runners/episode_return_mean",
    "env_runners/episode_return_min",
    "env_runners/episode_return_max",
    "env_runners/episode_len_mean",
    "env_runners/episode_len_min",
    "env_runners/episode_len_max",
    "env_runners/num_episodes_lifetime",
    "env_runners/num_env_steps_sampled_lifetime",
    "evaluation/env_runners/episode_return_mean",
    "evaluation/env_runners/episode_return_min",
    "evaluation/env_runners/episode_return_max",
    "evaluation/env_runners/episode_len_mean",
    "evaluation/env_runners/episode_len_min",
    "evaluation/env_runners/episode_len_max",
];

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
    ("iterations", "training_iteration"),
    ("time_s", "time_total_s"),
];

impl StopCriteria {
    /// Adds or replaces a criterion.
    pub fn set(&mut self, metric: impl Into<String>, threshold: f64) {
        self.0.insert(metric.into(), threshold);
    }

    /// The first criterion met by a result whose metrics `get` looks up by path; absent metrics never count.
    pub fn reached(&self, get: impl Fn(&str) -> Option<f64>) -> Option<StopReason> {
        self.0.iter().find_map(|(metric, &threshold)| {
            let value = get(metric)?;
            (value >= threshold).then(|| StopReason { metric: metric.clone(), threshold, value })
        })
    }

    /// Reads one criterion from JSON.
    pub(super) fn apply(&mut self, metric: &str, value: &Value) -> Result<(), Problem> {
        let threshold = f64::from_value(value)?;
        check(metric, threshold)?;
        self.set(metric, threshold);
        Ok(())
    }

    /// Checks criteria set from Rust.
    pub(super) fn errors(&self) -> Vec<ConfigError> {
        let refused = self.0.iter().filter_map(|(metric, &threshold)| {
            Some(check(metric, threshold).err()?.at(path(metric), Some(json!(threshold))))
        });
        refused.collect()
    }

    /// As a JSON map; whole numbers without a fraction.
    pub fn to_value(&self) -> Value {
        let whole = |x: f64| x.fract() == 0.0 && x.abs() < 9e15;
        let number = |x: f64| if whole(x) { json!(x as i64) } else { json!(x) };
        self.0.iter().map(|(metric, &threshold)| (metric.clone(), number(threshold))).collect()
    }
}

/// Path of a criterion in error messages.
pub(super) fn path(metric: &str) -> String {
    format!("stop.{metric}")
}

fn check(metric: &str, threshold: f64) -> Result<(), Problem> {
    if !threshold.is_finite() {
        return Err(Problem::new(format!("must be a finite number, found {threshold}")));
    }
    check_metric(metric)
}

/// Refuses what cannot be a metric of a result, and what is nearly one.
pub(super) fn check_metric(metric: &str) -> Result<(), Problem> {
    if metric.split('/').any(str::is_empty) {
        return Err(Problem::new("is not the path of a metric")
            .suggest("write for example \"env_runners/episode_return_mean\" or \"training_iteration\""));
    }
    if KNOWN_METRICS.contains(&metric) {
        return Ok(());
    }
    if let Some((_, now)) = RENAMED_METRICS.iter().find(|(old, _)| *old == metric) {
        return Err(Problem::new("no such metric in a result").suggest(format!("it is called `{now}` here")));
    }
    match nearest(metric, KNOWN_METRICS.iter().copied()) {
        // `episode_return_max` is near `episode_return_mean`, so only names of the same length class may be refused.
        Some(near) if strsim::damerau_levenshtein(metric, near) <= 2 => {
            Err(Problem::new("no such metric in a result").suggest(format!("did you mean `{near}`?")))
        }
        _ => Ok(()),
    }
}
