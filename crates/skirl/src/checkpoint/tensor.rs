//! Tensors as a checkpoint holds them, and their safetensors form.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, View, serialize};

use super::CheckpointError;

/// Named tensors, in order of their names.
pub type Tensors = BTreeMap<String, Tensor>;

/// Longest safetensors header that is read, in bytes.
const MAX_HEADER_LEN: u64 = 64 << 20;

/// Numbers of a tensor in row-major order.
#[derive(Debug, Clone, PartialEq)]
pub enum TensorData {
    /// 32-bit floats.
    F32(Vec<f32>),
    /// 64-bit floats.
    F64(Vec<f64>),
    /// 64-bit signed integers.
    I64(Vec<i64>),
    /// 32-bit signed integers.
    I32(Vec<i32>),
    /// Bytes.
    U8(Vec<u8>),
    /// 64-bit unsigned integers.
    U64(Vec<u64>),
    /// Flags.
    Bool(Vec<bool>),
}

/// A shape and the numbers in it.
#[derive(Debug, Clone, PartialEq)]
pub struct Tensor {
    shape: Vec<usize>,
    data: TensorData,
}

macro_rules! each_variant {
    ($data:expr, $values:ident => $body:expr) => {
        match $data {
            TensorData::F32($values) => $body,
            TensorData::F64($values) => $body,
            TensorData::I64($values) => $body,
            TensorData::I32($values) => $body,
            TensorData::U8($values) => $body,
            TensorData::U64($values) => $body,
            TensorData::Bool($values) => $body,
        }
    };
}

macro_rules! data_from {
    ($($type:ty => $variant:ident),* $(,)?) => {
        $(impl From<Vec<$type>> for TensorData {
            fn from(values: Vec<$type>) -> Self {
                Self::$variant(values)
            }
        })*
    };
}
data_from!(f32 => F32, f64 => F64, i64 => I64, i32 => I32, u8 => U8, u64 => U64, bool => Bool);

impl TensorData {
    /// Number of elements.
    pub fn len(&self) -> usize {
        each_variant!(self, values => values.len())
    }

    /// Whether there are no elements.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Name of the element type, as in safetensors.
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::F32(_) => "F32",
            Self::F64(_) => "F64",
            Self::I64(_) => "I64",
            Self::I32(_) => "I32",
            Self::U8(_) => "U8",
            Self::U64(_) => "U64",
            Self::Bool(_) => "BOOL",
        }
    }

    /// Index and value of the first NaN or infinity.
    pub fn first_non_finite(&self) -> Option<(usize, f64)> {
        match self {
            Self::F32(values) => {
                values.iter().position(|value| !value.is_finite()).map(|at| (at, f64::from(values[at])))
            }
            Self::F64(values) => {
                values.iter().position(|value| !value.is_finite()).map(|at| (at, values[at]))
            }
            _ => None,
        }
    }

    fn dtype(&self) -> Dtype {
        match self {
            Self::F32(_) => Dtype::F32,
            Self::F64(_) => Dtype::F64,
            Self::I64(_) => Dtype::I64,
            Self::I32(_) => Dtype::I32,
            Self::U8(_) => Dtype::U8,
            Self::U64(_) => Dtype::U64,
            Self::Bool(_) => Dtype::BOOL,
        }
    }

    fn element_len(&self) -> usize {
        match self {
            Self::F64(_) | Self::I64(_) | Self::U64(_) => 8,
            Self::F32(_) | Self::I32(_) => 4,
            Self::U8(_) | Self::Bool(_) => 1,
        }
    }

    fn to_le_bytes(&self) -> Cow<'_, [u8]> {
        match self {
            Self::F32(values) => values.iter().flat_map(|value| value.to_le_bytes()).collect(),
            Self::F64(values) => values.iter().flat_map(|value| value.to_le_bytes()).collect(),
            Self::I64(values) => values.iter().flat_map(|value| value.to_le_bytes()).collect(),
            Self::I32(values) => values.iter().flat_map(|value| value.to_le_bytes()).collect(),
            Self::U64(values) => values.iter().flat_map(|value| value.to_le_bytes()).collect(),
            Self::U8(values) => values.into(),
            Self::Bool(values) => values.iter().map(|value| u8::from(*value)).collect(),
        }
    }

    /// Reads little-endian bytes; an error text when the type is not one of ours or a flag is neither 0 nor 1.
    fn from_le_bytes(dtype: Dtype, bytes: &[u8]) -> Result<Self, String> {
        let data = match dtype {
            Dtype::F32 => {
                Self::F32(bytes.as_chunks().0.iter().map(|chunk| f32::from_le_bytes(*chunk)).collect())
            }
            Dtype::F64 => {
                Self::F64(bytes.as_chunks().0.iter().map(|chunk| f64::from_le_bytes(*chunk)).collect())
            }
            Dtype::I64 => {
                Self::I64(bytes.as_chunks().0.iter().map(|chunk| i64::from_le_bytes(*chunk)).collect())
            }
            Dtype::I32 => {
                Self::I32(bytes.as_chunks().0.iter().map(|chunk| i32::from_le_bytes(*chunk)).collect())
            }
            Dtype::U64 => {
                Self::U64(bytes.as_chunks().0.iter().map(|chunk| u64::from_le_bytes(*chunk)).collect())
            }
            Dtype::U8 => Self::U8(bytes.to_vec()),
            Dtype::BOOL => match bytes.iter().find(|byte| **byte > 1) {
                Some(byte) => return Err(format!("the byte {byte} where a flag (0 or 1) belongs")),
                None => Self::Bool(bytes.iter().map(|byte| *byte == 1).collect()),
            },
            other => {
                return Err(format!("element type {other}, which is none of F32 F64 I32 I64 U8 U64 BOOL"));
            }
        };
        Ok(data)
    }
}

