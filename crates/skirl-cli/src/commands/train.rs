//! `skirl train`: a run from start or checkpoint to its stop criterion.

use std::path::Path;

use clap::CommandFactory;
use serde_json::json;
use skirl::config::{AlgorithmConfig, ConfigError, ConfigErrors, LogLevel, StopReason};
use skirl::report::TrainResult;
use skirl::run::{Flow, Run, RunSummary};

use super::evaluate::Summary;
use super::explain;
use crate::args::{Cli, TrainArgs};
use crate::config_source::{self, apply_flags, evaluation_never, set_each};
use crate::exit::{ExitStatus, Failure};
use crate::flow::flow;
use crate::interrupt::Interrupt;
use crate::number::{duration, grouped, measured};
use crate::output::{self, line_width};
use crate::progress::{JsonLines, LiveTable, PlainLines, Progress};
use crate::run_path;
use crate::shell;
use crate::stop_check::{Missed, StopCheck};

pub(crate) fn run(args: &TrainArgs) -> Result<ExitStatus, Failure> {
    if let Some(section) = &args.help_options {
        return explain::options(args.source.run.as_deref(), section);
    }
    let interrupt = Interrupt::listen();
    let mut run = match &args.resume {
        Some(directory) => resume(args, directory)?,
        None => create(args)?,
    };
    interrupt.stops(run.stop_handle());
    announce(args, &run);
    if let Some(reason) = already_met(&run) {
        report_nothing_to_do(args, &run, &reason);
        return Ok(ExitStatus::Success);
    }
    let watched = watch(args, &mut run);
    let summary = watched.outcome.map_err(|error| while_running(&error, run.path()))?;
    report_end(args, &run, &summary);
    if let Some(problem) = watched.wrong_stop {
        return Err(Failure::usage(format!("{problem}\n  then: {}", more(run.path()))));
    }
    if output::reader_is_gone() {
        output::remark(&format!("nobody reads the output any more: saved and ended; {}", more(run.path())));
    }
    let interrupted = summary.interrupted || output::reader_is_gone();
    Ok(if interrupted && !summary.criterion_met { ExitStatus::Interrupted } else { ExitStatus::Success })
}

/// How training went.
struct Watched {
    outcome: Result<RunSummary, skirl::Error>,
    wrong_stop: Option<String>,
}

/// Trains to the end, shows every result, and listens to who wants to stop.
fn watch(args: &TrainArgs, run: &mut Run) -> Watched {
    let mut progress = choose_progress(args, run);
    let mut stop_check = StopCheck::new(run.algorithm());
    let mut wrong_stop = None;
    // Told between two results, so that what is drawn stays whole.
    let (sender, warnings) = std::sync::mpsc::channel();
    run.on_warning(move |warning| drop(sender.send(warning.to_owned())));
    let outcome = run.train_until_stop(&mut |result| {
        for warning in warnings.try_iter() {
            output::warning(&warning);
        }
        progress.result(result);
        match stop_check.see(result) {
            Some(Missed::Never(problem)) => wrong_stop = Some(problem),
            Some(Missed::NotYet(warning)) => output::warning(&warning),
            None => {}
        }
        if output::reader_is_gone() || wrong_stop.is_some() { Flow::Stop } else { Flow::Continue }
    });
    progress.finish();
    warnings.try_iter().for_each(|warning| output::remark(&format!("warning: {warning}")));
    Watched { outcome, wrong_stop }
}

/// What went wrong, and where the results so far are.
fn while_running(error: &skirl::Error, directory: &Path) -> Failure {
    let Failure { status, message } = Failure::while_running(error);
    Failure {
        status,
        message: format!("{message}\n  results and checkpoints so far: {}", directory.display()),
    }
}

/// The stop criterion that the last result of a resumed run has met: training on would overshoot it.
fn already_met(run: &Run) -> Option<StopReason> {
    let algorithm = run.algorithm();
    let text = std::fs::read_to_string(run.path().join("result.jsonl")).ok()?;
    let last = TrainResult::from_value(&serde_json::from_str(text.lines().last()?).ok()?);
    let is_newest = last.get_count("training_iteration") == Some(algorithm.training_iteration());
    algorithm.config().stop().reached(|metric| last.get(metric)).filter(|_| is_newest)
}

fn report_nothing_to_do(args: &TrainArgs, run: &Run, reason: &StopReason) {
    let (reason, unused) = (in_words(reason), options_given(args));
    if args.json {
        let end = json!({
            "event": "end",
            "reason": reason,
            "criterion_met": true,
            "interrupted": false,
            "run_dir": run.path(),
            "not_used": unused,
        });
        return output::line(&end.to_string());
    }
    output::line(&format!("nothing to do: {reason}"));
    if !unused.is_empty() {
        let which = unused.join(", ");
        output::remark(&format!("not used: {which}; nothing is left to train under this stop criterion"));
    }
    output::remark(&format!("ask for more: {}", more(run.path())));
}

/// Flags that change options, as they were typed; without stop criteria, which were looked at.
fn options_given(args: &TrainArgs) -> Vec<String> {
    let source = &args.source;
    let flag = |name: &'static str| move |value: &String| format!("--{name} {value}");
    let numbers = [("num-threads", source.num_threads), ("checkpoint-freq", args.checkpoint_freq)];
    let numbers = numbers.into_iter().filter_map(|(name, value)| Some(format!("--{name} {}", value?)));
    let at_end = args.checkpoint_at_end.map(|save| format!("--checkpoint-at-end {save}"));
    let named = source.config.iter().map(flag("config")).chain(source.set.iter().map(flag("set")));
    named.chain(numbers).chain(at_end).collect()
}

/// How a run goes on with another stop criterion.
fn more(directory: &Path) -> String {
    format!("skirl train --resume {} --stop '{{\"METRIC\": MINIMUM}}'", shell::word(directory))
}

