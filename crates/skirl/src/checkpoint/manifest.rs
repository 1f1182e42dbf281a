//! The manifest: what a checkpoint is, and the length and hash of every file in it.
//!
//! It proves itself too: its last field, `manifest_blake3`, is the hash of all the bytes before the hash's digits.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::path_rules::check_relative_path;
use super::{CheckpointError, FORMAT_VERSION, tensor};

/// Longest manifest that is read, in bytes.
pub(super) const MAX_MANIFEST_LEN: u64 = 16 << 20;
/// Longest file that is read, in bytes; larger state is split into several files.
pub(super) const MAX_FILE_LEN: u64 = 64 << 30;
/// Most files of a checkpoint.
const MAX_FILES: usize = 100_000;
/// What precedes the hash at the end of a manifest.
const HASH_FIELD: &str = ",\n  \"manifest_blake3\": \"";
/// What follows it.
const END: &str = "\"\n}\n";

/// What a manifest says about the run.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ManifestInfo {
    /// Name of the algorithm ("PPO").
    pub algorithm: String,
    /// Spaces of each module.
    pub spaces: BTreeMap<String, ModuleSpaces>,
    /// Lifetime counters (environment steps, iterations, …).
    pub counters: BTreeMap<String, u64>,
    /// Instruction set that computed the state; another one gives other last bits.
    pub isa: String,
    /// What could not be saved, each as a sentence for people ("environment CarRacing-v3 cannot save its state: …").
    pub not_saved: Vec<String>,
    /// Anything else, JSON without nulls. Not repeated in the manifests of components.
    pub extra: Map<String, Value>,
}

/// Spaces of one module, in their JSON form.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModuleSpaces {
    /// Observation space.
    pub observation: Value,
    /// Action space.
    pub action: Value,
}

impl ManifestInfo {
    /// Refuses the checkpoint of another algorithm.
    pub fn check_algorithm(&self, algorithm: &str) -> Result<(), CheckpointError> {
        if self.algorithm == algorithm {
            return Ok(());
        }
        Err(CheckpointError::WrongAlgorithm { expected: algorithm.into(), found: self.algorithm.clone() })
    }

    /// What to tell the user when the state was computed with another instruction set than `isa`.
    pub fn isa_warning(&self, isa: &str) -> Option<String> {
        let is_same = self.isa == isa || self.isa.is_empty();
        (!is_same).then(|| {
            format!(
                "the checkpoint was computed with `{}`, this process uses `{isa}`: the run continues, but not with the \
                 same last bits as an uninterrupted one. `portable` on both gives the same bytes",
                self.isa
            )
        })
    }

    /// Refuses a checkpoint with other modules or other spaces; the first difference is named.
    pub fn check_spaces(&self, expected: &BTreeMap<String, ModuleSpaces>) -> Result<(), CheckpointError> {
        for module in expected.keys().chain(self.spaces.keys()) {
            let (wanted, saved) = (expected.get(module), self.spaces.get(module));
            check_space(
                module,
                "observation space",
                [wanted, saved].map(|side| side.map(|spaces| &spaces.observation)),
            )?;
            check_space(
                module,
                "action space",
                [wanted, saved].map(|side| side.map(|spaces| &spaces.action)),
            )?;
        }
        Ok(())
    }
}

fn check_space(
    module: &str,
    which: &'static str,
    [expected, found]: [Option<&Value>; 2],
) -> Result<(), CheckpointError> {
    if expected == found {
        return Ok(());
    }
    let text = |space: Option<&Value>| space.map_or_else(|| "no such module".to_string(), Value::to_string);
    Err(CheckpointError::WrongSpaces {
        module: module.into(),
        which,
        expected: text(expected),
        found: text(found),
    })
}

/// Length and hash of a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FileRecord {
    #[serde(with = "crate::report::metrics::u64_string")]
    pub(super) len: u64,
    pub(super) blake3: String,
    /// The first 16 digits of each tensor's hash: they tell which one is damaged once the file's hash has told that one is.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) tensors: BTreeMap<String, String>,
}

