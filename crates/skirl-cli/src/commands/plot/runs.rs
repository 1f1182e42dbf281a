//! Which runs are meant.

use std::path::{Path, PathBuf};

use crate::exit::Failure;

/// How deep below a given directory runs are looked for.
const MAX_DEPTH: usize = 5;
/// Files that make a directory a run.
const RESULTS: [&str; 2] = ["result.jsonl", "progress.csv"];

/// A directory with results, and the name that its curve was given.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct FoundRun {
    pub(super) path: PathBuf,
    pub(super) name: Option<String>,
}

/// All runs, in the order given, those of a directory by name; each once.
pub(super) fn find(given: &[String]) -> Result<Vec<FoundRun>, Failure> {
    let mut found: Vec<FoundRun> = Vec::new();
    for text in given {
        let (name, path) = split(text);
        let mut paths = Vec::new();
        look_into(&path, 0, &mut paths);
        if paths.is_empty() {
            return Err(nothing_in(&path));
        }
        for path in paths {
            let run = FoundRun { path, name: name.clone() };
            if !found.contains(&run) {
                found.push(run);
            }
        }
    }
    Ok(found)
}

/// `NAME=DIR`, unless there is a directory with the equals sign in its name.
fn split(text: &str) -> (Option<String>, PathBuf) {
    match text.split_once('=') {
        Some((name, path)) if !Path::new(text).exists() && !name.is_empty() => {
            (Some(name.to_owned()), PathBuf::from(path))
        }
        _ => (None, PathBuf::from(text)),
    }
}

fn look_into(path: &Path, depth: usize, found: &mut Vec<PathBuf>) {
    if path.is_file() {
        let is_result =
            path.file_name().and_then(|name| name.to_str()).is_some_and(|name| RESULTS.contains(&name));
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        found.extend(is_result.then(|| parent.to_owned()));
    } else if is_run(path) {
        found.push(path.to_owned());
    } else if depth < MAX_DEPTH {
        let entries = path.read_dir().into_iter().flatten();
        let mut inside: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
        inside.sort();
        inside.iter().filter(|path| path.is_dir()).for_each(|path| look_into(path, depth + 1, found));
    }
}

fn is_run(path: &Path) -> bool {
    RESULTS.iter().any(|name| path.join(name).is_file())
        || path.join("config.json").is_file() && path.join("checkpoints").is_dir()
}

fn nothing_in(path: &Path) -> Failure {
    let shown = path.display();
    if !path.exists() {
        return Failure::usage(format!("there is no directory {shown}"));
    }
    let problem = format!(
        "no run in {shown}: expected a directory with result.jsonl or progress.csv, or one of such directories"
    );
    Failure::usage(format!("{problem}\n  help: `skirl train --output DIR` makes one"))
}
