//! What a line or table shows of one result.

use skirl::config::StopCriteria;
use skirl::report::TrainResult;

use crate::number::{duration, grouped, short, with_suffix};

/// One shown value with its name.
pub(crate) type Cell = (&'static str, String);

/// Losses shown of the first trained module: result key and name.
const LOSSES: [(&str, &str); 3] =
    [("policy_loss", "policy loss"), ("vf_loss", "value loss"), ("entropy", "entropy")];

/// Whether a value is about learning, not about how far the run is.
pub(super) fn is_about_learning(cell: &Cell) -> bool {
    cell.0 == "KL" || LOSSES.iter().any(|(_, name)| cell.0 == *name)
}

/// The values worth showing; what a result does not have is left out.
pub(crate) fn cells(result: &TrainResult, stop: &StopCriteria, start: &Start) -> Vec<Cell> {
    let count = |path: &str| result.get_count(path).map(grouped);
    let number = |path: &str| result.get(path).map(short);
    let mut cells: Vec<(&'static str, Option<String>)> = vec![
        ("iteration", count("training_iteration")),
        ("steps", count("num_env_steps_sampled_lifetime")),
        ("return", number("env_runners/episode_return_mean")),
        ("length", number("env_runners/episode_len_mean")),
        ("evaluation", number("evaluation/env_runners/episode_return_mean")),
        ("steps/s", throughput(result).map(with_suffix)),
    ];
    cells.push(("time", result.get("time_total_s").map(duration)));
    cells.push(("ETA", eta(result, stop, start).map(duration)));
    cells.extend(LOSSES.iter().map(|(key, name)| (*name, loss(result, key).map(short))));
    cells.push(("KL", kl(result).map(short)));
    cells.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
}

fn throughput(result: &TrainResult) -> Option<f64> {
    let steps = result.get("env_runners/num_env_steps_sampled")?;
    let seconds = result.get("time_this_iter_s")?;
    (seconds > 0.0).then(|| steps / seconds)
}

/// A metric of the first module that has it, in the result's order.
fn loss(result: &TrainResult, key: &str) -> Option<f64> {
    let learners = result.value("learners")?.as_object()?;
    learners.values().find_map(|module| module.get(key)?.as_f64())
}

/// The divergence of the new policy from the old one. Without a KL loss, `mean_kl_loss` is zero whatever the policy does;
/// the estimate from the actions taken says more then.
fn kl(result: &TrainResult) -> Option<f64> {
    let exact = loss(result, "mean_kl_loss").filter(|kl| *kl != 0.0);
    exact.or_else(|| loss(result, "approx_kl"))
}

/// What progress is measured against: the first result of this process.
#[derive(Debug, Clone, Default)]
pub(crate) struct Start {
    first: Option<TrainResult>,
    over: bool,
}

impl Start {
    pub(crate) fn see(&mut self, result: &TrainResult) {
        self.first.get_or_insert_with(|| result.clone());
    }

    /// The run has ended: there is no time left to tell.
    pub(crate) fn end(&mut self) {
        self.over = true;
    }
}

/// Metrics that grow steadily, so that the time to a threshold can be told.
const STEADY: [&str; 4] = [
    "training_iteration",
    "time_total_s",
    "num_env_steps_sampled_lifetime",
    "env_runners/num_env_steps_sampled_lifetime",
];

/// Seconds until the first steady stop criterion is met at the present pace; the run may end earlier by another one.
fn eta(result: &TrainResult, stop: &StopCriteria, start: &Start) -> Option<f64> {
    if start.over {
        return None;
    }
    let elapsed = result.get("time_total_s")?;
    let before = start.first.as_ref()?;
    let steady = stop.0.iter().filter(|(metric, _)| STEADY.contains(&metric.as_str()));
    let times = steady.filter_map(|(metric, &threshold)| {
        let now = result.get(metric)?;
        let since = elapsed - before.get("time_total_s")?;
        let gained = now - before.get(metric)?;
        // On the first result the pace since the start of the run is all there is.
        let pace = if gained > 0.0 && since > 0.0 { gained / since } else { now / elapsed };
        (pace > 0.0).then(|| ((threshold - now) / pace).max(0.0))
    });
    times.reduce(f64::min)
}

/// How far the run is, 0 to 1: the criterion that is nearest to its threshold.
pub(super) fn fraction(result: &TrainResult, stop: &StopCriteria, start: &Start) -> f64 {
    let fractions = stop.0.iter().filter_map(|(metric, &threshold)| {
        let now = result.get(metric)?;
        let from = if STEADY.contains(&metric.as_str()) { 0.0 } else { start.first.as_ref()?.get(metric)? };
        if now >= threshold {
            return Some(1.0);
        }
        (threshold > from).then(|| ((now - from) / (threshold - from)).clamp(0.0, 1.0))
    });
    fractions.fold(0.0, f64::max)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn result(iteration: u64, seconds: f64, episode_return: f64) -> TrainResult {
        let mut result = TrainResult::new();
        result.set("training_iteration", iteration);
        result.set("time_total_s", seconds);
        result.set("env_runners/episode_return_mean", episode_return);
        result
    }

    fn stop(criteria: &[(&str, f64)]) -> StopCriteria {
        StopCriteria(criteria.iter().map(|(metric, threshold)| ((*metric).to_owned(), *threshold)).collect())
    }

    #[test]
    fn eta_follows_the_pace_since_the_first_result() {
        let mut start = Start::default();
        start.see(&result(1, 10.0, 0.0));
        let stop = stop(&[("training_iteration", 11.0), ("env_runners/episode_return_mean", 100.0)]);
        assert_eq!(eta(&result(3, 14.0, 50.0), &stop, &start), Some(16.0));
        assert_eq!(fraction(&result(3, 14.0, 50.0), &stop, &start), 0.5);
        assert_eq!(fraction(&result(3, 14.0, 120.0), &stop, &start), 1.0);
        assert_eq!(fraction(&result(3, 14.0, -20.0), &stop, &start), 3.0 / 11.0);
        start.end();
        assert_eq!(eta(&result(3, 14.0, 50.0), &stop, &start), None);
    }

    #[test]
    fn without_a_kl_loss_the_estimate_is_shown() {
        let mut result = TrainResult::new();
        result.set("learners/default_policy/mean_kl_loss", 0.0);
        assert_eq!(kl(&result), None);
        result.set("learners/default_policy/approx_kl", 0.02);
        assert_eq!(kl(&result), Some(0.02));
        result.set("learners/default_policy/mean_kl_loss", 0.01);
        assert_eq!(kl(&result), Some(0.01));
    }

    #[test]
    fn what_a_result_lacks_is_left_out() {
        let shown = cells(&result(1, 2.0, 3.0), &StopCriteria::default(), &Start::default());
        let names: Vec<&str> = shown.iter().map(|(name, _)| *name).collect();
        assert_eq!(names, ["iteration", "return", "time"]);
    }
}
