//! `gymnasium.spaces` as the engine's spaces, and back.

use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyString, PyTuple};
use skirl_env::{BoxSpace, DType, Discrete, MultiDiscrete, Space};

use crate::errors::EnvError;
use crate::value;

/// The engine's JSON form of a space of `gymnasium.spaces`.
#[pyfunction]
pub(crate) fn space_to_json<'py>(space: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    value::to_python(space.py(), &from_python(space, "space")?.to_json())
}

/// The space of `gymnasium.spaces` with this JSON form.
#[pyfunction]
pub(crate) fn space_from_json<'py>(json: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    let space = Space::from_json(&value::from_python(json, "space")?);
    to_python(json.py(), &space.map_err(|error| EnvError::new_err(error.to_string()))?)
}

/// Kinds of Gymnasium that have no fixed size, and what to do instead.
const UNSERVED: [(&str, &str); 4] = [
    ("Graph", "Pad the nodes to a fixed number and use Dict of Box"),
    ("Sequence", "Pad it to a fixed length and use Box with a mask"),
    ("Text", "Encode the characters in a MultiDiscrete"),
    ("OneOf", "Use Dict of all alternatives with a Discrete that tells which one counts"),
];

/// Deepest nesting that is read: a space that holds itself would never end.
const MAX_DEPTH: usize = 64;

/// Reads a space; `place` (`observation_space of Corridor`) is for the error.
pub(crate) fn from_python(space: &Bound<'_, PyAny>, place: &str) -> PyResult<Space> {
    read(space, place, 0)
}

fn read(space: &Bound<'_, PyAny>, place: &str, depth: usize) -> PyResult<Space> {
    if depth > MAX_DEPTH {
        return Err(EnvError::new_err(format!("{place} is nested more than {MAX_DEPTH} deep")));
    }
    let spaces = space.py().import("gymnasium.spaces")?;
    let is = |kind: &str| -> PyResult<bool> { space.is_instance(&spaces.getattr(kind)?) };
    if is("Discrete")? {
        let (n, start) = (space.getattr("n")?.extract()?, space.getattr("start")?.extract()?);
        return Ok(Space::Discrete(Discrete { n, start }));
    }
    if is("Box")? {
        return read_box(space, place);
    }
    if is("MultiDiscrete")? {
        return read_multi_discrete(space);
    }
    if is("MultiBinary")? {
        return Ok(Space::MultiBinary { shape: space.getattr("shape")?.extract()? });
    }
    if is("Dict")? {
        return read_dict(space, place, depth);
    }
    if is("Tuple")? {
        let parts = space.getattr("spaces")?.try_iter()?.enumerate();
        let parts = parts.map(|(index, part)| read(&part?, &format!("{place}[{index}]"), depth + 1));
        return Ok(Space::Tuple(parts.collect::<PyResult<_>>()?));
    }
    Err(unserved(space, place))
}

fn read_box(space: &Bound<'_, PyAny>, place: &str) -> PyResult<Space> {
    let name = space.getattr("dtype")?.str()?.to_string();
    let Some(dtype) = dtype_named(&name) else {
        return Err(EnvError::new_err(format!(
            "{place} is a Box of dtype {name}, expected one of float32, float64, int8 to int64, uint8 to uint64, bool"
        )));
    };
    let bound = |name: &str| -> PyResult<Vec<f64>> {
        let flat = space.getattr(name)?.call_method1("astype", ("float64",))?.call_method0("ravel")?;
        flat.call_method0("tolist")?.extract()
    };
    let shape = space.getattr("shape")?.extract()?;
    Ok(Space::Box(BoxSpace { low: bound("low")?, high: bound("high")?, shape, dtype }))
}

fn read_multi_discrete(space: &Bound<'_, PyAny>) -> PyResult<Space> {
    let flat = |name: &str| -> PyResult<Vec<i64>> {
        space.getattr(name)?.call_method0("ravel")?.call_method0("tolist")?.extract()
    };
    let nvec = flat("nvec")?;
    // Gymnasium before 1.0 has no start.
    let start = if space.hasattr("start")? { flat("start")? } else { vec![0; nvec.len()] };
    Ok(Space::MultiDiscrete(MultiDiscrete { nvec, start, shape: space.getattr("shape")?.extract()? }))
}

