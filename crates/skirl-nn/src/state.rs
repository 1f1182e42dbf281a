//! Parameters as safetensors bytes: a length, a JSON header, raw little-endian `f32`. Nothing in it is ever executed.

use std::collections::BTreeMap;

use safetensors::tensor::{Dtype, SafeTensors, TensorView};

use crate::{NamedTensor, NnError, ParamStore};

/// Largest file that is read, in bytes. A guard against a wrong file, far above any network this crate is meant for.
pub const MAX_STATE_BYTES: usize = 1 << 32;

fn malformed(reason: impl std::fmt::Display) -> NnError {
    NnError::Format { reason: reason.to_string() }
}

/// Named tensors as safetensors bytes; the same tensors always give the same bytes.
pub fn to_safetensors(tensors: &[NamedTensor]) -> Result<Vec<u8>, NnError> {
    let bytes: Vec<Vec<u8>> =
        tensors.iter().map(|t| t.data.iter().flat_map(|x| x.to_le_bytes()).collect()).collect();
    let mut views = BTreeMap::new();
    for (tensor, bytes) in tensors.iter().zip(&bytes) {
        let view = TensorView::new(Dtype::F32, tensor.shape.clone(), bytes).map_err(malformed)?;
        if views.insert(tensor.name.clone(), view).is_some() {
            return Err(NnError::DuplicateTensor { name: tensor.name.clone() });
        }
    }
    safetensors::serialize(views, None).map_err(malformed)
}

/// Named tensors from safetensors bytes, ordered by name. Errors if the bytes are not whole, are larger than
/// [`MAX_STATE_BYTES`], or hold anything but `f32`. Values are not judged here; importing them does that.
pub fn from_safetensors(bytes: &[u8]) -> Result<Vec<NamedTensor>, NnError> {
    if bytes.len() > MAX_STATE_BYTES {
        return Err(malformed(format!("expected at most {MAX_STATE_BYTES} bytes, found {}", bytes.len())));
    }
    let file = SafeTensors::deserialize(bytes)
        .map_err(|e| malformed(format!("expected safetensors of {} bytes, found: {e}", bytes.len())))?;
    let views: BTreeMap<String, TensorView<'_>> = file.tensors().into_iter().collect();
    views.into_iter().map(|(name, view)| read_tensor(name, &view)).collect()
}

fn read_tensor(name: String, view: &TensorView<'_>) -> Result<NamedTensor, NnError> {
    if view.dtype() != Dtype::F32 {
        return Err(malformed(format!("tensor `{name}`: expected F32, found {:?}", view.dtype())));
    }
    let (quads, _) = view.data().as_chunks::<4>();
    let data = quads.iter().map(|&quad| f32::from_le_bytes(quad)).collect();
    Ok(NamedTensor { name, shape: view.shape().to_vec(), data })
}

impl ParamStore {
    /// The parameters as safetensors bytes.
    pub fn to_safetensors(&self) -> Result<Vec<u8>, NnError> {
        to_safetensors(&self.export())
    }

    /// Replaces all values from safetensors bytes. On an error nothing is changed; see [`ParamStore::import`].
    pub fn load_safetensors(&mut self, bytes: &[u8]) -> Result<(), NnError> {
        self.import(&from_safetensors(bytes)?)
    }
}
