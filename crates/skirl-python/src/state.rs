//! The state of an algorithm as nested dicts of plain values and arrays, and back: the parts of a checkpoint, in memory.

use std::collections::BTreeMap;

use numpy::{PyArray1, PyArrayMethods};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyMapping};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use skirl::checkpoint::{
    ALGORITHM_STATE, CONFIG, ENV_RUNNER_STATE, ENV_RUNNER_TENSORS, ENV_TO_MODULE_TENSORS, FORMAT_VERSION,
    LEARNER_STATE, MODULE_EXAMPLE, MODULE_SPEC, MODULE_STATE, ManifestInfo, ModuleSpaces, OPTIMIZER_TENSORS,
    Payload, RL_MODULE_DIRECTORY, SHARED_STATE, SHARED_STATE_TENSORS, Snapshot, TensorData, Tensors,
    module_file,
};

use crate::arrays::tensor_of_any_type;
use crate::errors::{CheckpointError, InternalError};
use crate::value::{from_python, to_python};

/// What a part holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Plain,
    Arrays,
    /// 32-bit floats, as all that is learned is.
    Floats,
}

/// A part: its file in a checkpoint, the keys that lead to it, what it holds, and whether every state has it.
struct Part {
    file: &'static str,
    keys: &'static str,
    kind: Kind,
    is_required: bool,
}

const fn part(file: &'static str, keys: &'static str, kind: Kind) -> Part {
    Part { file, keys, kind, is_required: true }
}

/// A part of the shared state: there is all of it or nothing.
const fn shared(file: &'static str, keys: &'static str, kind: Kind) -> Part {
    Part { file, keys, kind, is_required: false }
}

/// What is said of the run, which a checkpoint has in its manifest.
const MANIFEST: &str = "manifest";

/// All parts but the manifest and the modules, of which each is a dict of arrays in `RL_MODULE_DIRECTORY`.
const PARTS: [Part; 9] = [
    part(ALGORITHM_STATE, "algorithm_state", Kind::Plain),
    part(CONFIG, "config", Kind::Plain),
    shared(SHARED_STATE, "shared_state/state", Kind::Plain),
    shared(SHARED_STATE_TENSORS, "shared_state/arrays", Kind::Arrays),
    part(ENV_RUNNER_STATE, "env_runner/state", Kind::Plain),
    part(ENV_RUNNER_TENSORS, "env_runner/arrays", Kind::Arrays),
    part(ENV_TO_MODULE_TENSORS, "env_runner/env_to_module_connector", Kind::Arrays),
    part(LEARNER_STATE, "learner_group/learner/state", Kind::Plain),
    part(OPTIMIZER_TENSORS, "learner_group/learner/optimizer", Kind::Floats),
];

/// The manifest of a state.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Manifest {
    format_version: u64,
    skirl_version: String,
    algorithm: String,
    isa: String,
    counters: BTreeMap<String, u64>,
    spaces: BTreeMap<String, ModuleSpaces>,
    not_saved: Vec<String>,
    extra: Map<String, Value>,
}