fn read_dict(space: &Bound<'_, PyAny>, place: &str, depth: usize) -> PyResult<Space> {
    let mut parts = Vec::new();
    for item in space.getattr("spaces")?.call_method0("items")?.try_iter()? {
        let (key, part): (Bound<'_, PyAny>, Bound<'_, PyAny>) = item?.extract()?;
        let Ok(name) = key.cast::<PyString>() else {
            return Err(EnvError::new_err(format!(
                "{place} has the key {}, expected names (str) as keys of a Dict space",
                key.repr()?
            )));
        };
        let name = name.to_string();
        let part = read(&part, &format!("{place}[{name:?}]"), depth + 1)?;
        parts.push((name, part));
    }
    Ok(Space::dict(parts))
}

fn unserved(space: &Bound<'_, PyAny>, place: &str) -> PyErr {
    let kind = space.get_type().name().map_or_else(|_| "an object".to_owned(), |name| name.to_string());
    let module = space.get_type().module().map(|name| name.to_string()).unwrap_or_default();
    let hint = match UNSERVED.iter().find(|(name, _)| *name == kind) {
        Some((_, hint)) => (*hint).to_owned(),
        None if module.starts_with("gym.") => "It is a space of gym; use gymnasium.spaces".to_owned(),
        None => "Set it in the constructor of the environment".to_owned(),
    };
    EnvError::new_err(format!(
        "{place} is {module}.{kind}, expected Discrete, MultiDiscrete, MultiBinary, Box, Dict or Tuple of gymnasium.spaces. \
         {hint}"
    ))
}

/// The type with NumPy's name.
pub(crate) fn dtype_named(name: &str) -> Option<DType> {
    const ALL: [DType; 11] = [
        DType::F32,
        DType::F64,
        DType::I8,
        DType::I16,
        DType::I32,
        DType::I64,
        DType::U8,
        DType::U16,
        DType::U32,
        DType::U64,
        DType::Bool,
    ];
    ALL.into_iter().find(|dtype| dtype.to_string() == name)
}

/// The space as an object of `gymnasium.spaces`.
pub(crate) fn to_python<'py>(py: Python<'py>, space: &Space) -> PyResult<Bound<'py, PyAny>> {
    let spaces = py.import("gymnasium.spaces")?;
    match space {
        Space::Discrete(space) => {
            let kwargs = PyDict::new(py);
            kwargs.set_item("start", space.start)?;
            spaces.call_method("Discrete", (space.n,), Some(&kwargs))
        }
        Space::MultiDiscrete(space) => {
            let kwargs = PyDict::new(py);
            kwargs.set_item("start", shaped(py, &space.start, &space.shape, "int64")?)?;
            spaces.call_method(
                "MultiDiscrete",
                (shaped(py, &space.nvec, &space.shape, "int64")?,),
                Some(&kwargs),
            )
        }
        Space::MultiBinary { shape } => match shape.as_slice() {
            [n] => spaces.call_method1("MultiBinary", (*n,)),
            _ => spaces.call_method1("MultiBinary", (PyTuple::new(py, shape)?,)),
        },
        Space::Box(space) => {
            let dtype = space.dtype.to_string();
            // Infinities of an integer Box mean "no bound": its own smallest and largest.
            let (low, high) = if space.dtype.is_float() { (f64::MIN, f64::MAX) } else { space.dtype.range() };
            let finite = |bound: &f64| if space.dtype.is_float() { *bound } else { bound.clamp(low, high) };
            let bound = |bounds: &[f64]| -> PyResult<_> {
                shaped(py, &bounds.iter().map(finite).collect::<Vec<_>>(), &space.shape, &dtype)
            };
            let kwargs = PyDict::new(py);
            kwargs.set_item("dtype", &dtype)?;
            spaces.call_method("Box", (bound(&space.low)?, bound(&space.high)?), Some(&kwargs))
        }
        Space::Dict(parts) => {
            let dict = PyDict::new(py);
            for (name, part) in parts {
                dict.set_item(name, to_python(py, part)?)?;
            }
            spaces.call_method1("Dict", (dict,))
        }
        Space::Tuple(parts) => {
            let parts: PyResult<Vec<_>> = parts.iter().map(|part| to_python(py, part)).collect();
            spaces.call_method1("Tuple", (PyList::new(py, parts?)?,))
        }
    }
}

fn shaped<'py, T: numpy::Element>(
    py: Python<'py>,
    values: &[T],
    shape: &[usize],
    dtype: &str,
) -> PyResult<Bound<'py, PyAny>> {
    let flat = numpy::PyArray1::from_slice(py, values).call_method1("astype", (dtype,))?;
    flat.call_method1("reshape", (PyTuple::new(py, shape)?,))
}
