//! Errors of the engine as Python exceptions. The classes are defined in `skirl/errors.py`.

use pyo3::prelude::*;
use skirl::Error;

pyo3::import_exception!(skirl.errors, CheckpointError);
pyo3::import_exception!(skirl.errors, ConfigError);
pyo3::import_exception!(skirl.errors, EnvError);
pyo3::import_exception!(skirl.errors, InternalError);
pyo3::import_exception!(skirl.errors, SkirlError);
pyo3::import_exception!(skirl.errors, StoppedError);
pyo3::import_exception!(skirl.errors, TrainingError);

/// The exception for an error of the engine.
pub(crate) fn to_py_err(_py: Python<'_>, error: Error) -> PyErr {
    let text = error.to_string();
    match error {
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
