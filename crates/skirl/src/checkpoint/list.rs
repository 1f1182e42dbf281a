//! The checkpoints of a run: names, `LATEST`, order, pruning.

use std::path::{Path, PathBuf};

use super::fs::{Fs, Kind, RealFs};
use super::path_rules::check_name;
use super::save::nonce;
use super::{CheckpointError, MANIFEST};

/// File that names the newest checkpoint.
pub(super) const LATEST: &str = "LATEST";
/// Longest content of `LATEST` that is read.
const MAX_LATEST_LEN: u64 = 4096;
/// Start of the names of checkpoints by step.
const STEP_PREFIX: &str = "step-";
/// Start of the names of checkpoints that are being written.
pub(super) const TEMPORARY_PREFIX: &str = ".tmp-";
/// Start of the names of checkpoints that are being replaced by another one of the same name.
pub(super) const REPLACED_PREFIX: &str = ".replaced-";

/// One checkpoint of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Name of its directory.
    pub name: String,
    /// Its directory.
    pub path: PathBuf,
    /// Whether `LATEST` names it.
    pub is_latest: bool,
}

/// Name of the checkpoint at a number of environment steps: `step-000000819200`.
pub fn step_name(env_steps: u64) -> String {
    format!("{STEP_PREFIX}{env_steps:012}")
}

/// The steps in a name that [`step_name`] made.
pub(super) fn steps_of(name: &str) -> Option<u64> {
    name.strip_prefix(STEP_PREFIX)?.parse().ok()
}

/// The complete checkpoints in a `checkpoints/` directory: other names first, then by steps, the newest last.
/// Their files are not checked.
pub fn list(parent: &Path) -> Result<Vec<Entry>, CheckpointError> {
    list_in(&RealFs, parent)
}

pub(super) fn list_in(fs: &impl Fs, parent: &Path) -> Result<Vec<Entry>, CheckpointError> {
    let latest = read_latest(fs, parent).ok().flatten();
    let mut names = fs.list_dir(parent).map_err(CheckpointError::io("list", parent))?;
    names.retain(|name| !name.starts_with('.') && is_checkpoint(fs, &parent.join(name)));
    names.sort_by_key(|name| (steps_of(name), name.clone()));
    let entry =
        |name: String| Entry { path: parent.join(&name), is_latest: latest.as_ref() == Some(&name), name };
    Ok(names.into_iter().map(entry).collect())
}

/// Whether the path is a directory with a manifest.
pub(super) fn is_checkpoint(fs: &impl Fs, path: &Path) -> bool {
    fs.kind(path).is_ok_and(|kind| kind == Kind::Directory)
        && fs.kind(&path.join(MANIFEST)).is_ok_and(|kind| matches!(kind, Kind::File(_)))
}

/// The name in `LATEST`; `None` when there is no such file. The error is what is wrong with it.
pub(super) fn read_latest(fs: &impl Fs, parent: &Path) -> Result<Option<String>, String> {
    let path = parent.join(LATEST);
    if !matches!(fs.kind(&path), Ok(Kind::File(_))) {
        return Ok(None);
    }
    let bytes = fs.read(&path, MAX_LATEST_LEN).map_err(|error| error.to_string())?;
    let text = String::from_utf8(bytes).map_err(|_| "it is not UTF-8".to_string())?;
    let name = text.trim_end_matches('\n').to_string();
    check_name(&name).map_err(|reason| format!("the name `{}` in it {reason}", name.escape_debug()))?;
    Ok(Some(name))
}

/// Removes all but the newest `keep` checkpoints named by step (at least 1; 2 leave one to fall back on), oldest first.
/// What `LATEST` names always stays, and so do checkpoints with other names. Returns the removed ones.
pub fn prune(parent: &Path, keep: usize) -> Result<Vec<PathBuf>, CheckpointError> {
    prune_in(&RealFs, parent, keep)
}

pub(super) fn prune_in(fs: &impl Fs, parent: &Path, keep: usize) -> Result<Vec<PathBuf>, CheckpointError> {
    let mut entries = list_in(fs, parent)?;
    entries.retain(|entry| steps_of(&entry.name).is_some());
    let num_old = entries.len().saturating_sub(keep.max(1));
    let mut removed = Vec::new();
    for entry in entries.into_iter().take(num_old).filter(|entry| !entry.is_latest) {
        // Renamed first, so that a half-removed directory is never taken for a checkpoint.
        let doomed = parent.join(format!("{TEMPORARY_PREFIX}{}-{:016x}", entry.name, nonce()));
        fs.rename(&entry.path, &doomed).map_err(CheckpointError::io("rename", &entry.path))?;
        fs.remove_dir_all(&doomed).map_err(CheckpointError::io("remove", &doomed))?;
        removed.push(entry.path);
    }
    Ok(removed)
}
