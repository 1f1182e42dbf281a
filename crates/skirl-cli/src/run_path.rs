//! Paths that a user gives for a run or a checkpoint, told apart before anything is loaded.

use std::path::{Path, PathBuf};

use crate::exit::{ExitStatus, Failure};
use crate::shell;

/// The directory of the run when its `checkpoints/` is given; one checkpoint among them is refused, as a run goes on from
/// its newest one only.
pub(crate) fn to_resume(path: &Path) -> Result<&Path, Failure> {
    let run_of = |checkpoints: &Path| {
        checkpoints.ends_with("checkpoints") && checkpoints.join("../config.json").is_file()
    };
    match path.parent() {
        Some(run) if run_of(path) => Ok(if run.as_os_str().is_empty() { Path::new(".") } else { run }),
        Some(checkpoints) if run_of(checkpoints) => {
            let run = checkpoints.parent().unwrap_or(checkpoints);
            Err(Failure::usage(format!(
                "`{}` is a checkpoint of the run `{}`; a run goes on from its newest one\n  help: write --resume {}",
                path.display(),
                run.display(),
                shell::word(run)
            )))
        }
        _ => one_run(path, "train --resume").map(|()| path),
    }
}

/// Most runs that an error names.
const MAX_NAMED: usize = 10;

/// Refuses a directory that holds runs and is none itself.
fn one_run(path: &Path, command: &str) -> Result<(), Failure> {
    let has = |directory: &Path, name: &str| directory.join(name).exists();
    if ["config.json", "manifest.json", "checkpoints", "LATEST"].iter().any(|name| has(path, name)) {
        return Ok(());
    }
    let is_run = |path: &PathBuf| has(path, "config.json") && !has(path, "manifest.json");
    let entries = path.read_dir().into_iter().flatten().flatten();
    let mut runs: Vec<PathBuf> = entries.map(|entry| entry.path()).filter(is_run).collect();
    if runs.is_empty() {
        return Ok(());
    }
    runs.sort();
    let mut help: Vec<String> =
        runs.iter().take(MAX_NAMED).map(|run| format!("skirl {command} {}", shell::word(run))).collect();
    if runs.len() > MAX_NAMED {
        help.push(format!("… ({} in all)", runs.len()));
    }
    let problem = format!("`{}` holds runs, but is none", path.display());
    Err(Failure::usage(format!("{problem}\n  help: {}", help.join("\n        "))))
}

/// The checkpoints of a run when its directory is given, or the best one of them, else the path itself.
pub(crate) fn to_evaluate(path: &Path, best: bool) -> Result<PathBuf, Failure> {
    let inside = path.join("checkpoints");
    if path.join("component.json").is_file() {
        return Err(part_of_a_checkpoint(path));
    }
    one_run(path, "evaluate")?;
    saved(path)?;
    let checkpoints = if inside.is_dir() { inside } else { path.to_owned() };
    match best {
        true => skirl::checkpoint::best(&checkpoints).map_err(|error| Failure::at_start(&error.into())),
        false => Ok(checkpoints),
    }
}

/// A part has weights but no environment to play in.
fn part_of_a_checkpoint(path: &Path) -> Failure {
    let part = format!(
        "`{}` is a part of a checkpoint: it does not say in which environment to play",
        path.display()
    );
    let help = match path.ancestors().find(|parent| parent.join("manifest.json").is_file()) {
        Some(whole) => format!("give the whole: skirl evaluate {}", shell::word(whole)),
        None => "give the whole checkpoint, or the directory of its run".to_owned(),
    };
    Failure { status: ExitStatus::Checkpoint, message: format!("{part}\n  help: {help}") }
}

/// Refuses a run that has not saved anything yet.
fn saved(run: &Path) -> Result<(), Failure> {
    let is_run = run.join("config.json").is_file() && !run.join("manifest.json").exists();
    let Ok(mut entries) = run.join("checkpoints").read_dir() else { return Ok(()) };
    if !is_run || entries.next().is_some() {
        return Ok(());
    }
    let problem = format!("the run `{}` has saved no checkpoint", run.display());
    let help = "start it again; --checkpoint-freq N saves every N iterations, Ctrl-C saves at once";
    Err(Failure { status: ExitStatus::Checkpoint, message: format!("{problem}\n  help: {help}") })
}
