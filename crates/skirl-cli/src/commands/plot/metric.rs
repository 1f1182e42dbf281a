//! Names of metrics: what there is, what was meant, how it is called in a figure.

use std::collections::BTreeSet;

use super::runs::FoundRun;
use super::series;
use crate::exit::Failure;

/// Similarity (Jaro and Winkler's, 1 is equal) from which a metric is suggested.
const SIMILAR: f64 = 0.75;
/// Names in other libraries and in older results.
const RENAMED: [(&str, &str); 6] = [
    ("episode_reward_mean", "env_runners/episode_return_mean"),
    ("rollout/ep_rew_mean", "env_runners/episode_return_mean"),
    ("rollout/ep_len_mean", "env_runners/episode_len_mean"),
    ("eval/mean_reward", "evaluation/env_runners/episode_return_mean"),
    ("return", "env_runners/episode_return_mean"),
    ("reward", "env_runners/episode_return_mean"),
];
/// Metrics with a name of their own on the axis.
const LABELS: [(&str, &str); 6] = [
    ("env_runners/episode_return_mean", "Episode return"),
    ("env_runners/episode_len_mean", "Episode length (steps)"),
    ("evaluation/env_runners/episode_return_mean", "Evaluation return"),
    ("evaluation/env_runners/episode_len_mean", "Evaluation length (steps)"),
    ("num_env_steps_sampled_lifetime", "Environment steps"),
    ("time_total_s", "Training time (s)"),
];

/// All numbers that the runs have.
pub(super) fn names(runs: &[FoundRun]) -> Result<BTreeSet<String>, Failure> {
    let mut names = BTreeSet::new();
    for run in runs {
        for result in series::read(&run.path)? {
            let numbers = result.flatten().into_iter().filter(|(_, value)| value.is_number());
            names.extend(numbers.map(|(name, _)| name));
        }
    }
    Ok(names)
}

/// What to say of a metric that no run has.
pub(super) fn unknown(metric: &str, runs: &[FoundRun]) -> Failure {
    let names = names(runs).unwrap_or_default();
    let problem = format!("--metric {metric}: no result of these runs has it");
    let help = match nearest(metric, &names) {
        Some(near) => format!("did you mean `{near}`?"),
        None if metric.starts_with("evaluation/") => {
            "nothing was evaluated while training; set evaluation.evaluation_interval".to_owned()
        }
        None => "--list shows the metrics of the runs".to_owned(),
    };
    Failure::usage(format!("{problem}\n  help: {help}"))
}

/// The name that was most likely meant: an old one, the end of a path, or a similar one.
fn nearest<'a>(metric: &str, names: &'a BTreeSet<String>) -> Option<&'a String> {
    let renamed = RENAMED.iter().find(|(old, _)| *old == metric).and_then(|(_, new)| names.get(*new));
    let ends = || names.iter().find(|name| name.ends_with(&format!("/{metric}")));
    // The end of a path may be all that was typed, so it is compared, too.
    let similarity = |name: &str| {
        let end = name.rsplit('/').next().unwrap_or(name);
        strsim::jaro_winkler(metric, name).max(0.98 * strsim::jaro_winkler(metric, end))
    };
    let similar = || {
        let scored = names.iter().map(|name| (similarity(name), name)).filter(|(score, _)| *score >= SIMILAR);
        scored.max_by(|left, right| left.0.total_cmp(&right.0)).map(|(_, name)| name)
    };
    renamed.or_else(ends).or_else(similar)
}

/// The name on an axis that is `height` pixels long: whole, or its end.
pub(super) fn label(metric: &str, height: u32) -> String {
    if let Some((_, label)) = LABELS.iter().find(|(name, _)| *name == metric) {
        return (*label).to_owned();
    }
    let room = (height / 9) as usize;
    let mut label = metric;
    while label.chars().count() > room {
        match label.split_once('/') {
            Some((_, end)) => label = end,
            None => break,
        }
    }
    label.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_metric_that_was_meant_is_found() {
        let names: BTreeSet<String> = [
            "custom_metrics/distance/mean",
            "env_runners/episode_len_mean",
            "env_runners/episode_return_max",
            "env_runners/episode_return_mean",
            "learners/default_policy/vf_loss",
        ]
        .map(str::to_owned)
        .into();
        let cases = [
            ("episode_reward_mean", Some("env_runners/episode_return_mean")),
            ("vf_loss", Some("learners/default_policy/vf_loss")),
            ("env_runners/episode_return_men", Some("env_runners/episode_return_mean")),
            ("episode_len_men", Some("env_runners/episode_len_mean")),
            ("custom_metrics/distnce/mean", Some("custom_metrics/distance/mean")),
            ("zzz", None),
        ];
        for (typed, meant) in cases {
            assert_eq!(nearest(typed, &names).map(String::as_str), meant, "{typed}");
        }
    }
}
