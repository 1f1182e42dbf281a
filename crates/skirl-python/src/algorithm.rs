//! A running algorithm, as `skirl.algorithms.Algorithm` holds it.

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError, TryLockError};

use pyo3::prelude::*;
use pyo3::types::PyDict;
use skirl::Algorithm;
use skirl::report::TrainResult;

use crate::call::detached;
use crate::config::NativeConfig;
use crate::errors::SkirlError;
use crate::value::map_to_python;

/// An algorithm: environments, policies, learners.
#[pyclass(module = "skirl._native", frozen)]
pub(crate) struct NativeAlgorithm {
    /// None after `stop`.
    inner: Mutex<Option<Algorithm>>,
}

impl NativeAlgorithm {
    /// Calls the engine without the interpreter's lock. Two threads at once are an error, not a wait.
    fn with<T: Send>(
        &self,
        py: Python<'_>,
        work: impl FnOnce(&mut Algorithm) -> Result<T, skirl::Error> + Send,
    ) -> PyResult<T> {
        let mut held = match self.inner.try_lock() {
            Ok(held) => held,
            Err(TryLockError::Poisoned(poisoned)) => PoisonError::into_inner(poisoned),
            Err(TryLockError::WouldBlock) => {
                return Err(SkirlError::new_err(
                    "this algorithm is at work in another thread; call it from one thread at a time",
                ));
            }
        };
        let Some(algorithm) = held.as_mut() else {
            return Err(SkirlError::new_err("this algorithm was stopped; build a new one from its config"));
        };
        // The guard is not Send, what it guards is.
        detached(py, move || work(algorithm))
    }
}

#[pymethods]
impl NativeAlgorithm {
    /// Builds environments, networks and the rest from a configuration.
    #[staticmethod]
    fn build(py: Python<'_>, config: &NativeConfig) -> PyResult<Self> {
        let config = config.inner.clone_box();
        let algorithm = detached(py, move || Algorithm::build(config))?;
        Ok(Self { inner: Mutex::new(Some(algorithm)) })
    }

    /// An algorithm with the configuration and state of a checkpoint.
    #[staticmethod]
    fn from_checkpoint(py: Python<'_>, path: PathBuf) -> PyResult<Self> {
        let algorithm = detached(py, move || Algorithm::from_checkpoint(&path))?;
        Ok(Self { inner: Mutex::new(Some(algorithm)) })
    }

    /// One training iteration; the result as nested dicts.
    fn train<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let result: TrainResult = self.with(py, Algorithm::train)?;
        map_to_python(py, result.as_map())
    }

    /// Writes the whole state into exactly this directory.
    fn save_to_path(&self, py: Python<'_>, path: PathBuf) -> PyResult<PathBuf> {
        self.with(py, move |algorithm| algorithm.save_to_path(&path))
    }

    /// Puts a saved state into this algorithm.
    fn restore_from_path(&self, py: Python<'_>, path: PathBuf) -> PyResult<()> {
        self.with(py, move |algorithm| algorithm.restore_from_path(&path))
    }

    /// The configuration with its seed.
    fn config(&self, py: Python<'_>) -> PyResult<NativeConfig> {
        let inner = self.with(py, |algorithm| Ok(algorithm.config().clone_box()))?;
        Ok(NativeConfig { inner })
    }

    /// What the user should be told about a restored state.
    fn warnings(&self, py: Python<'_>) -> PyResult<Vec<String>> {
        self.with(py, |algorithm| Ok(algorithm.warnings().to_vec()))
    }

    /// Ids of the modules.
    fn module_ids(&self, py: Python<'_>) -> PyResult<Vec<String>> {
        self.with(py, |algorithm| Ok(algorithm.module_ids()))
    }

    /// Frees environments and threads.
    fn stop(&self, py: Python<'_>) {
        py.detach(|| drop(self.inner.lock().unwrap_or_else(PoisonError::into_inner).take()));
    }
}
