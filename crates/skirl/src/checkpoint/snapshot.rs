//! The whole state of a run in memory.

use std::collections::BTreeMap;

use serde_json::Value;

use super::layout::module_ids;
use super::manifest::ManifestInfo;
use super::{CheckpointError, Tensor, TensorData, Tensors};

/// Content of one file.
#[derive(Debug, Clone, PartialEq)]
pub enum Payload {
    /// A `.safetensors` file.
    Tensors(Tensors),
    /// A `.json` file.
    Json(Value),
}

/// Everything that a checkpoint holds: what its manifest says, and its files by relative path.
///
/// Saving, loading and saving again gives the same bytes.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Snapshot {
    /// What the manifest says about the run.
    pub manifest: ManifestInfo,
    /// Content by relative path (see the constants of [`checkpoint`](super)); the path ends in `.json` or `.safetensors`.
    pub files: BTreeMap<String, Payload>,
}

impl Snapshot {
    /// An empty snapshot of a run of `algorithm`.
    pub fn new(algorithm: &str) -> Self {
        Self {
            manifest: ManifestInfo { algorithm: algorithm.into(), ..ManifestInfo::default() },
            files: BTreeMap::new(),
        }
    }

    /// Puts a JSON file in.
    pub fn put_json(&mut self, path: impl Into<String>, json: Value) -> &mut Self {
        self.files.insert(path.into(), Payload::Json(json));
        self
    }

    /// Puts a file of tensors in.
    pub fn put_tensors(&mut self, path: impl Into<String>, tensors: Tensors) -> &mut Self {
        self.files.insert(path.into(), Payload::Tensors(tensors));
        self
    }

    /// The JSON of a file.
    ///
    /// # Errors
    /// When the snapshot has no such file, or it holds tensors.
    pub fn json(&self, path: &str) -> Result<&Value, CheckpointError> {
        json_of(&self.files, path)
    }

    /// The tensors of a file.
    ///
    /// # Errors
    /// When the snapshot has no such file, or it holds JSON.
    pub fn tensors<'a>(&'a self, path: &'a str) -> Result<TensorFile<'a>, CheckpointError> {
        tensors_of(&self.files, path)
    }

    /// Whether there is such a file.
    pub fn contains(&self, path: &str) -> bool {
        self.files.contains_key(path)
    }

    /// Ids of the modules, in order of their directories.
    pub fn module_ids(&self) -> Vec<String> {
        module_ids(self.files.keys())
    }
}

pub(super) fn json_of<'a>(
    files: &'a BTreeMap<String, Payload>,
    path: &str,
) -> Result<&'a Value, CheckpointError> {
    match find(files, path)? {
        Payload::Json(json) => Ok(json),
        Payload::Tensors(_) => Err(wrong_kind(path, "JSON", "tensors")),
    }
}

pub(super) fn tensors_of<'a>(
    files: &'a BTreeMap<String, Payload>,
    path: &'a str,
) -> Result<TensorFile<'a>, CheckpointError> {
    match find(files, path)? {
        Payload::Tensors(tensors) => Ok(TensorFile { file: path, tensors }),
        Payload::Json(_) => Err(wrong_kind(path, "tensors", "JSON")),
    }
}

fn find<'a>(files: &'a BTreeMap<String, Payload>, path: &str) -> Result<&'a Payload, CheckpointError> {
    files
        .get(path)
        .ok_or_else(|| CheckpointError::MissingFile { file: path.into(), available: listed(files.keys()) })
}

fn wrong_kind(path: &str, expected: &str, found: &str) -> CheckpointError {
    CheckpointError::WrongContent { file: path.into(), expected: expected.into(), found: found.into() }
}

/// Names for an error message.
fn listed<'a>(names: impl ExactSizeIterator<Item = &'a String>) -> String {
    const MOST: usize = 20;
    let total = names.len();
    let shown: Vec<String> = names.take(MOST).map(|name| format!("`{name}`")).collect();
    match total {
        0 => "nothing".into(),
        1..=MOST => shown.join(", "),
        _ => format!("{}, … ({total} in all)", shown.join(", ")),
    }
}

/// The tensors of one file, read with type and shape checked.
#[derive(Debug, Clone, Copy)]
pub struct TensorFile<'a> {
    file: &'a str,
    tensors: &'a Tensors,
}

macro_rules! typed_reader {
    ($name:ident, $type:ty, $variant:ident) => {
        #[doc = concat!("Numbers of the `", stringify!($type), "` tensor `name`, which must have exactly this shape.")]
        pub fn $name(&self, name: &str, shape: &[usize]) -> Result<&'a [$type], CheckpointError> {
            let tensor = self.get(name)?;
            match tensor.data() {
                TensorData::$variant(values) if tensor.shape() == shape => Ok(values),
                _ => Err(self.wrong(name, &format!("{}{shape:?}", stringify!($type).to_uppercase()), tensor)),
            }
        }
    };
}

impl<'a> TensorFile<'a> {
    /// All tensors by name.
    pub fn all(&self) -> &'a Tensors {
        self.tensors
    }

    /// The tensor `name`, of any type and shape.
    pub fn get(&self, name: &str) -> Result<&'a Tensor, CheckpointError> {
        self.tensors.get(name).ok_or_else(|| CheckpointError::MissingTensor {
            file: self.file.into(),
            tensor: name.into(),
            available: listed(self.tensors.keys()),
        })
    }

    typed_reader!(f32, f32, F32);
    typed_reader!(f64, f64, F64);
    typed_reader!(i64, i64, I64);
    typed_reader!(i32, i32, I32);
    typed_reader!(u8, u8, U8);
    typed_reader!(u64, u64, U64);
    typed_reader!(bool, bool, Bool);

    fn wrong(&self, name: &str, expected: &str, found: &Tensor) -> CheckpointError {
        CheckpointError::WrongTensor {
            file: self.file.into(),
            tensor: name.into(),
            expected: expected.into(),
            found: found.to_string(),
        }
    }
}
