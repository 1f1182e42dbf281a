//! JSON values as plain Python objects, and back.

use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyFloat, PyInt, PyList, PyMapping, PySequence, PyString};
use serde_json::{Map, Number, Value};

/// Deepest nesting that is converted: a container that holds itself would never end.
const MAX_DEPTH: usize = 64;

/// Plain Python: dict, list, str, int, float, bool, None.
pub(crate) fn to_python<'py>(py: Python<'py>, value: &Value) -> PyResult<Bound<'py, PyAny>> {
    Ok(match value {
        Value::Null => py.None().into_bound(py),
        Value::Bool(flag) => PyBool::new(py, *flag).to_owned().into_any(),
        Value::String(text) => PyString::new(py, text).into_any(),
        Value::Number(number) => number_to_python(py, number)?,
        Value::Array(items) => {
            let items: PyResult<Vec<_>> = items.iter().map(|item| to_python(py, item)).collect();
            PyList::new(py, items?)?.into_any()
        }
        Value::Object(map) => map_to_python(py, map)?.into_any(),
    })
}

/// A map as a dict, in its order.
pub(crate) fn map_to_python<'py>(py: Python<'py>, map: &Map<String, Value>) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    for (key, value) in map {
        dict.set_item(key, to_python(py, value)?)?;
    }
    Ok(dict)
}

fn number_to_python<'py>(py: Python<'py>, number: &Number) -> PyResult<Bound<'py, PyAny>> {
    if let Some(integer) = number.as_i64() {
        return Ok(integer.into_pyobject(py)?.into_any());
    }
    if let Some(integer) = number.as_u64() {
        return Ok(integer.into_pyobject(py)?.into_any());
    }
    Ok(PyFloat::new(py, number.as_f64().unwrap_or(f64::NAN)).into_any())
}

/// What can stand in a configuration: plain values, mappings, sequences, and NumPy's scalars. `place` is for the error.
pub(crate) fn from_python(object: &Bound<'_, PyAny>, place: &str) -> PyResult<Value> {
    convert(object, place, 0)
}

fn convert(object: &Bound<'_, PyAny>, place: &str, depth: usize) -> PyResult<Value> {
    if depth > MAX_DEPTH {
        return Err(PyValueError::new_err(format!(
            "{place} is nested more than {MAX_DEPTH} deep, or holds itself"
        )));
    }
    if object.is_none() {
        return Ok(Value::Null);
    }
    if let Ok(flag) = object.cast::<PyBool>() {
        return Ok(Value::Bool(flag.is_true()));
    }
    if let Ok(text) = object.cast::<PyString>() {
        return Ok(Value::String(text.to_string()));
    }
    if object.is_instance_of::<PyInt>() {
        return integer(object, place);
    }
    if object.is_instance_of::<PyFloat>() {
        return float(object.extract()?, place);
    }
    if let Ok(map) = object.cast::<PyMapping>() {
        return mapping(map, place, depth);
    }
    if let Ok(items) = object.cast::<PySequence>() {
        let items = items.try_iter()?;
        let items: PyResult<Vec<Value>> = items
            .enumerate()
            .map(|(index, item)| convert(&item?, &format!("{place}[{index}]"), depth + 1))
            .collect();
        return Ok(Value::Array(items?));
    }
    scalar(object, place, depth)
}

/// NumPy's scalars and arrays give their plain value by `tolist`.
fn scalar(object: &Bound<'_, PyAny>, place: &str, depth: usize) -> PyResult<Value> {
    let is_numpy = object.get_type().module().is_ok_and(|module| module.to_string().starts_with("numpy"));
    if is_numpy && object.hasattr("tolist")? {
        return convert(&object.call_method0("tolist")?, place, depth + 1);
    }
    Err(PyTypeError::new_err(format!(
        "{place}: expected a plain value (number, string, bool, None, list, dict), found {} of type {}",
        object.repr()?,
        object.get_type().qualname()?
    )))
}

fn integer(object: &Bound<'_, PyAny>, place: &str) -> PyResult<Value> {
    if let Ok(integer) = object.extract::<i64>() {
        return Ok(Value::from(integer));
    }
    object
        .extract::<u64>()
        .map(Value::from)
        .map_err(|_| PyValueError::new_err(format!("{place}: {object} does not fit into 64 bits")))
}

/// JSON has no NaN and no infinities, and no option takes them.
fn float(number: f64, place: &str) -> PyResult<Value> {
    Number::from_f64(number)
        .map(Value::Number)
        .ok_or_else(|| PyValueError::new_err(format!("{place}: must be a finite number, found {number}")))
}

fn mapping(map: &Bound<'_, PyMapping>, place: &str, depth: usize) -> PyResult<Value> {
    let mut object = Map::new();
    for item in map.items()?.iter() {
        let (key, value): (Bound<'_, PyAny>, Bound<'_, PyAny>) = item.extract()?;
        let key = key.str()?.to_string();
        let value = convert(&value, &format!("{place}.{key}"), depth + 1)?;
        object.insert(key, value);
    }
    Ok(Value::Object(object))
}