/// Nested dicts of plain values and arrays, which nobody else holds. What a module's directory has beside its weights is
/// left out: it serves those that load a module alone.
pub(crate) fn state_to_python(py: Python<'_>, snapshot: Snapshot) -> PyResult<Bound<'_, PyDict>> {
    let state = PyDict::new(py);
    let Snapshot { manifest, mut files } = snapshot;
    let modules: Vec<String> = manifest.spaces.keys().cloned().collect();
    state.set_item(MANIFEST, manifest_to_python(py, manifest)?)?;
    for part in &PARTS {
        let Some(payload) = files.remove(part.file) else { continue };
        put(&state, part.keys, payload_to_python(py, payload)?)?;
    }
    let dicts = PyDict::new(py);
    for id in modules {
        let Some(weights) = files.remove(&module_file(&id, MODULE_STATE)) else { continue };
        files.remove(&module_file(&id, MODULE_SPEC));
        files.remove(&module_file(&id, MODULE_EXAMPLE));
        dicts.set_item(id, payload_to_python(py, weights)?)?;
    }
    put(&state, RL_MODULE_DIRECTORY, dicts.into_any())?;
    match files.into_keys().next() {
        Some(left) => Err(InternalError::new_err(format!("get_state() has no place for `{left}`"))),
        None => Ok(state),
    }
}

fn manifest_to_python(py: Python<'_>, info: ManifestInfo) -> PyResult<Bound<'_, PyAny>> {
    let manifest = Manifest {
        format_version: FORMAT_VERSION,
        skirl_version: env!("CARGO_PKG_VERSION").to_owned(),
        algorithm: info.algorithm,
        isa: info.isa,
        counters: info.counters,
        spaces: info.spaces,
        not_saved: info.not_saved,
        extra: info.extra,
    };
    let value = serde_json::to_value(manifest)
        .map_err(|error| InternalError::new_err(format!("the manifest cannot be written: {error}")))?;
    to_python(py, &value)
}

/// Sets what the `keys`, joined by `/`, lead to.
fn put<'py>(state: &Bound<'py, PyDict>, keys: &str, value: Bound<'py, PyAny>) -> PyResult<()> {
    let Some((first, rest)) = keys.split_once('/') else { return state.set_item(keys, value) };
    let inner = match state.get_item(first)? {
        Some(inner) => inner.cast_into::<PyDict>()?,
        None => {
            let inner = PyDict::new(state.py());
            state.set_item(first, &inner)?;
            inner
        }
    };
    put(&inner, rest, value)
}

fn payload_to_python(py: Python<'_>, payload: Payload) -> PyResult<Bound<'_, PyAny>> {
    match payload {
        Payload::Json(value) => to_python(py, &value),
        Payload::Tensors(tensors) => {
            let dict = PyDict::new(py);
            for (name, tensor) in tensors {
                let shape = tensor.shape().to_vec();
                dict.set_item(name, array(py, tensor.into_data(), &shape)?)?;
            }
            Ok(dict.into_any())
        }
    }
}

fn array<'py>(py: Python<'py>, data: TensorData, shape: &[usize]) -> PyResult<Bound<'py, PyAny>> {
    Ok(match data {
        TensorData::F32(values) => PyArray1::from_vec(py, values).reshape(shape)?.into_any(),
        TensorData::F64(values) => PyArray1::from_vec(py, values).reshape(shape)?.into_any(),
        TensorData::I64(values) => PyArray1::from_vec(py, values).reshape(shape)?.into_any(),
        TensorData::I32(values) => PyArray1::from_vec(py, values).reshape(shape)?.into_any(),
        TensorData::U8(values) => PyArray1::from_vec(py, values).reshape(shape)?.into_any(),
        TensorData::U64(values) => PyArray1::from_vec(py, values).reshape(shape)?.into_any(),
        TensorData::Bool(values) => PyArray1::from_vec(py, values).reshape(shape)?.into_any(),
    })
}

/// The parts of a state by the keys that lead to them, and the modules by their ids.
#[derive(Default)]
struct Found<'py> {
    parts: BTreeMap<String, Bound<'py, PyAny>>,
    modules: Option<BTreeMap<String, Bound<'py, PyAny>>>,
}

/// What `state_to_python` gave. Whether it fits an algorithm is for the engine to say.
pub(crate) fn state_from_python(state: &Bound<'_, PyAny>) -> PyResult<Snapshot> {
    let mut found = Found::default();
    gather(state, "", &mut found)?;
    let is_shared = found.parts.keys().any(|keys| keys.starts_with("shared_state/"));
    let mut snapshot =
        Snapshot { manifest: manifest_from(&take(&mut found, MANIFEST)?)?, ..Snapshot::default() };
    for part in &PARTS {
        if part.is_required || is_shared {
            let value = take(&mut found, part.keys)?;
            snapshot.files.insert(part.file.to_owned(), payload_from(&value, part.keys, part.kind)?);
        }
    }
    let mut modules = found.modules.ok_or_else(|| missing(RL_MODULE_DIRECTORY))?;
    for id in snapshot.manifest.spaces.keys() {
        let keys = format!("{RL_MODULE_DIRECTORY}/{id}");
        let weights = modules.remove(id).ok_or_else(|| missing(&keys))?;
        snapshot.files.insert(module_file(id, MODULE_STATE), payload_from(&weights, &keys, Kind::Floats)?);
    }
    match modules.into_keys().next() {
        Some(id) => Err(unknown(&format!("{RL_MODULE_DIRECTORY}/{id}"), snapshot.manifest.spaces.keys())),
        None => Ok(snapshot),
    }
}

/// Walks down to the parts.
fn gather<'py>(state: &Bound<'py, PyAny>, keys: &str, found: &mut Found<'py>) -> PyResult<()> {
    for (name, value) in items(state, keys)? {
        let keys = if keys.is_empty() { name } else { format!("{keys}/{name}") };
        if keys == RL_MODULE_DIRECTORY {
            found.modules = Some(items(&value, &keys)?.into_iter().collect());
        } else if known().any(|known| known == keys) {
            found.parts.insert(keys, value);
        } else if known().any(|known| known.strip_prefix(&keys).is_some_and(|rest| rest.starts_with('/'))) {
            gather(&value, &keys, found)?;
        } else {
            return Err(unknown(&keys, known()));
        }
    }
    Ok(())
}

