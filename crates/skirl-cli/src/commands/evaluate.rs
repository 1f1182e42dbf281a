//! `skirl evaluate`: a trained policy plays.

use serde_json::{Value, json};
use skirl::Algorithm;
use skirl::algorithm::EvaluateRequest;
use skirl::config::ConfigErrors;
use skirl::evaluate::Evaluation;

use crate::args::EvaluateArgs;
use crate::exit::{ExitStatus, Failure};
use crate::number::{grouped, short};
use crate::output;
use crate::run_path;

pub(crate) fn run(args: &EvaluateArgs) -> Result<ExitStatus, Failure> {
    if args.episodes == Some(0) {
        return Err(Failure::usage("--episodes = 0: must be at least 1"));
    }
    #[cfg(feature = "plot")]
    let pictures = super::render::Order::of(&args.pictures)?;
    let path = run_path::to_evaluate(&args.checkpoint, args.best)?;
    let mut algorithm = Algorithm::from_checkpoint_with(&path, |config| {
        let wrong = args.set.iter().filter_map(|assignment| config.apply_set(assignment).err());
        let errors = wrong.flat_map(|errors| errors.0).collect();
        ConfigErrors(errors).into_result().map_err(skirl::Error::from)
    })
    .map_err(|error| Failure::on_restore(&error))?;
    let request =
        EvaluateRequest { episodes: args.episodes, seed: args.seed, explore: args.explore.then_some(true) };
    #[cfg(feature = "plot")]
    if let Some(pictures) = pictures {
        let (evaluation, rendered) = pictures.play(&mut algorithm, &request)?;
        let made = rendered.as_ref().ok().map(|made| ("rendered", made.to_value(), made.to_text()));
        report(args, &algorithm, &evaluation, made);
        return rendered.map(|_| ExitStatus::Success);
    }
    let evaluation = algorithm.evaluate(&request).map_err(|error| Failure::while_running(&error))?;
    report(args, &algorithm, &evaluation, None);
    Ok(ExitStatus::Success)
}

/// Prints the summary, and what was made besides: its key, as JSON and as text.
fn report(
    args: &EvaluateArgs,
    algorithm: &Algorithm,
    evaluation: &Evaluation,
    more: Option<(&str, Value, String)>,
) {
    let summary = Summary::of(evaluation);
    if args.json {
        let mut value = summary.to_value(evaluation);
        value["warnings"] = json!(algorithm.warnings());
        if let Some((key, made, _)) = more {
            value[key] = made;
        }
        output::line(&value.to_string());
    } else {
        algorithm.warnings().iter().for_each(|warning| output::warning(warning));
        output::line(&summary.to_text(evaluation));
        if let Some((_, _, text)) = more {
            output::line(&text);
        }
    }
}

/// Statistics over the episodes; all zero without episodes.
#[derive(Debug, Default)]
pub(crate) struct Summary {
    mean: f64,
    std: f64,
    min: f64,
    max: f64,
    len_mean: f64,
}

impl Summary {
    pub(crate) fn of(evaluation: &Evaluation) -> Self {
        let returns = || evaluation.episodes.iter().map(|episode| episode.episode_return);
        let count = evaluation.episodes.len() as f64;
        if count == 0.0 {
            return Self::default();
        }
        let mean = returns().sum::<f64>() / count;
        Self {
            mean,
            std: (returns().map(|value| (value - mean).powi(2)).sum::<f64>() / count).sqrt(),
            min: returns().fold(f64::INFINITY, f64::min),
            max: returns().fold(f64::NEG_INFINITY, f64::max),
            len_mean: evaluation.episodes.iter().map(|episode| episode.len as f64).sum::<f64>() / count,
        }
    }

    pub(crate) fn to_text(&self, evaluation: &Evaluation) -> String {
        if let Some(custom) = &evaluation.custom {
            let metrics: Vec<String> =
                custom.flatten().iter().map(|(name, value)| format!("{name} {value}")).collect();
            return metrics.join(", ");
        }
        if evaluation.episodes.is_empty() {
            return format!("no episode ended within {} steps", grouped(evaluation.env_steps));
        }
        format!(
            "return {} ± {} (min {}, max {}) over {} episode{}, length {}, {} steps",
            short(self.mean),
            short(self.std),
            short(self.min),
            short(self.max),
            evaluation.episodes.len(),
            if evaluation.episodes.len() == 1 { "" } else { "s" },
            short(self.len_mean),
            grouped(evaluation.env_steps)
        )
    }

    /// Metrics under RLlib's names; those of episodes are absent without episodes. An own evaluation function has its own.
    pub(crate) fn to_value(&self, evaluation: &Evaluation) -> serde_json::Value {
        if let Some(custom) = &evaluation.custom {
            return custom.as_value();
        }
        let mut value = json!({ "num_episodes": evaluation.episodes.len(), "num_env_steps_sampled": evaluation.env_steps });
        if evaluation.episodes.is_empty() {
            return value;
        }
        let metrics = [
            ("episode_return_mean", self.mean),
            ("episode_return_std", self.std),
            ("episode_return_min", self.min),
            ("episode_return_max", self.max),
            ("episode_len_mean", self.len_mean),
        ];
        for (name, metric) in metrics {
            value[name] = json!(metric);
        }
        value["episode_returns"] = evaluation.episodes.iter().map(|episode| episode.episode_return).collect();
        value
    }
}
