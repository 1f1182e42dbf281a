//! Between the state in memory and the tensors of a checkpoint.

use skirl_env::{Column, DType, EnvState};
use skirl_nn::NamedTensor;

use crate::checkpoint::{CheckpointError, Tensor, TensorData, TensorFile, Tensors};
use crate::error::Error;

/// Types that safetensors has no room for in our files are written as bytes under `name#type`.
const TYPE_MARK: char = '#';

/// Adds named tensors under `prefix`.
pub(super) fn put_named(
    tensors: &mut Tensors,
    prefix: &str,
    named: &[NamedTensor],
) -> Result<(), CheckpointError> {
    for tensor in named {
        tensors.insert(
            format!("{prefix}{}", tensor.name),
            Tensor::new(tensor.shape.clone(), tensor.data.clone())?,
        );
    }
    Ok(())
}

/// Takes the 32-bit float tensors under `prefix` out again.
pub(super) fn named_under(tensors: &Tensors, prefix: &str) -> Vec<NamedTensor> {
    tensors
        .iter()
        .filter_map(|(name, tensor)| {
            let name = name.strip_prefix(prefix)?.to_owned();
            let TensorData::F32(data) = tensor.data() else { return None };
            Some(NamedTensor { name, shape: tensor.shape().to_vec(), data: data.clone() })
        })
        .collect()
}

/// Adds an environment's columns under `prefix`.
pub(super) fn put_env_state(tensors: &mut Tensors, prefix: &str, state: &EnvState) {
    for (name, column) in state {
        let (mark, tensor) = match column {
            Column::F32(values) => (None, Tensor::vector(values.clone())),
            Column::F64(values) => (None, Tensor::vector(values.clone())),
            Column::I64(values) => (None, Tensor::vector(values.clone())),
            Column::I32(values) => (None, Tensor::vector(values.clone())),
            Column::U8(values) => (None, Tensor::vector(values.clone())),
            Column::U64(values) => (None, Tensor::vector(values.clone())),
            Column::Bool(values) => (None, Tensor::vector(values.clone())),
            other => (Some(other.dtype()), Tensor::vector(other.to_le_bytes())),
        };
        let mark = mark.map_or(String::new(), |dtype| format!("{TYPE_MARK}{}", type_word(dtype)));
        tensors.insert(format!("{prefix}{name}{mark}"), tensor);
    }
}

/// Takes an environment's columns under `prefix` out again.
pub(super) fn env_state_under(file: TensorFile<'_>, prefix: &str) -> Result<EnvState, Error> {
    let mut state = EnvState::new();
    for (full, tensor) in file.all() {
        let Some(name) = full.strip_prefix(prefix) else { continue };
        let (name, column) = match (name.rsplit_once(TYPE_MARK), tensor.data()) {
            (Some((name, word)), TensorData::U8(bytes)) => (name, marked_column(full, word, bytes)?),
            (_, TensorData::F32(values)) => (name, Column::F32(values.clone())),
            (_, TensorData::F64(values)) => (name, Column::F64(values.clone())),
            (_, TensorData::I64(values)) => (name, Column::I64(values.clone())),
            (_, TensorData::I32(values)) => (name, Column::I32(values.clone())),
            (_, TensorData::U8(values)) => (name, Column::U8(values.clone())),
            (_, TensorData::U64(values)) => (name, Column::U64(values.clone())),
            (_, TensorData::Bool(values)) => (name, Column::Bool(values.clone())),
        };
        state.insert(name.to_owned(), column);
    }
    Ok(state)
}

const MARKED: [(&str, DType); 4] =
    [("i8", DType::I8), ("i16", DType::I16), ("u16", DType::U16), ("u32", DType::U32)];

fn type_word(dtype: DType) -> &'static str {
    MARKED.iter().find(|(_, marked)| *marked == dtype).map_or("u8", |(word, _)| word)
}

fn marked_column(name: &str, word: &str, bytes: &[u8]) -> Result<Column, Error> {
    let dtype = MARKED.iter().find(|(marked, _)| *marked == word).map(|(_, dtype)| *dtype);
    dtype.and_then(|dtype| Column::from_le_bytes(dtype, bytes)).ok_or_else(|| Error::RunnerState {
        expected: format!(
            "one of {:?} after '{TYPE_MARK}' in '{name}', with whole elements",
            MARKED.map(|(word, _)| word)
        ),
        found: format!("'{word}' with {} bytes", bytes.len()),
    })
}