fn known() -> impl Iterator<Item = &'static str> {
    [MANIFEST, RL_MODULE_DIRECTORY].into_iter().chain(PARTS.iter().map(|part| part.keys))
}

fn items<'py>(value: &Bound<'py, PyAny>, keys: &str) -> PyResult<Vec<(String, Bound<'py, PyAny>)>> {
    let Ok(map) = value.cast::<PyMapping>() else {
        return Err(refused(keys, "a dict", &format!("a {}", value.get_type().qualname()?)));
    };
    let mut items = Vec::new();
    for item in map.items()?.iter() {
        let (key, value): (Bound<'py, PyAny>, Bound<'py, PyAny>) = item.extract()?;
        let name = key.extract().map_err(|_| refused(keys, "keys that are strings", &key.to_string()))?;
        items.push((name, value));
    }
    Ok(items)
}

fn take<'py>(found: &mut Found<'py>, keys: &str) -> PyResult<Bound<'py, PyAny>> {
    found.parts.remove(keys).ok_or_else(|| missing(keys))
}

fn manifest_from(value: &Bound<'_, PyAny>) -> PyResult<ManifestInfo> {
    let Payload::Json(value) = payload_from(value, MANIFEST, Kind::Plain)? else {
        return Err(missing(MANIFEST));
    };
    let manifest: Manifest = serde_json::from_value(value)
        .map_err(|error| refused(MANIFEST, "what get_state() says of a run", &error.to_string()))?;
    if manifest.format_version != FORMAT_VERSION {
        let found = format!("{}, written by skirl {}", manifest.format_version, manifest.skirl_version);
        return Err(refused("manifest/format_version", &FORMAT_VERSION.to_string(), &found));
    }
    Ok(ManifestInfo {
        algorithm: manifest.algorithm,
        spaces: manifest.spaces,
        counters: manifest.counters,
        isa: manifest.isa,
        not_saved: manifest.not_saved,
        extra: manifest.extra,
    })
}

fn payload_from(value: &Bound<'_, PyAny>, keys: &str, kind: Kind) -> PyResult<Payload> {
    let items = items(value, keys)?;
    if kind == Kind::Plain {
        let plain = from_python(value, keys);
        let plain = plain.map_err(|error| CheckpointError::new_err(error.value(value.py()).to_string()));
        return plain.map(Payload::Json);
    }
    let mut tensors = Tensors::new();
    for (name, array) in items {
        let place = format!("{keys}['{name}']");
        let Some(tensor) = tensor_of_any_type(&array)? else {
            let expected = "a NumPy array of float32, float64, int32, int64, uint8, uint64 or bool";
            return Err(refused(&place, expected, &of_type(&array)?));
        };
        if kind == Kind::Floats && !matches!(tensor.data(), TensorData::F32(_)) {
            return Err(refused(&place, "an array of float32", &of_type(&array)?));
        }
        // As in a file: an environment's state may hold infinities by design.
        let must_be_finite = kind == Kind::Floats || keys.ends_with("_connector");
        if let (true, Some((index, found))) = (must_be_finite, tensor.data().first_non_finite()) {
            return Err(refused(&place, "finite numbers", &format!("{found} at index {index}")));
        }
        tensors.insert(name, tensor);
    }
    Ok(Payload::Tensors(tensors))
}

fn of_type(array: &Bound<'_, PyAny>) -> PyResult<String> {
    let dtype = array.getattr("dtype").map_or_else(|_| String::new(), |dtype| format!(" of {dtype}"));
    Ok(format!("{}{dtype}", array.get_type().qualname()?))
}

fn refused(keys: &str, expected: &str, found: &str) -> PyErr {
    let place = if keys.is_empty() { String::new() } else { format!(" `{keys}`:") };
    CheckpointError::new_err(format!(
        "set_state():{place} expected {expected}, found {found}. Give what get_state() returned; nothing was changed"
    ))
}

fn missing(keys: &str) -> PyErr {
    CheckpointError::new_err(format!(
        "set_state(): the state has no `{keys}`. Give what get_state() returned, whole; nothing was changed. The weights alone \
         are for set_weights()"
    ))
}

fn unknown(keys: &str, known: impl Iterator<Item = impl std::fmt::Display>) -> PyErr {
    let known: Vec<String> = known.map(|name| format!("`{name}`")).collect();
    CheckpointError::new_err(format!(
        "set_state(): `{keys}` is no part of a state; expected {}. Remove it, or correct its name; nothing was changed",
        known.join(", ")
    ))
}
