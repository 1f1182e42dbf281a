//! Errors of the engine as Python exceptions. The classes are defined in `skirl/errors.py`.

use std::error::Error as StdError;

use pyo3::exceptions::{PyBrokenPipeError, PyException};
use pyo3::prelude::*;
use skirl::Error;
use skirl_env::ForeignError;

pyo3::import_exception!(skirl.errors, CallbackError);
pyo3::import_exception!(skirl.errors, CheckpointError);
pyo3::import_exception!(skirl.errors, ConfigError);
pyo3::import_exception!(skirl.errors, EnvError);
pyo3::import_exception!(skirl.errors, InternalError);
pyo3::import_exception!(skirl.errors, SkirlError);
pyo3::import_exception!(skirl.errors, StoppedError);
pyo3::import_exception!(skirl.errors, TrainingError);

/// The exception for an error of the engine. An exception of the user's code that led to it is its cause, with its traceback;
/// an interrupt (`KeyboardInterrupt`, `SystemExit`) goes on as it is.
pub(crate) fn to_py_err(py: Python<'_>, error: Error) -> PyErr {
    let origin = origin(&error).map(|origin| origin.clone_ref(py));
    match origin {
        Some(origin) if !origin.is_instance_of::<PyException>(py) => origin,
        // The innermost of hooks that call each other says what failed; those around it would only say so once more each.
        Some(origin) if matches!(error, Error::Callback(_)) && origin.is_instance_of::<CallbackError>(py) => {
            origin
        }
        Some(origin) => {
            let raised = by_kind(error, &advice(py, &origin));
            raised.set_cause(py, Some(origin));
            raised
        }
        None => by_kind(error, ""),
    }
}

/// The exception that an error of the engine began with, if it began in Python.
pub(crate) fn origin(error: &Error) -> Option<&PyErr> {
    let mut next: Option<&(dyn StdError + 'static)> = Some(error);
    while let Some(error) = next {
        if let Some(foreign) = error.downcast_ref::<ForeignError>() {
            return foreign.downcast_ref();
        }
        if let Some(raised) = error.downcast_ref::<PyErr>() {
            return Some(raised);
        }
        next = error.source();
    }
    None
}

/// What the engine cannot know of an exception: printing fails where nobody reads any more.
fn advice(py: Python<'_>, origin: &PyErr) -> String {
    if !origin.is_instance_of::<PyBrokenPipeError>(py) {
        return String::new();
    }
    let advice = py.import("skirl._output").and_then(|module| module.call_method0("advice_on_closed_output"));
    advice.and_then(|advice| advice.extract()).unwrap_or_default()
}

fn by_kind(error: Error, advice: &str) -> PyErr {
    let mut text = error.to_string();
    if !advice.is_empty() {
        text = format!("{text}. {advice}");
    }
    match error {
        Error::Callback(_) | Error::OwnEvaluation { .. } => CallbackError::new_err(text),
        Error::Config(_) | Error::Misfit { .. } => ConfigError::new_err(text),
        Error::Env { source: skirl_env::EnvError::BadState { .. }, .. } => CheckpointError::new_err(text),
        Error::Env { .. }
        | Error::EnvRunner { .. }
        | Error::ForeachEnv { .. }
        | Error::MakeEnv(_)
        | Error::NonFinite { .. }
        | Error::OtherSpaces { .. }
        | Error::Observation { .. }
        | Error::TruncatedWithoutObservation { .. }
        | Error::EndlessEpisode { .. }
        | Error::ActionSpace { .. } => EnvError::new_err(text),
        Error::Checkpoint(_) | Error::Mismatch { .. } | Error::RunnerState { .. } => {
            CheckpointError::new_err(text)
        }
        Error::Stopped { .. } => StoppedError::new_err(text),
        Error::Diverged { .. } => TrainingError::new_err(text),
        Error::Internal(_) => InternalError::new_err(text),
        _ => SkirlError::new_err(text),
    }
}