impl Tensor {
    /// A tensor of the given shape; the product of the shape must be the number of elements (`[]` is one number).
    ///
    /// # Errors
    /// When it is not.
    pub fn new(shape: Vec<usize>, data: impl Into<TensorData>) -> Result<Self, CheckpointError> {
        let data = data.into();
        let wanted = shape.iter().try_fold(1_usize, |product, dimension| product.checked_mul(*dimension));
        if wanted != Some(data.len()) {
            return Err(CheckpointError::BadSnapshot {
                file: "tensor".into(),
                reason: format!(
                    "the shape {shape:?} does not hold {} elements; give the right shape",
                    data.len()
                ),
            });
        }
        Ok(Self { shape, data })
    }

    /// A tensor of one dimension.
    pub fn vector(data: impl Into<TensorData>) -> Self {
        let data = data.into();
        Self { shape: vec![data.len()], data }
    }

    /// Sizes of the dimensions, outermost first.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// The numbers.
    pub fn data(&self) -> &TensorData {
        &self.data
    }

    /// The numbers, taken out.
    pub fn into_data(self) -> TensorData {
        self.data
    }
}

impl fmt::Display for Tensor {
    /// Type and shape: `F32[64, 4]`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{:?}", self.data.type_name(), self.shape)
    }
}

impl View for &Tensor {
    fn dtype(&self) -> Dtype {
        self.data.dtype()
    }

    fn shape(&self) -> &[usize] {
        &self.shape
    }

    fn data(&self) -> Cow<'_, [u8]> {
        self.data.to_le_bytes()
    }

    fn data_len(&self) -> usize {
        self.data.len() * self.data.element_len()
    }
}

/// Safetensors bytes; the same tensors give the same bytes.
pub(super) fn encode(file: &str, tensors: &Tensors) -> Result<Vec<u8>, CheckpointError> {
    let bad = |reason| CheckpointError::BadSnapshot { file: file.to_string(), reason };
    if tensors.contains_key("__metadata__") {
        return Err(bad("a tensor is called `__metadata__`, which safetensors reserves; rename it".into()));
    }
    serialize(tensors.iter().map(|(name, tensor)| (name.as_str(), tensor)), None)
        .map_err(|error| bad(error.to_string()))
}

/// The first 16 hexadecimal digits of each tensor's hash; empty where the header cannot be read.
pub(super) fn hashes(bytes: &[u8]) -> BTreeMap<String, String> {
    if check_header_len(Path::new(""), bytes).is_err() {
        return BTreeMap::new();
    }
    let Ok(views) = SafeTensors::deserialize(bytes) else { return BTreeMap::new() };
    let hash = |data: &[u8]| blake3::hash(data).to_hex()[..16].to_string();
    views.iter().map(|(name, view)| (name.to_string(), hash(view.data()))).collect()
}

/// Reads safetensors bytes of `file`.
pub(super) fn decode(file: &Path, bytes: &[u8]) -> Result<Tensors, CheckpointError> {
    check_header_len(file, bytes)?;
    let damaged = |expected: &str, found: String| CheckpointError::Damaged {
        file: file.to_path_buf(),
        expected: expected.into(),
        found,
    };
    let views = SafeTensors::deserialize(bytes).map_err(|error| damaged("safetensors", error.to_string()))?;
    let mut tensors = Tensors::new();
    for (name, view) in views.iter() {
        let data = TensorData::from_le_bytes(view.dtype(), view.data())
            .map_err(|found| damaged(&format!("tensor `{name}` of a known type"), found))?;
        let tensor = Tensor::new(view.shape().to_vec(), data)
            .map_err(|error| damaged(&format!("tensor `{name}` to fill its shape"), error.to_string()))?;
        tensors.insert(name.to_string(), tensor);
    }
    Ok(tensors)
}

/// The first eight bytes say how long the header is; nothing is parsed before that is plausible.
fn check_header_len(file: &Path, bytes: &[u8]) -> Result<(), CheckpointError> {
    let header_len = bytes.first_chunk().map_or(0, |len| u64::from_le_bytes(*len));
    if header_len > MAX_HEADER_LEN {
        let file = file.to_path_buf();
        return Err(CheckpointError::TooLarge {
            file,
            what: "the header of the tensors, in bytes,",
            found: header_len,
            limit: MAX_HEADER_LEN,
        });
    }
    Ok(())
}

/// Refuses NaN and infinities, naming the tensor and the index.
pub(super) fn check_finite(file: &Path, tensors: &Tensors) -> Result<(), CheckpointError> {
    for (name, tensor) in tensors {
        if let Some((index, found)) = tensor.data.first_non_finite() {
            return Err(CheckpointError::NonFinite {
                file: file.to_path_buf(),
                tensor: name.clone(),
                index,
                found,
            });
        }
    }
    Ok(())
}
