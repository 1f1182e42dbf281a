//! Stop criteria: RLlib's map from a result's path to a minimum.

use indexmap::IndexMap;
use serde_json::{Value, json};

use super::error::{ConfigError, Problem};
use super::metric_names::check_metric;
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