/// `env_runners/episode_return_mean = 475.96 reached 475`, without digits that nobody reads.
fn in_words(reason: &StopReason) -> String {
    format!("{} = {} reached {}", reason.metric, measured(reason.value), measured(reason.threshold))
}

fn create(args: &TrainArgs) -> Result<Run, Failure> {
    let mut configured = config_source::read(&args.source)?;
    let wrong = checkpoint_flags(args, &mut *configured.config);
    ConfigErrors(wrong).into_result()?;
    if !args.json && says(&*configured.config, LogLevel::Warn) {
        configured.remarks.iter().for_each(|remark| output::remark(remark));
    }
    // What does not fit the environment is found before a directory is made for the run.
    skirl::plan::explain(&*configured.config).map_err(|error| Failure::at_start(&error))?;
    let run = Run::create(configured.config, args.output.as_deref());
    run.inspect(|run| warn(args, run)).map_err(|error| Failure::at_start(&error))
}

fn resume(args: &TrainArgs, directory: &Path) -> Result<Run, Failure> {
    let edit = |config: &mut dyn AlgorithmConfig| {
        let mut errors = apply_flags(&args.source, config);
        errors.extend(checkpoint_flags(args, config));
        errors.extend(evaluation_never(config));
        ConfigErrors(errors).into_result().map_err(skirl::Error::from)
    };
    let directory = run_path::to_resume(directory)?;
    Run::resume(directory, edit).inspect(|run| warn(args, run)).map_err(|error| Failure::on_restore(&error))
}

fn warn(args: &TrainArgs, run: &Run) {
    if !args.json && says(run.algorithm().config(), LogLevel::Warn) {
        run.warnings().iter().for_each(|warning| output::warning(warning));
    }
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
            "num_threads": run.algorithm().plan().num_threads,
            "config": config.to_value(),
            "warnings": run.warnings(),
        });
        return output::line(&start.to_string());
    }
    let threads = run.algorithm().plan().num_threads;
    let what = [
        format!("{} on {env}, seed {}", config.algorithm(), run.algorithm().seed()),
        format!("{threads} thread{}", if threads == 1 { "" } else { "s" }),
        format!("writing to {}", run.path().display()),
    ];
    flow(&what, ", ", 0, line_width()).iter().for_each(|line| output::line(line));
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
        (false, true) => Box::new(LiveTable::new(stop, first_iteration(run))),
        (false, false) => Box::new(PlainLines::new(stop)),
    }
}

/// What a terminal shows until there is a result.
fn first_iteration(run: &Run) -> String {
    let algorithm = run.algorithm();
    let steps = algorithm.plan().batch.rows as u64;
    format!("iteration {}, {} steps", grouped(algorithm.training_iteration() + 1), grouped(steps))
}

fn report_end(args: &TrainArgs, run: &Run, summary: &RunSummary) {
    let interrupted = summary.interrupted || output::reader_is_gone();
    let evaluation = summary.evaluation.as_ref().map(|evaluation| (Summary::of(evaluation), evaluation));
    if args.json {
        let end = json!({
            "event": "end",
            "reason": summary.reason,
            "criterion_met": summary.criterion_met,
            "interrupted": interrupted,
            "run_dir": run.path(),
            "checkpoint": summary.checkpoint,
            "best": summary.best.as_ref().map(|(path, score)| json!({ "checkpoint": path, "score": score })),
            "warnings": run.warnings(),
            "evaluation": evaluation.map(|(summary, evaluation)| summary.to_value(evaluation)),
        });
        return output::line(&end.to_string());
    }
    let steps = run.algorithm().env_steps();
    let time = summary.result.get("time_total_s").unwrap_or_default();
    let stop = run.algorithm().config().stop();
    let reason = match stop.reached(|metric| summary.result.get(metric)) {
        Some(reason) if summary.criterion_met => in_words(&reason),
        _ if interrupted => "interrupted".to_owned(),
        _ => "stopped".to_owned(),
    };
    output::line(&format!("{reason} after {} steps in {}", grouped(steps), duration(time)));
    if let Some((summary, evaluation)) = evaluation {
        output::line(&format!("evaluation: {}", summary.to_text(evaluation)));
    }
    where_things_are(run.path(), summary);
}

/// The last lines: the run's directory, its newest and its best checkpoint, and what can be done with them.
fn where_things_are(directory: &Path, summary: &RunSummary) {
    output::line(&format!("results: {}", directory.display()));
    let Some(checkpoint) = &summary.checkpoint else {
        return output::line("checkpoint: none was asked for");
    };
    output::line(&path_line("checkpoint", checkpoint, "", directory));
    if let Some((path, score)) = &summary.best {
        output::line(&path_line("best", path, &format!(" ({})", measured(*score)), directory));
    }
    let there = Cli::command();
    let commands = ["evaluate", "plot", "train --resume"].into_iter();
    let commands = commands
        .filter(|command| there.find_subcommand(command.split(' ').next().unwrap_or_default()).is_some());
    let mut pieces: Vec<String> =
        commands.map(|command| format!("skirl {command} {}", shell::word(directory))).collect();
    pieces.iter_mut().take(1).for_each(|first| first.insert_str(0, "next: "));
    flow(&pieces, "  |  ", "next: ".len(), line_width()).iter().for_each(|line| output::line(line));
}

/// A path by its whole name where that fits the line, else seen from the run's directory.
fn path_line(what: &str, path: &Path, more: &str, directory: &Path) -> String {
    let line = format!("{what}: {}{more}", path.display());
    if line.chars().count() <= line_width() {
        return line;
    }
    format!("{what}: {}{more}", path.strip_prefix(directory).unwrap_or(path).display())
}
