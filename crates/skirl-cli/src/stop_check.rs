//! Metrics that no result ever has: without a word, a run would never end, or never have a best checkpoint.

use skirl::Algorithm;
use skirl::report::TrainResult;

/// Similarity (Jaro and Winkler's, 1 is equal) from which a metric is suggested.
const SIMILAR: f64 = 0.8;

/// Option that names the metric of the best checkpoint.
const SCORE: &str = "checkpointing.checkpoint_score_attribute";

/// Metrics of the configuration that no result had yet, each with its option.
#[derive(Debug)]
pub(crate) struct StopCheck {
    unseen: Vec<(String, String)>,
    /// Callbacks or an evaluation function may still add them.
    may_come: bool,
}

/// What a result says about a metric that it lacks.
#[derive(Debug, PartialEq)]
pub(crate) enum Missed {
    /// Nobody will ever add it.
    Never(String),
    /// It is waited for.
    NotYet(String),
}

impl StopCheck {
    pub(crate) fn new(algorithm: &Algorithm) -> Self {
        let config = algorithm.config();
        let stop = config.stop().0.keys().map(|metric| (format!("stop.{metric}"), metric.clone()));
        let score = &config.common().checkpointing.checkpoint_score_attribute;
        let score = score.iter().map(|metric| (SCORE.to_owned(), metric.clone()));
        Self { unseen: stop.chain(score).collect(), may_come: algorithm.has_own_metrics() }
    }

    /// What is wrong with a metric, once a result shows it: one that has everything else of its group. A metric that may
    /// still come is told once.
    pub(crate) fn see(&mut self, result: &TrainResult) -> Option<Missed> {
        self.unseen.retain(|(_, metric)| result.get(metric).is_none());
        let unknown = self.unseen.iter().position(|(_, metric)| is_complete_for(metric, result))?;
        if self.may_come {
            let (option, metric) = self.unseen.remove(unknown);
            return Some(Missed::NotYet(wait_for(&option, &metric, result)));
        }
        let (option, metric) = &self.unseen[unknown];
        Some(Missed::Never(explain(option, metric, result)))
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

fn wait_for(option: &str, metric: &str, result: &TrainResult) -> String {
    let near = nearest(metric, result).map(|near| format!("; or did you mean `{near}`?")).unwrap_or_default();
    format!("{option}: no result has `{metric}` so far; the run waits until a callback adds it{near}")
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
        StopCheck { unseen: vec![(format!("stop.{metric}"), metric.to_owned())], may_come: false }
    }

    fn never(missed: Option<Missed>) -> String {
        match missed {
            Some(Missed::Never(said)) => said,
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn a_metric_that_callbacks_may_add_is_waited_for_after_one_warning() {
        let mut result = TrainResult::new();
        result.set("training_iteration", 1_u64);
        let mut check = StopCheck { may_come: true, ..check("training_iter") };
        let said = match check.see(&result) {
            Some(Missed::NotYet(said)) => said,
            other => format!("{other:?}"),
        };
        assert!(said.contains("waits") && said.contains("did you mean `training_iteration`?"), "{said}");
        assert_eq!(check.see(&result), None);
    }

    #[test]
    fn a_metric_without_a_group_is_missed_at_once() {
        let mut result = TrainResult::new();
        result.set("training_iteration", 1_u64);
        let said = never(check("training_iter").see(&result));
        assert!(said.ends_with("did you mean `training_iteration`?"), "{said}");
        assert_eq!(check("training_iteration").see(&result), None);
        let said = never(check("zzz").see(&result));
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