impl FileRecord {
    /// The record of a file with these bytes; those of tensors have a safetensors header.
    pub(super) fn of(path: &str, bytes: &[u8]) -> Self {
        let is_tensors = Path::new(path).extension().is_some_and(|extension| extension == "safetensors");
        let tensors = if is_tensors { tensor::hashes(bytes) } else { BTreeMap::new() };
        Self { len: bytes.len() as u64, blake3: blake3::hash(bytes).to_hex().to_string(), tensors }
    }

    /// What is wrong with bytes of the recorded length, if anything is: as whole, and in which tensor.
    pub(super) fn difference(&self, bytes: &[u8]) -> Option<String> {
        let blake3 = blake3::hash(bytes).to_hex().to_string();
        if blake3 == self.blake3 {
            return None;
        }
        let found = tensor::hashes(bytes);
        let is_damaged = |(name, hash): &(&String, &String)| found.get(*name) != Some(*hash);
        let damaged: Vec<String> =
            self.tensors.iter().filter(is_damaged).map(|(name, _)| format!("`{name}`")).take(3).collect();
        let place = match (self.tensors.is_empty(), found.is_empty(), damaged.as_slice()) {
            (true, ..) => String::new(),
            (_, true, _) => ", damaged in its header, which says where each tensor is".into(),
            (_, _, []) => ", damaged in its header".into(),
            (_, _, names) => format!(", damaged in tensor {}", names.join(", ")),
        };
        Some(format!("{blake3}{place}"))
    }
}

/// A manifest, of a whole checkpoint or of one component.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Manifest {
    pub(super) format_version: u64,
    pub(super) skirl_version: String,
    /// Path of the component inside its checkpoint; empty for the whole.
    pub(super) component: String,
    pub(super) algorithm: String,
    pub(super) isa: String,
    pub(super) counters: BTreeMap<String, Counter>,
    pub(super) spaces: BTreeMap<String, ModuleSpaces>,
    pub(super) not_saved: Vec<String>,
    pub(super) extra: Map<String, Value>,
    pub(super) files: BTreeMap<String, FileRecord>,
}

/// A counter, written as a string: JSON readers that use floats are exact to 2⁵³ only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Counter(#[serde(with = "crate::report::metrics::u64_string")] u64);

impl Manifest {
    pub(super) fn new(info: &ManifestInfo, component: &str, files: BTreeMap<String, FileRecord>) -> Self {
        Self {
            format_version: FORMAT_VERSION,
            skirl_version: env!("CARGO_PKG_VERSION").into(),
            component: component.into(),
            algorithm: info.algorithm.clone(),
            isa: info.isa.clone(),
            counters: info.counters.iter().map(|(name, count)| (name.clone(), Counter(*count))).collect(),
            spaces: info.spaces.clone(),
            not_saved: info.not_saved.clone(),
            extra: if component.is_empty() { info.extra.clone() } else { Map::new() },
            files,
        }
    }

    /// The part that belongs to the user of the checkpoint.
    pub(super) fn into_info(self) -> ManifestInfo {
        ManifestInfo {
            algorithm: self.algorithm,
            spaces: self.spaces,
            counters: self.counters.into_iter().map(|(name, Counter(count))| (name, count)).collect(),
            isa: self.isa,
            not_saved: self.not_saved,
            extra: self.extra,
        }
    }

    /// The manifest file's bytes.
    pub(super) fn encode(&self) -> Result<Vec<u8>, CheckpointError> {
        let json = serde_json::to_value(self).map_err(|error| CheckpointError::BadSnapshot {
            file: super::MANIFEST.into(),
            reason: error.to_string(),
        })?;
        let mut text = format!("{json:#}");
        // The hash goes before the closing brace of the whole.
        text.truncate(text.len() - "\n}".len());
        text.push_str(HASH_FIELD);
        let hash = blake3::hash(text.as_bytes()).to_hex();
        text.push_str(&hash);
        text.push_str(END);
        Ok(text.into_bytes())
    }

