//! Writing a checkpoint so that at every instant the previous one or the new one loads.
//!
//! Order: files and manifest under a temporary name, sync of each file, sync of each directory, rename, sync of the
//! parent, verification by reading everything back, `LATEST` by rename, sync of the parent, removal of leftovers.

use std::collections::{BTreeMap, BTreeSet};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use super::fs::{Fs, Kind, RealFs};
use super::list::{BEST, LATEST, REPLACED_PREFIX, TEMPORARY_PREFIX, is_checkpoint, steps_of};
use super::load::{LoadOptions, read_checkpoint};
use super::manifest::{FileRecord, MAX_MANIFEST_LEN, Manifest};
use super::path_rules::{check_name, check_relative_path};
use super::tensor::{self, check_finite};
use super::{COMPONENT_MANIFEST, CheckpointError, MANIFEST, Payload, Snapshot};

/// Saves a checkpoint as `parent/name` and points `parent/LATEST` to it. Returns its directory.
///
/// A checkpoint of that name is replaced; leftovers of interrupted saves are removed. Only one process may save into
/// `parent` at a time (a run directory's lock sees to that).
///
/// # Errors
/// When a file cannot be written (the previous checkpoint is then untouched), weights are not finite, or the read-back
/// differs.
pub fn save(parent: &Path, name: &str, snapshot: &Snapshot) -> Result<PathBuf, CheckpointError> {
    save_in(&RealFs, parent, name, snapshot)
}

/// Saves a checkpoint as exactly this directory, replacing a checkpoint that is there. `LATEST` is left alone.
///
/// # Errors
/// As [`save`]; and when the path holds anything but a checkpoint or an empty directory.
pub fn save_to(path: &Path, snapshot: &Snapshot) -> Result<PathBuf, CheckpointError> {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    publish(&RealFs, parent, name, snapshot)?;
    remove_leftovers(&RealFs, parent, |leftover| leftover == name);
    Ok(path.to_path_buf())
}

pub(super) fn save_in(
    fs: &impl Fs,
    parent: &Path,
    name: &str,
    snapshot: &Snapshot,
) -> Result<PathBuf, CheckpointError> {
    set_damaged_aside(fs, parent, name)?;
    let path = publish(fs, parent, name, snapshot)?;
    point(fs, parent, LATEST, name)?;
    remove_leftovers(fs, parent, |_| true);
    Ok(path)
}

/// A run that resumed from an older checkpoint comes to the step of a newer one again. Where that one lost its manifest it
/// cannot be replaced as a checkpoint; under our own naming it is set aside, so that the run goes on and nothing is lost.
fn set_damaged_aside(fs: &impl Fs, parent: &Path, name: &str) -> Result<(), CheckpointError> {
    let path = parent.join(name);
    let holds_something = || fs.list_dir(&path).is_ok_and(|names| !names.is_empty());
    let is_directory = fs.kind(&path).is_ok_and(|kind| kind == Kind::Directory);
    if steps_of(name).is_none() || !is_directory || is_checkpoint(fs, &path) || !holds_something() {
        return Ok(());
    }
    let aside = parent.join(format!("{name}.damaged-{:016x}", nonce()));
    fs.rename(&path, &aside).map_err(CheckpointError::io("rename", &path))
}

/// Writes, renames into place and verifies.
fn publish(fs: &impl Fs, parent: &Path, name: &str, snapshot: &Snapshot) -> Result<PathBuf, CheckpointError> {
    let reserved = if [LATEST, BEST].contains(&name) { Err("is reserved") } else { Ok(()) };
    check_name(name).and(reserved).map_err(|reason| CheckpointError::BadSnapshot {
        file: name.escape_debug().to_string(),
        reason: format!("the checkpoint's name {reason}; choose a plain name"),
    })?;
    let files = encode_all(snapshot)?;
    create_parent(fs, parent)?;
    check_space(fs, parent, &files)?;
    let temporary = parent.join(format!("{TEMPORARY_PREFIX}{name}-{:016x}", nonce()));
    let written =
        write_tree(fs, &temporary, &files).and_then(|()| move_into_place(fs, &temporary, parent, name));
    if let Err(error) = written {
        // Best effort: a leftover is ignored by every reader and removed by the next save.
        let _ = fs.remove_dir_all(&temporary);
        return Err(error);
    }
    let path = parent.join(name);
    verify(fs, &path, &files[MANIFEST])?;
    Ok(path)
}

/// Creates the directory of the checkpoints. Until a first save has succeeded there, the names of the directories above
/// it may not be durable yet, whoever created them.
fn create_parent(fs: &impl Fs, parent: &Path) -> Result<(), CheckpointError> {
    fs.create_dir_all(parent).map_err(CheckpointError::io("create", parent))?;
    if matches!(fs.kind(&parent.join(LATEST)), Ok(Kind::File(_))) {
        return Ok(());
    }
    for holder in parent.ancestors().skip(1) {
        let holder = if holder.as_os_str().is_empty() { Path::new(".") } else { holder };
        match fs.sync_dir(holder) {
            // Not ours, so not created by us: `/home` may be closed to its users.
            Err(error) if error.kind() == ErrorKind::PermissionDenied => {}
            synced => synced.map_err(CheckpointError::io("sync", holder))?,
        }
    }
    Ok(())
}

