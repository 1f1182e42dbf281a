//! Metrics that no result ever has: without a word, a run would never end, or never have a best checkpoint.

use skirl::config::AlgorithmConfig;
use skirl::report::TrainResult;

/// Similarity (Jaro and Winkler's, 1 is equal) from which a metric is suggested.
const SIMILAR: f64 = 0.8;

/// Option that names the metric of the best checkpoint.
const SCORE: &str = "checkpointing.checkpoint_score_attribute";

/// Metrics of the configuration that no result had yet, each with its option.
#[derive(Debug)]
pub(crate) struct StopCheck {
    unseen: Vec<(String, String)>,
}

impl StopCheck {
    pub(crate) fn new(config: &dyn AlgorithmConfig) -> Self {
        let stop = config.stop().0.keys().map(|metric| (format!("stop.{metric}"), metric.clone()));
        let score = &config.common().checkpointing.checkpoint_score_attribute;
        let score = score.iter().map(|metric| (SCORE.to_owned(), metric.clone()));
        Self { unseen: stop.chain(score).collect() }
    }

    /// What is wrong with a metric, once a result shows it: one that has everything else of its group.
    pub(crate) fn see(&mut self, result: &TrainResult) -> Option<String> {
        self.unseen.retain(|(_, metric)| result.get(metric).is_none());
        let unknown = self.unseen.iter().find(|(_, metric)| is_complete_for(metric, result));
        unknown.map(|(option, metric)| explain(option, metric, result))
    }
}

/// Whether a result that lacks `metric` shows that there is none: what counts episodes needs one that ended first.
fn is_complete_for(metric: &str, result: &TrainResult) -> bool {
    match metric.split_once('/') {
        Some(("env_runners", _)) => result.get("env_runners/episode_return_mean").is_some(),
        Some(("evaluation", _)) => result.get("evaluation/env_runners/episode_return_mean").is_some(),
        _ => true,
    }
}

fn explain(option: &str, metric: &str, result: &TrainResult) -> String {
    let problem = match option {
        SCORE => format!("{SCORE} = {metric}: no result has this metric, so no checkpoint would be the best"),
        _ => format!("{option}: no result has this metric, so it would never stop the run"),
    };
    let help = match nearest(metric, result) {
        Some(near) => format!("did you mean `{near}`?"),
        None => "result.jsonl shows what there is; join the keys with slashes".to_owned(),
    };
    format!("{problem}\n  help: {help}")
}

/// The number in a result whose path is most like `metric`.
fn nearest(metric: &str, result: &TrainResult) -> Option<String> {
    let numbers = result.flatten().into_iter().filter(|(_, value)| value.is_number());
    let scored = numbers.map(|(path, _)| (strsim::jaro_winkler(metric, &path), path));
    let near = scored.filter(|(similarity, _)| *similarity >= SIMILAR);
    near.max_by(|left, right| left.0.total_cmp(&right.0)).map(|(_, path)| path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(metric: &str) -> StopCheck {
        StopCheck { unseen: vec![(format!("stop.{metric}"), metric.to_owned())] }
    }

    #[test]
    fn a_metric_without_a_group_is_missed_at_once() {
        let mut result = TrainResult::new();
        result.set("training_iteration", 1_u64);
        let said = check("training_iter").see(&result).unwrap_or_default();
        assert!(said.ends_with("did you mean `training_iteration`?"), "{said}");
        assert_eq!(check("training_iteration").see(&result), None);
        let said = check("zzz").see(&result).unwrap_or_default();
        assert!(said.contains("result.jsonl"), "{said}");
    }

    #[test]
    fn metrics_of_episodes_and_evaluations_may_come_later() {
        let mut result = TrainResult::new();
        result.set("training_iteration", 1_u64);
        assert_eq!(check("env_runners/episode_return_men").see(&result), None);
        assert_eq!(check("evaluation/env_runners/episode_return_men").see(&result), None);
        result.set("env_runners/episode_return_mean", 1.0);
        assert!(check("env_runners/episode_return_men").see(&result).is_some());
        assert_eq!(check("evaluation/env_runners/episode_return_men").see(&result), None);
        result.set("evaluation/env_runners/episode_return_mean", 1.0);
        assert!(check("evaluation/env_runners/episode_return_men").see(&result).is_some());
    }
}
