//! The checkpoints of a run: names, `LATEST`, order, pruning.

use std::path::{Path, PathBuf};

use super::fs::{Fs, Kind, RealFs};
use super::load::read_manifest;
use super::path_rules::check_name;
use super::save::nonce;
use super::{CheckpointError, MANIFEST};

/// File that names the newest checkpoint.
pub(super) const LATEST: &str = "LATEST";
/// File that names the best checkpoint by the run's metric.
pub(super) const BEST: &str = "BEST";
/// Longest content of `LATEST` and `BEST` that is read.
const MAX_POINTER_LEN: u64 = 4096;
/// Sound checkpoints that pruning leaves at least.
const MIN_KEPT: usize = 2;
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
    /// Whether `BEST` names it.
    pub is_best: bool,
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
    let named = |pointer| read_pointer(fs, parent, pointer).ok().flatten();
    let (latest, best) = (named(LATEST), named(BEST));
    let mut names = fs.list_dir(parent).map_err(CheckpointError::io("list", parent))?;
    names.retain(|name| !name.starts_with('.') && is_checkpoint(fs, &parent.join(name)));
    names.sort_by_key(|name| (steps_of(name), name.clone()));
    let entry = |name: String| Entry {
        path: parent.join(&name),
        is_latest: latest.as_ref() == Some(&name),
        is_best: best.as_ref() == Some(&name),
        name,
    };
    Ok(names.into_iter().map(entry).collect())
}

/// Whether no save into this directory has ever finished: nothing is in it but what an interrupted first one left.
/// A directory from which checkpoints were lost is another matter.
pub(crate) fn has_never_saved(parent: &Path) -> bool {
    let is_leftover = |name: &String| name.starts_with(TEMPORARY_PREFIX);
    RealFs.list_dir(parent).is_ok_and(|names| names.iter().all(is_leftover))
}

/// Whether the path is a directory with a manifest.
pub(super) fn is_checkpoint(fs: &impl Fs, path: &Path) -> bool {
    fs.kind(path).is_ok_and(|kind| kind == Kind::Directory)
        && fs.kind(&path.join(MANIFEST)).is_ok_and(|kind| matches!(kind, Kind::File(_)))
}

/// The name in `LATEST` or `BEST`; `None` when there is no such file. The error is what is wrong with it.
pub(super) fn read_pointer(fs: &impl Fs, parent: &Path, pointer: &str) -> Result<Option<String>, String> {
    let path = parent.join(pointer);
    if !matches!(fs.kind(&path), Ok(Kind::File(_))) {
        return Ok(None);
    }
    let bytes = fs.read(&path, MAX_POINTER_LEN).map_err(|error| error.to_string())?;
    let text = String::from_utf8(bytes).map_err(|_| "it is not UTF-8".to_string())?;
    let name = text.trim_end_matches('\n').to_string();
    check_name(&name).map_err(|reason| format!("the name `{}` in it {reason}", name.escape_debug()))?;
    Ok(Some(name))
}

/// The best checkpoint of a run, as `BEST` in its `checkpoints/` says.
///
/// # Errors
/// When there is no `BEST`, or what it names is gone.
pub fn best(parent: &Path) -> Result<PathBuf, CheckpointError> {
    let not_found = |found: String| CheckpointError::NotFound { path: parent.join(BEST), found };
    let name = read_pointer(&RealFs, parent, BEST).map_err(not_found)?;
    let name = name.ok_or_else(|| {
        not_found(
            "the run ranks none, or its metric was never there when it saved \
             (checkpointing.checkpoint_score_attribute)"
                .into(),
        )
    })?;
    let path = parent.join(&name);
    if is_checkpoint(&RealFs, &path) {
        Ok(path)
    } else {
        Err(not_found(format!("it names `{name}`, which is gone")))
    }
}

/// Removes all but the newest `keep` checkpoints named by step, oldest first. Two always stay, so that there is one to
/// fall back on; what `LATEST` names stays, and so do checkpoints with other names, and damaged ones (which do not
/// count). Returns the removed ones.
pub fn prune(parent: &Path, keep: usize) -> Result<Vec<PathBuf>, CheckpointError> {
    prune_in(&RealFs, parent, keep, &|_| None)
}

/// As [`prune`], but beside the newest the best stay, by the score of each name: higher is better, none is worst.
pub(super) fn prune_in(
    fs: &impl Fs,
    parent: &Path,
    keep: usize,
    score: &dyn Fn(&str) -> Option<f64>,
) -> Result<Vec<PathBuf>, CheckpointError> {
    let mut others = list_in(fs, parent)?;
    others.retain(|entry| steps_of(&entry.name).is_some() && is_whole(fs, &entry.path));
    others.pop();
    let num_removed = (others.len() + 1).saturating_sub(keep.max(MIN_KEPT));
    // Stable: the older of equal ones goes first.
    let score = |entry: &Entry| score(&entry.name).unwrap_or(f64::NEG_INFINITY);
    others.sort_by(|left, right| score(left).total_cmp(&score(right)));
    let mut removed = Vec::new();
    for entry in others.into_iter().take(num_removed).filter(|entry| !entry.is_latest) {
        // Renamed first, so that a half-removed directory is never taken for a checkpoint.
        let doomed = parent.join(format!("{TEMPORARY_PREFIX}{}-{:016x}", entry.name, nonce()));
        fs.rename(&entry.path, &doomed).map_err(CheckpointError::io("rename", &entry.path))?;
        fs.remove_dir_all(&doomed).map_err(CheckpointError::io("remove", &doomed))?;
        removed.push(entry.path);
    }
    Ok(removed)
}

/// Whether the manifest is sound and every file there with its length: damage of content shows when it is read.
fn is_whole(fs: &impl Fs, path: &Path) -> bool {
    let Ok(manifest) = read_manifest(fs, &path.join(MANIFEST)) else { return false };
    let has_len =
        |name: &String, len: u64| matches!(fs.kind(&path.join(name)), Ok(Kind::File(found)) if found == len);
    manifest.files.iter().all(|(name, record)| has_len(name, record.len))
}
