//! Results that hooks may change: a dict, and back.

use std::collections::BTreeMap;

use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyFloat, PyMapping};
use serde_json::Value;
use skirl::report::{Metric, TrainResult};

use crate::value::from_python;

/// A result as a hook left it: numbers, strings and flags by key. NaN and infinities are no data, and left out.
pub(crate) fn from_dict(dict: &Bound<'_, PyAny>) -> PyResult<TrainResult> {
    let mut result = TrainResult::new();
    fill(&mut result, &mut Vec::new(), dict)?;
    Ok(result)
}

fn fill(result: &mut TrainResult, path: &mut Vec<String>, object: &Bound<'_, PyAny>) -> PyResult<()> {
    if let Ok(map) = object.cast::<PyMapping>() {
        for item in map.items()?.iter() {
            let (key, value): (Bound<'_, PyAny>, Bound<'_, PyAny>) = item.extract()?;
            path.push(key.str()?.to_string());
            fill(result, path, &value)?;
            path.pop();
        }
        return Ok(());
    }
    let keys: Vec<&str> = path.iter().map(String::as_str).collect();
    result.set_at(&keys, leaf(object, &keys)?);
    Ok(())
}

fn leaf(object: &Bound<'_, PyAny>, keys: &[&str]) -> PyResult<Metric> {
    if let Some(float) = as_float(object) {
        return Ok(Metric::Float(float));
    }
    let place = format!("result[\"{}\"]", keys.join("\"][\""));
    Ok(match from_python(object, &place)? {
        Value::Null => Metric::Absent,
        Value::Bool(flag) => Metric::Flag(flag),
        Value::String(text) => Metric::Text(text),
        Value::Number(number) => match (number.as_u64(), number.as_i64()) {
            (Some(count), _) => Metric::Count(count),
            (None, Some(integer)) => Metric::Integer(integer),
            (None, None) => Metric::Float(number.as_f64().unwrap_or(f64::NAN)),
        },
        Value::Array(_) | Value::Object(_) => {
            return Err(PyTypeError::new_err(format!(
                "{place}: expected a number, a string, a bool or a dict of these, found {object}; give numbers that say what \
                 you want to know of it, or keep it in an attribute of your callbacks"
            )));
        }
    })
}

/// A float, NumPy's included: it may be NaN, which is no plain value.
fn as_float(object: &Bound<'_, PyAny>) -> Option<f64> {
    if object.is_instance_of::<PyFloat>() {
        return object.extract().ok();
    }
    let item = object.call_method0("item").ok()?;
    item.is_instance_of::<PyFloat>().then(|| item.extract().ok())?
}

/// Puts the numbers that a hook added or changed into `extra`, by slash-separated path.
pub(super) fn take_changes(
    before: &Value,
    after: &Bound<'_, PyAny>,
    extra: &mut BTreeMap<String, f64>,
) -> PyResult<()> {
    let (before, after) = (TrainResult::from_value(before), from_dict(after)?);
    for (path, value) in after.flatten() {
        if before.value(&path) == Some(value) {
            continue;
        }
        let number = value.as_f64().ok_or_else(|| {
            PyTypeError::new_err(format!("evaluation_metrics at '{path}': expected a number, found {value}"))
        })?;
        extra.insert(path, number);
    }
    Ok(())
}

/// A dict of plain values, as one that a function of the user's own returned.
pub(crate) fn expect_dict<'a, 'py>(
    object: &'a Bound<'py, PyAny>,
    whose: &str,
) -> PyResult<&'a Bound<'py, PyDict>> {
    object
        .cast::<PyDict>()
        .map_err(|_| PyTypeError::new_err(format!("{whose} must return a dict of metrics, found {object}")))
}
