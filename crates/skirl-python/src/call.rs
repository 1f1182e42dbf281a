//! Calls into the engine: without the interpreter's lock, and never with a panic as the answer.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use pyo3::prelude::*;

use crate::errors::{InternalError, to_py_err};

/// Runs engine work while other Python threads may go on.
pub(crate) fn detached<T: Send>(
    py: Python<'_>,
    work: impl FnOnce() -> Result<T, skirl::Error> + Send,
) -> PyResult<T> {
    py.detach(|| guarded(work)).and_then(|outcome| outcome.map_err(|error| to_py_err(py, error)))
}

/// Runs engine work that takes microseconds: not worth giving up the interpreter's lock.
pub(crate) fn attached<T>(py: Python<'_>, work: impl FnOnce() -> Result<T, skirl::Error>) -> PyResult<T> {
    guarded(work).and_then(|outcome| outcome.map_err(|error| to_py_err(py, error)))
}

/// A panic becomes an `InternalError`: it is a defect of skirl, never the user's.
fn guarded<T>(work: impl FnOnce() -> T) -> PyResult<T> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|panic| panicked(message(&*panic)))
}

/// The exception for a panic.
pub(crate) fn panicked(message: &str) -> PyErr {
    InternalError::new_err(format!(
        "skirl met a state that should not exist: {message}. This is a defect of skirl: please report it with the call that \
         led here. The object that was used may be unusable now"
    ))
}

/// What a panic said.
pub(crate) fn message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message")
}