    /// Whether a file of this name is a manifest.
    #[cfg(any(test, feature = "fuzzing"))]
    pub(super) fn is_name(path: &str) -> bool {
        let name = path.rsplit('/').next();
        name == Some(super::MANIFEST) || name == Some(super::COMPONENT_MANIFEST)
    }

    /// Gives any bytes that may be a manifest the hash that makes them one: in the place of another hash, or at the end.
    #[cfg(any(test, feature = "fuzzing"))]
    pub(super) fn sign(bytes: &mut Vec<u8>) {
        let tail = HASH_FIELD.len() + 64 + END.len();
        let body = bytes.len().saturating_sub(tail);
        if bytes[body..].starts_with(HASH_FIELD.as_bytes()) {
            bytes.truncate(body);
        }
        bytes.extend_from_slice(HASH_FIELD.as_bytes());
        let hash = blake3::hash(bytes).to_hex();
        bytes.extend_from_slice(hash.as_bytes());
        bytes.extend_from_slice(END.as_bytes());
    }

    /// Reads and checks a manifest file's bytes.
    pub(super) fn decode(path: &Path, bytes: &[u8]) -> Result<Self, CheckpointError> {
        let damaged = |expected: &str, found: String| CheckpointError::Damaged {
            file: path.to_path_buf(),
            expected: expected.into(),
            found,
        };
        let mut json: Value = serde_json::from_slice(bytes)
            .map_err(|error| damaged("a manifest in JSON", error.to_string()))?;
        check_version(path, &json)?;
        check_own_hash(bytes).map_err(|found| damaged("the manifest as it was written", found))?;
        if let Some(fields) = json.as_object_mut() {
            fields.shift_remove("manifest_blake3");
        }
        let manifest: Self = serde_json::from_value(json)
            .map_err(|error| damaged("the fields of a manifest", error.to_string()))?;
        manifest.check_files(path)?;
        Ok(manifest)
    }

    fn check_files(&self, path: &Path) -> Result<(), CheckpointError> {
        let too_large =
            |what, found, limit| CheckpointError::TooLarge { file: path.to_path_buf(), what, found, limit };
        if self.files.len() > MAX_FILES {
            return Err(too_large("the number of files", self.files.len() as u64, MAX_FILES as u64));
        }
        for (name, record) in &self.files {
            check_relative_path(name).map_err(|reason| CheckpointError::IllegalPath {
                manifest: path.to_path_buf(),
                path: name.escape_debug().to_string(),
                reason,
            })?;
            if record.len > MAX_FILE_LEN {
                return Err(too_large("the length of a file, in bytes,", record.len, MAX_FILE_LEN));
            }
        }
        Ok(())
    }
}

fn check_version(path: &Path, json: &Value) -> Result<(), CheckpointError> {
    let version = json.get("format_version");
    if version.and_then(Value::as_u64) == Some(FORMAT_VERSION) {
        return Ok(());
    }
    Err(CheckpointError::UnknownVersion {
        path: path.to_path_buf(),
        found: version.map_or("(none)".into(), Value::to_string),
        written_by: json
            .get("skirl_version")
            .and_then(Value::as_str)
            .unwrap_or("(unknown)")
            .escape_debug()
            .to_string(),
    })
}

/// Compares the hash at the end with the bytes before it.
fn check_own_hash(bytes: &[u8]) -> Result<(), String> {
    let body = bytes.strip_suffix(END.as_bytes()).ok_or("another end of the file")?;
    let (text, hash) = body.split_at_checked(body.len().saturating_sub(64)).ok_or("no hash")?;
    if !text.ends_with(HASH_FIELD.as_bytes()) {
        return Err("no hash at its end".into());
    }
    let found = blake3::hash(text).to_hex();
    if found.as_bytes() == hash {
        return Ok(());
    }
    Err(format!("content with the hash {found}"))
}
