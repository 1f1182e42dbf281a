//! One module (policy and value function) outside its run.

use std::path::PathBuf;
use std::sync::Mutex;

use pyo3::prelude::*;
use skirl::contract::Policy;

use crate::call::detached;

/// A policy, as `skirl.core.rl_module.RLModule` holds it.
#[pyclass(module = "skirl._native", frozen)]
pub(crate) struct NativeModule {
    #[allow(dead_code)]
    policy: Mutex<Policy>,
}

#[pymethods]
impl NativeModule {
    /// The policy in a module's directory of a checkpoint, and warnings.
    #[staticmethod]
    fn from_checkpoint(py: Python<'_>, path: PathBuf) -> PyResult<(Self, Vec<String>)> {
        let (policy, warnings) = detached(py, move || Policy::from_checkpoint(&path))?;
        Ok((Self { policy: Mutex::new(policy) }, warnings))
    }
}
