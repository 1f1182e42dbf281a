//! Reading checkpoints: a whole one, the newest sound one of a run, or one component.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::fs::{Fs, Kind, RealFs};
use super::list::{LATEST, REPLACED_PREFIX, list_in, read_pointer, steps_of};
use super::manifest::{FileRecord, MAX_FILE_LEN, MAX_MANIFEST_LEN, Manifest, ManifestInfo};
use super::save::{must_be_finite, replaced_path};
use super::snapshot::{json_of, tensors_of};
use super::tensor::{self, check_finite};
use super::{COMPONENT_MANIFEST, CheckpointError, MANIFEST, Payload, Snapshot, TensorFile};

/// Directory of the checkpoints inside a run's directory.
const CHECKPOINTS: &str = "checkpoints";

/// What loading insists on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LoadOptions {
    /// Refuse NaN and infinities in weights, optimizer moments and normalisers (default).
    pub require_finite: bool,
}

impl Default for LoadOptions {
    fn default() -> Self {
        Self { require_finite: true }
    }
}

/// A checkpoint that was read and proven against its manifest.
#[derive(Debug, Clone, PartialEq)]
pub struct Loaded {
    /// Its content.
    pub snapshot: Snapshot,
    /// The directory it came from.
    pub path: PathBuf,
    /// The skirl version that wrote it.
    pub skirl_version: String,
    /// What the user must be told, one sentence each: that `LATEST` was damaged, that an older checkpoint was used.
    pub warnings: Vec<String>,
}

/// One directory of a checkpoint, such as `learner_group/learner/rl_module/default_policy`.
#[derive(Debug, Clone, PartialEq)]
pub struct Component {
    /// What its manifest says about the run. `extra` is empty when it was loaded by its own manifest.
    pub manifest: ManifestInfo,
    /// Its path inside the checkpoint; empty for a whole one.
    pub component: String,
    /// Its files, relative to it.
    pub files: BTreeMap<String, Payload>,
    /// The skirl version that wrote it.
    pub skirl_version: String,
}

impl Component {
    /// The JSON of a file.
    pub fn json(&self, path: &str) -> Result<&Value, CheckpointError> {
        json_of(&self.files, path)
    }

    /// The tensors of a file.
    pub fn tensors<'a>(&'a self, path: &'a str) -> Result<TensorFile<'a>, CheckpointError> {
        tensors_of(&self.files, path)
    }
}

/// Loads a checkpoint.
///
/// `path` is one checkpoint's directory, which is then loaded or refused; or a `checkpoints/` or run directory, where
/// `LATEST` is followed, and when that one is damaged the newest sound one is taken instead, said in
/// [`Loaded::warnings`]. Every file's length and hash is checked before its content is used.
///
/// # Errors
/// When there is none, or none is sound.
pub fn load(path: &Path) -> Result<Loaded, CheckpointError> {
    load_with(path, LoadOptions::default())
}

/// [`load`] with options.
pub fn load_with(path: &Path, options: LoadOptions) -> Result<Loaded, CheckpointError> {
    // The user's own path may be a link; nothing below it may.
    let path = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf());
    load_in(&RealFs, &path, options)
}

pub(super) fn load_in(fs: &impl Fs, path: &Path, options: LoadOptions) -> Result<Loaded, CheckpointError> {
    let inner = path.join(CHECKPOINTS);
    if kind_of(fs, path)? == Kind::Directory && kind_of(fs, &path.join(MANIFEST))? == Kind::Absent {
        let parent = if kind_of(fs, &inner)? == Kind::Directory { inner } else { path.to_path_buf() };
        return load_newest(fs, &parent, options);
    }
    let mut warnings = Vec::new();
    let mut path = path.to_path_buf();
    if let Some(replaced) = replaced_sibling(fs, &path)? {
        warnings
            .push(format!("replacing `{}` was interrupted; the previous content is used", path.display()));
        path = replaced;
    }
    let (snapshot, skirl_version) = read_checkpoint(fs, &path, options)?;
    Ok(Loaded { snapshot, path, skirl_version, warnings })
}

/// The directory that stepped aside for a path that is absent.
fn replaced_sibling(fs: &impl Fs, path: &Path) -> Result<Option<PathBuf>, CheckpointError> {
    let name = path.file_name().and_then(|name| name.to_str());
    let (Some(parent), Some(name)) = (path.parent(), name) else { return Ok(None) };
    let replaced = replaced_path(parent, name);
    let is_there = kind_of(fs, path)? == Kind::Absent && kind_of(fs, &replaced)? == Kind::Directory;
    Ok(is_there.then_some(replaced))
}

