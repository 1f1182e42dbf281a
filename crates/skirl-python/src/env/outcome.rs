//! Reading what `reset` and `step` returned: the tuples, the reward, the flags.

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyFloat, PyInt, PyString, PyTuple};

/// What is wrong with a returned value, in words that go on after its name.
pub(super) type Refusal = String;

/// The five values of a step.
pub(super) fn step_tuple<'a, 'py>(
    returned: &'a Bound<'py, PyAny>,
) -> Result<&'a Bound<'py, PyTuple>, Refusal> {
    const EXPECTED: &str = "expected (observation, reward, terminated, truncated, info)";
    let Ok(tuple) = returned.cast::<PyTuple>() else {
        return Err(format!("returned {}, {EXPECTED}", kind(returned)));
    };
    match tuple.len() {
        5 => Ok(tuple),
        4 => Err(format!(
            "returned 4 values, {EXPECTED}. This is the API of gym before 0.26: give two flags in place of `done`, \
             `terminated` for an end of the task and `truncated` for a time limit (gymnasium's EnvCompatibility of \
             shimmy converts old environments)"
        )),
        found => Err(format!("returned {found} values, {EXPECTED}")),
    }
}

/// The observation of a reset.
pub(super) fn reset_observation<'py>(returned: &Bound<'py, PyAny>) -> Result<Bound<'py, PyAny>, Refusal> {
    let tuple = returned.cast::<PyTuple>().ok().filter(|tuple| tuple.len() == 2);
    let parts = tuple.and_then(|tuple| Some((tuple.get_item(0).ok()?, tuple.get_item(1).ok()?)));
    match parts {
        Some((observation, info)) if info.is_instance_of::<PyDict>() => Ok(observation),
        Some((_, info)) => Err(format!(
            "returned 2 values of which the second is {}, expected (observation, info) with info a dict",
            kind(&info)
        )),
        None => Err(format!(
            "returned {}, expected (observation, info). Returning the observation alone is the API of gym before 0.26: \
             add an empty dict",
            kind(returned)
        )),
    }
}

/// A reward: a number of Python or NumPy, or an array or tensor that holds one.
pub(super) fn reward(value: &Bound<'_, PyAny>) -> Result<f64, Refusal> {
    if let Ok(float) = value.cast::<PyFloat>() {
        return Ok(float.value());
    }
    let single = single(value)?;
    if single.is_none() || single.is_instance_of::<PyString>() {
        return Err(format!("is {}, expected a number", kind(value)));
    }
    single.extract().map_err(|_| match single.is_instance_of::<PyInt>() {
        true => "is an integer beyond the largest float (1.8e308), expected a finite number".to_owned(),
        false => format!("is {}, expected a number", kind(value)),
    })
}

/// A flag: `bool`, NumPy's, 0 or 1, or an array or tensor that holds one of them.
pub(super) fn flag(value: &Bound<'_, PyAny>) -> Result<bool, Refusal> {
    if let Ok(flag) = value.cast::<PyBool>() {
        return Ok(flag.is_true());
    }
    let single = single(value)?;
    let number = match single.cast::<PyBool>() {
        Ok(flag) => return Ok(flag.is_true()),
        Err(_) if single.is_instance_of::<PyInt>() => single.extract::<i64>().ok(),
        Err(_) => None,
    };
    match number {
        Some(0) => Ok(false),
        Some(1) => Ok(true),
        _ => Err(format!("is {}, expected True or False", kind(value))),
    }
}

/// The plain number inside of scalars, arrays and tensors with one element.
fn single<'py>(value: &Bound<'py, PyAny>) -> Result<Bound<'py, PyAny>, Refusal> {
    if value.is_instance_of::<PyInt>() || !value.hasattr(intern!(value.py(), "item")).unwrap_or(false) {
        return Ok(value.clone());
    }
    value
        .call_method0(intern!(value.py(), "item"))
        .map_err(|_| format!("is {}, expected one number", kind(value)))
}

/// A number as an error shows it: very large and very small ones in scientific notation.
pub(super) fn shown(value: f64) -> String {
    let plain = value == 0.0 || !value.is_finite() || (1e-5..1e16).contains(&value.abs());
    if plain { value.to_string() } else { format!("{value:e}") }
}

/// Longest text of a value that an error shows.
const SHOWN: usize = 60;

/// What an object is, in a few words: `None`, `a tuple of 3`, `an array of shape (2,) and dtype float32`, `str 'x'`.
pub(super) fn kind(value: &Bound<'_, PyAny>) -> String {
    if value.is_none() {
        return "None".to_owned();
    }
    if let Ok(tuple) = value.cast::<PyTuple>() {
        return format!("a tuple of {}", tuple.len());
    }
    let name = value.get_type().name().map_or_else(|_| "an object".to_owned(), |name| name.to_string());
    if let (Ok(shape), Ok(dtype)) = (value.getattr("shape"), value.getattr("dtype")) {
        return format!("{name} of shape {shape} and dtype {dtype}");
    }
    match value.repr() {
        Ok(text) if text.to_string().chars().count() <= SHOWN => format!("{name} {text}"),
        _ => format!("an object of type {name}"),
    }
}
