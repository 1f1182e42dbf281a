//! The user's function for every live environment.

use std::sync::{Mutex, PoisonError};

use pyo3::prelude::*;
use skirl::Error;
use skirl_env::{EnvError, LiveEnv};

use crate::callbacks::{EnvHandle, env_object};
use crate::env::with_python;
use crate::errors::to_py_err;
#[cfg(unix)]
use crate::worker::visit_elsewhere;

/// What visits one environment.
type Visit<'a> = &'a mut dyn FnMut(usize, &mut LiveEnv<'_>) -> Result<Option<Py<PyAny>>, EnvError>;

/// Environments by their index: the first one, and the one after the last.
pub(crate) type Bounds = (usize, usize);

/// Why not all environments were visited.
pub(crate) enum Failed {
    /// The function raised this.
    Function(PyErr),
    Engine(Error),
}

impl Failed {
    /// The exception: the user's own as it was raised.
    pub(crate) fn into_py_err(self, py: Python<'_>) -> PyErr {
        match self {
            Self::Function(error) => error,
            Self::Engine(error) => to_py_err(py, error),
        }
    }
}

/// Calls `function(env)` for the environments that `walk` visits, or for those of them within the bounds, and gathers what it
/// returns.
pub(crate) fn foreach_env(
    function: &Py<PyAny>,
    bounds: Option<Bounds>,
    walk: impl FnOnce(Visit<'_>) -> Result<Vec<Option<Py<PyAny>>>, Error>,
) -> Result<Vec<Py<PyAny>>, Failed> {
    let raised: Mutex<Option<PyErr>> = Mutex::new(None);
    #[cfg(unix)]
    let mut pickled = None;
    let visited = walk(&mut |index, env| {
        if bounds.is_some_and(|(first, end)| !(first..end).contains(&index)) {
            return Ok(None);
        }
        // Python code sets a task by its own method, which the engine does not see.
        let called = env.noticing(|env| {
            #[cfg(unix)]
            let elsewhere = visit_elsewhere(env, function, &mut pickled);
            #[cfg(not(unix))]
            let elsewhere = None;
            elsewhere.unwrap_or_else(|| {
                EnvHandle::lend(index, env, |handle| {
                    with_python(|py| function.call1(py, (env_object(py, &handle)?,)))
                })
            })
        });
        called.map(Some).map_err(|error| {
            *raised.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
            EnvError::raised("the function failed")
        })
    });
    match raised.into_inner().unwrap_or_else(PoisonError::into_inner) {
        Some(error) => Err(Failed::Function(error)),
        None => visited.map(|found| found.into_iter().flatten().collect()).map_err(Failed::Engine),
    }
}
