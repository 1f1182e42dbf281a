//! Errors of the engine as Python exceptions. The classes are defined in `skirl/errors.py`.

use pyo3::prelude::*;
use skirl::Error;

pyo3::import_exception!(skirl.errors, CallbackError);
pyo3::import_exception!(skirl.errors, CheckpointError);
pyo3::import_exception!(skirl.errors, ConfigError);
pyo3::import_exception!(skirl.errors, EnvError);
pyo3::import_exception!(skirl.errors, InternalError);
pyo3::import_exception!(skirl.errors, SkirlError);
pyo3::import_exception!(skirl.errors, StoppedError);
pyo3::import_exception!(skirl.errors, TrainingError);

/// The exception for an error of the engine.
pub(crate) fn to_py_err(py: Python<'_>, error: Error) -> PyErr {
    let text = error.to_string();
    match error {
        Error::Callback(failed) => of_user(py, text, failed.source),
        Error::OwnEvaluation { source, .. } => of_user(py, text, source),
        Error::Config(_) => ConfigError::new_err(text),
        Error::Env { .. }
        | Error::ForeachEnv { .. }
        | Error::MakeEnv(_)
        | Error::NonFinite { .. }
        | Error::TruncatedWithoutObservation { .. }
        | Error::EndlessEpisode { .. }
        | Error::ActionSpace { .. } => EnvError::new_err(text),
        Error::Checkpoint(_) | Error::RunnerState { .. } => CheckpointError::new_err(text),
        Error::Stopped { .. } => StoppedError::new_err(text),
        Error::Diverged { .. } => TrainingError::new_err(text),
        Error::Internal(_) => InternalError::new_err(text),
        _ => SkirlError::new_err(text),
    }
}

/// An error of the user's own function, whose exception is the cause. What is no error at all (Ctrl-C, `SystemExit`) goes
/// on as it is.
fn of_user(py: Python<'_>, text: String, source: Box<dyn std::error::Error + Send + Sync>) -> PyErr {
    let cause = source.downcast::<PyErr>().ok().map(|error| *error);
    match cause {
        Some(cause) if !cause.is_instance_of::<pyo3::exceptions::PyException>(py) => cause,
        cause => {
            let error = CallbackError::new_err(text);
            error.set_cause(py, cause);
            error
        }
    }
}