/// Blocks in which file systems give space to files and directories.
const BLOCK_LEN: u64 = 4096;

/// Refuses a save that cannot fit before anything is written. What the system says may be wrong or change meanwhile:
/// then a write fails.
fn check_space(
    fs: &impl Fs,
    parent: &Path,
    files: &BTreeMap<String, Vec<u8>>,
) -> Result<(), CheckpointError> {
    // Each file and each directory takes whole blocks; `LATEST` and its directory entry one more.
    let needed: u64 = files.values().map(|bytes| (bytes.len() as u64).next_multiple_of(BLOCK_LEN)).sum();
    let needed = needed + BLOCK_LEN * (component_count(files) + 2);
    match fs.free_space(parent) {
        Ok(Some(free)) if free < needed => {
            Err(CheckpointError::NoSpace { path: parent.to_path_buf(), needed, free })
        }
        // Not to know is no reason not to try.
        _ => Ok(()),
    }
}

fn component_count(files: &BTreeMap<String, Vec<u8>>) -> u64 {
    let directories: BTreeSet<&str> =
        files.keys().filter_map(|path| Some(path.rsplit_once('/')?.0)).collect();
    directories.len() as u64
}

/// Reads the checkpoint back. Its manifest being as written, and every file as the manifest says, all is as written.
fn verify(fs: &impl Fs, path: &Path, manifest: &[u8]) -> Result<(), CheckpointError> {
    read_checkpoint(fs, path, LoadOptions { require_finite: false })?;
    let file = path.join(MANIFEST);
    let reread = fs.read(&file, MAX_MANIFEST_LEN).map_err(CheckpointError::io("read", &file))?;
    if reread == manifest {
        return Ok(());
    }
    Err(CheckpointError::Damaged {
        file,
        expected: "the content that was just written".into(),
        found: "other content when it was read back".into(),
    })
}

/// All files of the checkpoint as bytes, by relative path: payloads, component manifests, the manifest.
pub(super) fn encode_all(snapshot: &Snapshot) -> Result<BTreeMap<String, Vec<u8>>, CheckpointError> {
    let mut files = BTreeMap::new();
    for (path, payload) in &snapshot.files {
        files.insert(path.clone(), encode_payload(path, payload)?);
    }
    let mut records: BTreeMap<String, FileRecord> =
        files.iter().map(|(path, bytes)| (path.clone(), FileRecord::of(path, bytes))).collect();
    for component in component_directories(&snapshot.files) {
        let below = below(&component, &records);
        let bytes = Manifest::new(&snapshot.manifest, &component, below).encode()?;
        files.insert(format!("{component}/{COMPONENT_MANIFEST}"), bytes);
    }
    records.extend(files.iter().map(|(path, bytes)| (path.clone(), FileRecord::of(path, bytes))));
    files.insert(MANIFEST.into(), Manifest::new(&snapshot.manifest, "", records).encode()?);
    Ok(files)
}

/// Every directory that directly holds a payload.
fn component_directories(payloads: &BTreeMap<String, Payload>) -> BTreeSet<String> {
    payloads.keys().filter_map(|path| Some(path.rsplit_once('/')?.0.to_string())).collect()
}

/// The payloads below a directory, relative to it.
fn below(directory: &str, records: &BTreeMap<String, FileRecord>) -> BTreeMap<String, FileRecord> {
    records
        .iter()
        .filter_map(|(path, record)| {
            Some((path.strip_prefix(directory)?.strip_prefix('/')?.to_string(), record.clone()))
        })
        .collect()
}

fn encode_payload(path: &str, payload: &Payload) -> Result<Vec<u8>, CheckpointError> {
    let bad = |reason: String| CheckpointError::BadSnapshot { file: path.escape_debug().to_string(), reason };
    check_relative_path(path)
        .map_err(|reason| bad(format!("its path {reason}; choose a plain relative path")))?;
    let name = path.rsplit('/').next().unwrap_or(path);
    if [MANIFEST, COMPONENT_MANIFEST].contains(&name) {
        return Err(bad("that name is reserved; choose another".into()));
    }
    let extension = Path::new(name).extension().and_then(|extension| extension.to_str());
    match payload {
        Payload::Tensors(tensors) if extension == Some("safetensors") => {
            if must_be_finite(path) {
                check_finite(Path::new(path), tensors)?;
            }
            tensor::encode(path, tensors)
        }
        Payload::Json(json) if extension == Some("json") => Ok(format!("{json:#}\n").into_bytes()),
        Payload::Tensors(_) => Err(bad("tensors go into a file called `….safetensors`".into())),
        Payload::Json(_) => Err(bad("JSON goes into a file called `….json`".into())),
    }
}

