//! `skirl train`: a run from start or checkpoint to its stop criterion.

use std::path::Path;

use serde_json::json;
use skirl::config::{AlgorithmConfig, ConfigError, ConfigErrors, LogLevel};
use skirl::run::{Flow, Run, RunSummary};

use super::evaluate::Summary;
use super::explain;
use crate::args::TrainArgs;
use crate::config_source::{self, apply_flags, set_each};
use crate::exit::{ExitStatus, Failure};
use crate::interrupt::Interrupt;
use crate::number::{duration, grouped};
use crate::output;
use crate::progress::{JsonLines, LiveTable, PlainLines, Progress};

pub(crate) fn run(args: &TrainArgs) -> Result<ExitStatus, Failure> {
    if let Some(section) = &args.help_options {
        return explain::options(args.source.run.as_deref(), section);
    }
    let interrupt = Interrupt::listen();
    let mut run = match &args.resume {
        Some(directory) => resume(args, directory)?,
        None => create(args)?,
    };
    announce(args, &run);
    let mut progress = choose_progress(args, &run);
    let outcome = run.train_until_stop(&mut |result| {
        progress.result(result);
        if interrupt.is_raised() { Flow::Stop } else { Flow::Continue }
    });
    progress.finish();
    let summary = outcome.map_err(|error| Failure::while_running(&error))?;
    report_end(args, &run, &summary, interrupt.is_raised());
    let interrupted = interrupt.is_raised() && !summary.criterion_met;
    Ok(if interrupted { ExitStatus::Interrupted } else { ExitStatus::Success })
}

fn create(args: &TrainArgs) -> Result<Run, Failure> {
    let mut configured = config_source::read(&args.source)?;
    let wrong = checkpoint_flags(args, &mut *configured.config);
    ConfigErrors(wrong).into_result()?;
    if !args.json && says(&*configured.config, LogLevel::Warn) {
        configured.remarks.iter().for_each(|remark| output::remark(remark));
    }
    Run::create(configured.config, args.output.as_deref()).map_err(|error| Failure::at_start(&error))
}

fn resume(args: &TrainArgs, directory: &Path) -> Result<Run, Failure> {
    let edit = |config: &mut dyn AlgorithmConfig| {
        let mut errors = apply_flags(&args.source, config);
        errors.extend(checkpoint_flags(args, config));
        ConfigErrors(errors).into_result().map_err(skirl::Error::from)
    };
    let run = Run::resume(directory, edit).map_err(|error| Failure::on_restore(&error))?;
    if !args.json && says(run.algorithm().config(), LogLevel::Warn) {
        run.algorithm().warnings().iter().for_each(|warning| output::remark(warning));
    }
    Ok(run)
}

fn checkpoint_flags(args: &TrainArgs, config: &mut dyn AlgorithmConfig) -> Vec<ConfigError> {
    let flags = [
        ("--checkpoint-freq", "checkpoint_frequency", args.checkpoint_freq.map(|every| json!(every))),
        ("--checkpoint-at-end", "checkpoint_at_end", args.checkpoint_at_end.map(|save| json!(save))),
    ];
    set_each(config, flags)
}

/// Whether `debugging.log_level` asks for remarks of this level.
fn says(config: &dyn AlgorithmConfig, level: LogLevel) -> bool {
    let rank = |level| match level {
        LogLevel::Error => 0,
        LogLevel::Warn => 1,
        LogLevel::Info => 2,
        LogLevel::Debug => 3,
    };
    rank(config.common().debugging.log_level) >= rank(level)
}

/// What runs, where it writes, and with which seed.
fn announce(args: &TrainArgs, run: &Run) {
    let config = run.algorithm().config();
    let env = config.common().environment.env.clone().unwrap_or_default();
    if args.json {
        let start = json!({
            "event": "start",
            "run_dir": run.path(),
            "seed": run.algorithm().seed(),
            "config": config.to_value(),
            "warnings": run.algorithm().warnings(),
        });
        return output::line(&start.to_string());
    }
    let threads = config.common().resources.num_threads;
    let seed = run.algorithm().seed();
    output::line(&format!(
        "{} on {env}, seed {seed}, {threads} thread{}, writing to {}",
        config.algorithm(),
        if threads == 1 { "" } else { "s" },
        run.path().display()
    ));
    if config.stop().0.is_empty() && says(config, LogLevel::Warn) {
        output::remark("no stop criterion: runs until Ctrl-C, which saves a checkpoint");
    }
    if says(config, LogLevel::Info) {
        output::remark(run.algorithm().plan().to_string().trim_end());
    }
    if says(config, LogLevel::Debug) {
        output::remark(run.algorithm().pipeline().trim_end());
    }
}

fn choose_progress(args: &TrainArgs, run: &Run) -> Box<dyn Progress> {
    let stop = run.algorithm().config().stop().clone();
    match (args.json, output::is_interactive()) {
        (true, _) => Box::new(JsonLines),
        (false, true) => Box::new(LiveTable::new(stop)),
        (false, false) => Box::new(PlainLines::new(stop)),
    }
}

fn report_end(args: &TrainArgs, run: &Run, summary: &RunSummary, interrupted: bool) {
    let evaluation = summary.evaluation.as_ref().map(|evaluation| (Summary::of(evaluation), evaluation));
    if args.json {
        let end = json!({
            "event": "end",
            "reason": summary.reason,
            "criterion_met": summary.criterion_met,
            "interrupted": interrupted,
            "run_dir": run.path(),
            "checkpoint": summary.checkpoint,
            "evaluation": evaluation.map(|(summary, evaluation)| summary.to_value(evaluation)),
        });
        return output::line(&end.to_string());
    }
    let steps = summary.result.get_count("num_env_steps_sampled_lifetime").unwrap_or_default();
    let time = summary.result.get("time_total_s").unwrap_or_default();
    let reason = if interrupted && !summary.criterion_met { "interrupted" } else { summary.reason.as_str() };
    output::line(&format!("{reason} after {} steps in {}", grouped(steps), duration(time)));
    if let Some((summary, evaluation)) = evaluation {
        output::line(&format!("evaluation: {}", summary.to_text(evaluation)));
    }
    match &summary.checkpoint {
        Some(checkpoint) => output::line(&format!("checkpoint: {}", checkpoint.display())),
        None => output::line(&format!("results: {} (no checkpoint was asked for)", run.path().display())),
    }
}
