//! Stepping over the border into Python.

use pyo3::exceptions::PyKeyboardInterrupt;
use pyo3::prelude::*;
use skirl_env::EnvError;
use skirl_nn::FlushDenormals;

use super::fault::{describe, whose};
use super::observation::Outside;
use super::outcome::shown;
use crate::engine_thread::is_interrupted;

/// Runs `work` with the interpreter's lock and with subnormal numbers as Python expects them.
pub(crate) fn with_python<T>(work: impl FnOnce(Python<'_>) -> T) -> T {
    Python::attach(|py| {
        let _as_they_are = FlushDenormals::suspend();
        work(py)
    })
}

/// An interrupt (Ctrl-C) becomes an error here: one that is waiting, on the main thread; one that the caller of an algorithm
/// met, on the algorithm's.
pub(super) fn check_signals(py: Python<'_>) -> Result<(), EnvError> {
    let signals = match is_interrupted() {
        true => Err(PyKeyboardInterrupt::new_err(())),
        false => py.check_signals(),
    };
    signals.map_err(EnvError::interrupted)
}

/// Tells of an observation outside its space, as a Python warning. It is used as it is.
pub(super) fn warn_outside(env: &Bound<'_, PyAny>, index: usize, outside: &Outside) -> Result<(), EnvError> {
    let py = env.py();
    let leaf = if outside.leaf.is_empty() { String::new() } else { format!(" \"{}\"", outside.leaf) };
    let message = format!(
        "observation{leaf} of {} left its space: element {} is {}, expected [{}, {}] (environment {index}; reported once for \
         each environment, the value is used as it is). Widen the space, or clip the observation",
        whose(env, "step"),
        outside.index,
        shown(outside.value),
        shown(outside.low),
        shown(outside.high)
    );
    let warned = py.import("warnings").and_then(|warnings| warnings.call_method1("warn", (message,)));
    warned.map(drop).map_err(|error| EnvError::foreign(describe(py, &error), error))
}