/// Loads what `LATEST` names, or else the newest sound checkpoint of a `checkpoints/` directory.
fn load_newest(fs: &impl Fs, parent: &Path, options: LoadOptions) -> Result<Loaded, CheckpointError> {
    let (candidates, mut warnings) = candidates(fs, parent)?;
    let mut failures = Vec::new();
    for path in candidates {
        match read_checkpoint(fs, &path, options) {
            Ok((snapshot, skirl_version)) => {
                if !failures.is_empty() {
                    warnings.append(&mut failures);
                    warnings.push(format!("using the checkpoint `{}` instead", path.display()));
                }
                return Ok(Loaded { snapshot, path, skirl_version, warnings });
            }
            Err(error) => failures.push(error.to_string()),
        }
    }
    if failures.is_empty() {
        let found = format!("the directory has no `{LATEST}` and no complete checkpoint");
        return Err(CheckpointError::NotFound { path: parent.to_path_buf(), found });
    }
    Err(CheckpointError::NoneUsable { path: parent.to_path_buf(), failures })
}

/// What to try, best first, and what is odd about `LATEST`.
fn candidates(fs: &impl Fs, parent: &Path) -> Result<(Vec<PathBuf>, Vec<String>), CheckpointError> {
    let entries = list_in(fs, parent)?;
    let mut paths = Vec::new();
    let mut warnings = Vec::new();
    match read_pointer(fs, parent, LATEST) {
        Ok(Some(name)) => {
            paths = vec![parent.join(&name), replaced_path(parent, &name)];
            paths.retain(|path| matches!(kind_of(fs, path), Ok(Kind::Directory)));
            let newer = entries.last().filter(|entry| steps_of(&entry.name) > steps_of(&name));
            if paths.is_empty() {
                warnings.push(format!("`{LATEST}` names `{name}`, which does not exist"));
            } else if let Some(newer) = newer {
                warnings.push(format!(
                    "`{}` is newer than `{name}`, but its save did not finish; name it to load it",
                    newer.path.display()
                ));
            }
        }
        Ok(None) if entries.is_empty() => {}
        Ok(None) => {
            warnings.push(format!("`{}` has no `{LATEST}`; the newest checkpoint is used", parent.display()));
        }
        Err(reason) => warnings.push(format!("`{LATEST}` in `{}` is damaged: {reason}", parent.display())),
    }
    let listed = entries.into_iter().rev().map(|entry| entry.path);
    let replaced = fs.list_dir(parent).unwrap_or_default().into_iter();
    let replaced = replaced.filter(|name| name.starts_with(REPLACED_PREFIX)).map(|name| parent.join(name));
    for path in listed.chain(replaced) {
        if !paths.contains(&path) {
            paths.push(path);
        }
    }
    Ok((paths, warnings))
}

/// Loads one directory of a checkpoint, by its own `component.json` (also when it was copied elsewhere), or else by the
/// manifest of the checkpoint around it.
///
/// # Errors
/// When it is not part of a checkpoint, or damaged.
pub fn load_component(path: &Path) -> Result<Component, CheckpointError> {
    let path = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf());
    load_component_in(&RealFs, &path, LoadOptions::default())
}

pub(super) fn load_component_in(
    fs: &impl Fs,
    path: &Path,
    options: LoadOptions,
) -> Result<Component, CheckpointError> {
    if kind_of(fs, &path.join(COMPONENT_MANIFEST))? != Kind::Absent {
        let manifest = read_manifest(fs, &path.join(COMPONENT_MANIFEST))?;
        let files = read_files(fs, path, &manifest.component, &manifest.files, options)?;
        return Ok(component(manifest, files));
    }
    let is_root = |directory: &&Path| matches!(kind_of(fs, &directory.join(MANIFEST)), Ok(Kind::File(_)));
    let not_found = || CheckpointError::NotFound {
        path: path.to_path_buf(),
        found: format!("no `{COMPONENT_MANIFEST}` in it and no `{MANIFEST}` above it"),
    };
    let root = path.ancestors().find(is_root).ok_or_else(not_found)?;
    let name = path.strip_prefix(root).ok().and_then(Path::to_str).ok_or_else(not_found)?.replace('\\', "/");
    let mut manifest = read_manifest(fs, &root.join(MANIFEST))?;
    manifest.files.retain(|file, _| Path::new(file).starts_with(&name));
    if manifest.files.is_empty() {
        return Err(not_found());
    }
    let files = read_files(fs, root, "", &manifest.files, options)?;
    manifest.component.clone_from(&name);
    let relative =
        |file: String| Path::new(&file).strip_prefix(&name).ok().and_then(Path::to_str).map(str::to_string);
    let files = files.into_iter().filter_map(|(file, payload)| Some((relative(file)?, payload))).collect();
    Ok(component(manifest, files))
}

fn component(manifest: Manifest, files: BTreeMap<String, Payload>) -> Component {
    let (name, skirl_version) = (manifest.component.clone(), manifest.skirl_version.clone());
    Component { manifest: manifest.into_info(), component: name, files, skirl_version }
}

