//! What callbacks measured in each episode, over the last episodes that have it.

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};

use crate::report::TrainResult;

/// A window for each custom metric: its values in the last `capacity` episodes that set it.
///
/// Means are summed afresh in order of arrival, as those of [`EpisodeWindow`](super::EpisodeWindow).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CustomMetrics {
    capacity: usize,
    windows: BTreeMap<String, VecDeque<f64>>,
}

impl CustomMetrics {
    /// No metrics yet; windows hold `capacity` values, 0 is taken as 1.
    pub fn new(capacity: usize) -> Self {
        Self { capacity: capacity.max(1), windows: BTreeMap::new() }
    }

    /// Adds the metrics of an episode that ended; the oldest values leave full windows.
    pub fn push(&mut self, episode: &BTreeMap<String, f64>) {
        for (name, &value) in episode {
            // Looked up twice: the name is copied for a new metric only.
            if !self.windows.contains_key(name) {
                self.windows.insert(name.clone(), VecDeque::new());
            }
            let Some(window) = self.windows.get_mut(name) else { continue };
            if window.len() == self.capacity {
                window.pop_front();
            }
            window.push_back(value);
        }
    }

    /// Changes how many values the windows hold (0 is taken as 1); the oldest ones leave first.
    pub fn set_capacity(&mut self, capacity: usize) {
        self.capacity = capacity.max(1);
        for window in self.windows.values_mut() {
            window.drain(..window.len().saturating_sub(self.capacity));
        }
    }

    /// Writes `custom_metrics/NAME_mean`, `NAME_min` and `NAME_max` below `prefix` (`env_runners`).
    pub fn report_into(&self, result: &mut TrainResult, prefix: &str) {
        for (name, window) in &self.windows {
            let values = || window.iter().copied();
            let mean = (!window.is_empty()).then(|| values().sum::<f64>() / window.len() as f64);
            let statistics =
                [("mean", mean), ("min", values().reduce(f64::min)), ("max", values().reduce(f64::max))];
            for (statistic, value) in statistics {
                let mut keys: Vec<&str> = prefix.split('/').collect();
                let leaf = format!("{name}_{statistic}");
                keys.extend(["custom_metrics", &leaf]);
                result.set_at(&keys, value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_metric_has_its_own_window() {
        let mut metrics = CustomMetrics::new(2);
        for value in [1.0, 2.0, 4.0] {
            metrics.push(&BTreeMap::from([("angle".to_owned(), value)]));
        }
        metrics.push(&BTreeMap::from([("a/b".to_owned(), -1.0)]));
        let text = serde_json::to_string(&metrics).unwrap();
        assert_eq!(serde_json::from_str::<CustomMetrics>(&text).unwrap(), metrics);
        let mut result = TrainResult::new();
        metrics.report_into(&mut result, "evaluation/env_runners");
        let expected = r#"{"evaluation":{"env_runners":{"custom_metrics":{"a/b_mean":-1.0,"a/b_min":-1.0,"a/b_max":-1.0,"angle_mean":3.0,"angle_min":2.0,"angle_max":4.0}}}}"#;
        assert_eq!(result.to_json_line(), expected);
        metrics.set_capacity(1);
        metrics.report_into(&mut result, "env_runners");
        assert_eq!(result.get("env_runners/custom_metrics/angle_mean"), Some(4.0));
        assert_eq!(result.get("custom_metrics/angle_min"), Some(4.0));
        assert_eq!(result.get("evaluation/custom_metrics/angle_min"), Some(2.0));
    }
}