/// Whether NaN or infinity in this file means a broken run: weights, optimizer moments, normalisers. An environment's
/// state or observation may hold an infinity by design.
pub(super) fn must_be_finite(path: &str) -> bool {
    path.split('/').any(|part| part == "learner_group" || part.ends_with("_connector"))
}

fn write_tree(fs: &impl Fs, root: &Path, files: &BTreeMap<String, Vec<u8>>) -> Result<(), CheckpointError> {
    let mut directories = BTreeSet::from([root.to_path_buf()]);
    for path in files.keys() {
        directories.extend(
            root.join(path).ancestors().skip(1).take_while(|dir| *dir != root).map(Path::to_path_buf),
        );
    }
    for directory in &directories {
        fs.create_dir_all(directory).map_err(CheckpointError::io("create", directory))?;
    }
    // All writes before the first sync: the file system then writes them out together.
    for (path, bytes) in files {
        let path = root.join(path);
        fs.write_new(&path, bytes).map_err(CheckpointError::io("write", &path))?;
    }
    let paths: Vec<PathBuf> = files.keys().map(|path| root.join(path)).collect();
    let directories: Vec<PathBuf> = directories.into_iter().collect();
    fs.sync_all(&paths, &directories).map_err(|(path, error)| CheckpointError::io("sync", &path)(error))
}

/// Gives the finished directory its name. One that has the name already steps aside as `.replaced-<name>`, where
/// loading still finds it, until the new one is verified.
fn move_into_place(fs: &impl Fs, temporary: &Path, parent: &Path, name: &str) -> Result<(), CheckpointError> {
    let path = parent.join(name);
    match fs.kind(&path).map_err(CheckpointError::io("look at", &path))? {
        Kind::Absent => {}
        Kind::Directory if is_checkpoint(fs, &path) => step_aside(fs, parent, name)?,
        Kind::Directory if fs.list_dir(&path).is_ok_and(|names| names.is_empty()) => {}
        _ => return Err(CheckpointError::WouldReplace { path }),
    }
    fs.rename(temporary, &path).map_err(CheckpointError::io("rename", temporary))?;
    fs.sync_dir(parent).map_err(CheckpointError::io("sync", parent))
}

fn step_aside(fs: &impl Fs, parent: &Path, name: &str) -> Result<(), CheckpointError> {
    let (path, aside) = (parent.join(name), replaced_path(parent, name));
    if fs.kind(&aside).map_err(CheckpointError::io("look at", &aside))? != Kind::Absent {
        fs.remove_dir_all(&aside).map_err(CheckpointError::io("remove", &aside))?;
    }
    fs.rename(&path, &aside).map_err(CheckpointError::io("rename", &path))
}

/// Where the old checkpoint of a name is while a new one takes its place.
pub(super) fn replaced_path(parent: &Path, name: &str) -> PathBuf {
    parent.join(format!("{REPLACED_PREFIX}{name}"))
}

/// Makes `LATEST` or `BEST` name a checkpoint: the file is the old or the new one, never half.
pub(super) fn point(fs: &impl Fs, parent: &Path, pointer: &str, name: &str) -> Result<(), CheckpointError> {
    let path = parent.join(pointer);
    let temporary = parent.join(format!("{TEMPORARY_PREFIX}{pointer}-{:016x}", nonce()));
    let written =
        fs.write_new(&temporary, format!("{name}\n").as_bytes()).and_then(|()| fs.sync_file(&temporary));
    let renamed = written.and_then(|()| fs.rename(&temporary, &path));
    if renamed.is_err() {
        let _ = fs.remove_file(&temporary);
    }
    renamed.map_err(CheckpointError::io("write", &path))?;
    fs.sync_dir(parent).map_err(CheckpointError::io("sync", parent))
}

/// Removes temporary and replaced directories whose checkpoint's name is `wanted`. Best effort: readers ignore them.
fn remove_leftovers(fs: &impl Fs, parent: &Path, wanted: impl Fn(&str) -> bool) {
    for name in fs.list_dir(parent).unwrap_or_default() {
        let temporary = name.strip_prefix(TEMPORARY_PREFIX).and_then(|rest| Some(rest.rsplit_once('-')?.0));
        let Some(checkpoint) = temporary.or_else(|| name.strip_prefix(REPLACED_PREFIX)) else { continue };
        if wanted(checkpoint) {
            let path = parent.join(&name);
            let _ = match fs.kind(&path) {
                Ok(Kind::Directory) => fs.remove_dir_all(&path),
                _ => fs.remove_file(&path),
            };
        }
    }
}

/// A number that no other save uses: not reproducible, and not part of any content.
pub(super) fn nonce() -> u64 {
    static SAVES: AtomicU64 = AtomicU64::new(0);
    let nanoseconds =
        SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |elapsed| elapsed.as_nanos() as u64);
    let salt = u64::from(std::process::id()) << 32 ^ SAVES.fetch_add(1, Ordering::Relaxed);
    nanoseconds.rotate_left(20) ^ salt
}