/// Reads one checkpoint directory entirely: content and the version that wrote it.
pub(super) fn read_checkpoint(
    fs: &impl Fs,
    path: &Path,
    options: LoadOptions,
) -> Result<(Snapshot, String), CheckpointError> {
    if kind_of(fs, path)? != Kind::Directory {
        return Err(CheckpointError::NotFound {
            path: path.to_path_buf(),
            found: "there is no such directory".into(),
        });
    }
    let manifest = read_manifest(fs, &path.join(MANIFEST))?;
    let files = read_files(fs, path, "", &manifest.files, options)?;
    let skirl_version = manifest.skirl_version.clone();
    Ok((Snapshot { manifest: manifest.into_info(), files }, skirl_version))
}

pub(super) fn read_manifest(fs: &impl Fs, path: &Path) -> Result<Manifest, CheckpointError> {
    match kind_of(fs, path)? {
        Kind::File(len) if len <= MAX_MANIFEST_LEN => {}
        Kind::File(found) => {
            let file = path.to_path_buf();
            return Err(CheckpointError::TooLarge {
                file,
                what: "its length, in bytes,",
                found,
                limit: MAX_MANIFEST_LEN,
            });
        }
        other => return Err(damaged(path, "a regular file", found_text(other))),
    }
    let bytes = fs.read(path, MAX_MANIFEST_LEN).map_err(CheckpointError::io("read", path))?;
    Manifest::decode(path, &bytes)
}

/// Reads and proves the files of a manifest. `component` is the path of `root` inside its checkpoint.
fn read_files(
    fs: &impl Fs,
    root: &Path,
    component: &str,
    records: &BTreeMap<String, FileRecord>,
    options: LoadOptions,
) -> Result<BTreeMap<String, Payload>, CheckpointError> {
    let mut files = BTreeMap::new();
    for (name, record) in records {
        let path = root.join(name);
        check_directories(fs, root, name)?;
        let bytes = read_proven(fs, &path, record)?;
        if name.rsplit('/').next() == Some(COMPONENT_MANIFEST) {
            continue;
        }
        let payload = decode_payload(&path, &bytes)?;
        let is_checked = options.require_finite && (must_be_finite(name) || must_be_finite(component));
        if let (Payload::Tensors(tensors), true) = (&payload, is_checked) {
            check_finite(&path, tensors)?;
        }
        files.insert(name.clone(), payload);
    }
    Ok(files)
}

/// Refuses a link anywhere between the checkpoint and its file: it could lead out of it.
fn check_directories(fs: &impl Fs, root: &Path, name: &str) -> Result<(), CheckpointError> {
    let mut directory = root.to_path_buf();
    let Some((parents, _)) = name.rsplit_once('/') else { return Ok(()) };
    for part in parents.split('/') {
        directory.push(part);
        match kind_of(fs, &directory)? {
            Kind::Directory => {}
            other => return Err(damaged(&directory, "a directory", found_text(other))),
        }
    }
    Ok(())
}

/// Reads a file whose length and hash are as recorded; the length is compared before anything is read.
fn read_proven(fs: &impl Fs, path: &Path, record: &FileRecord) -> Result<Vec<u8>, CheckpointError> {
    match kind_of(fs, path)? {
        Kind::File(len) if len == record.len => {}
        Kind::File(len) => {
            return Err(damaged(path, &format!("{} bytes", record.len), format!("{len} bytes")));
        }
        other => {
            return Err(damaged(path, &format!("a regular file of {} bytes", record.len), found_text(other)));
        }
    }
    let bytes = fs.read(path, record.len.min(MAX_FILE_LEN)).map_err(CheckpointError::io("read", path))?;
    match record
        .difference(&bytes)
        .or_else(|| (bytes.len() as u64 != record.len).then(|| "fewer bytes".into()))
    {
        None => Ok(bytes),
        Some(found) => Err(damaged(path, &format!("content with BLAKE3 {}", record.blake3), found)),
    }
}

fn decode_payload(path: &Path, bytes: &[u8]) -> Result<Payload, CheckpointError> {
    match path.extension().and_then(|extension| extension.to_str()) {
        Some("safetensors") => Ok(Payload::Tensors(tensor::decode(path, bytes)?)),
        Some("json") => serde_json::from_slice(bytes)
            .map(Payload::Json)
            .map_err(|error| damaged(path, "JSON", error.to_string())),
        _ => Err(damaged(path, "a name that ends in .json or .safetensors", "another one".into())),
    }
}

fn kind_of(fs: &impl Fs, path: &Path) -> Result<Kind, CheckpointError> {
    fs.kind(path).map_err(CheckpointError::io("look at", path))
}

fn found_text(kind: Kind) -> String {
    match kind {
        Kind::Absent => "nothing",
        Kind::File(_) => "a file",
        Kind::Directory => "a directory",
        Kind::Other => "a link or device",
    }
    .into()
}

fn damaged(file: &Path, expected: &str, found: String) -> CheckpointError {
    CheckpointError::Damaged { file: file.to_path_buf(), expected: expected.into(), found }
}
