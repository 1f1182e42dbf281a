//! State that the environments of a run share, in Python's hands (`skirl/shared.py`).

use numpy::{PyArray1, PyArrayMethods};
use pyo3::prelude::*;
use pyo3::types::PyDict;
use skirl_env::SharedState;
use skirl_env::shared_state::{Parameter, Parameters, SharedStateError};

use crate::arrays::tensor_from;
use crate::errors::SkirlError;
use crate::value::{from_python, to_python};

/// A handle to the state: the direct one of a run's owner, or the deferred one of an environment.
#[pyclass(module = "skirl._native", frozen)]
pub(crate) struct NativeSharedState {
    pub(crate) shared: SharedState,
}

#[pymethods]
impl NativeSharedState {
    /// Adds to a counter.
    fn add(&self, counter: &str, amount: i64) -> PyResult<()> {
        self.shared.counter(counter).add(amount).map_err(raise)
    }

    /// The value of a counter.
    fn count(&self, counter: &str) -> PyResult<i64> {
        self.shared.counter(counter).get().map_err(raise)
    }

    /// Replaces parameters of a store: NumPy arrays of floats, or plain values.
    fn put(&self, store: &str, values: &Bound<'_, PyDict>) -> PyResult<()> {
        let values: PyResult<Vec<(String, Parameter)>> = values
            .iter()
            .map(|(name, value)| {
                let name: String = name.extract()?;
                let parameter = parameter(&name, &value);
                let refused = |error: PyErr| SkirlError::new_err(error.value(value.py()).to_string());
                Ok((name, parameter.map_err(refused)?))
            })
            .collect();
        self.shared.parameter_store(store).put(values?).map_err(raise)
    }

    /// Version of a store and its parameters; `None` where the version is still `known`.
    #[pyo3(signature = (store, known = None))]
    fn parameters<'py>(
        &self,
        py: Python<'py>,
        store: &str,
        known: Option<u64>,
    ) -> PyResult<Option<(u64, Bound<'py, PyDict>)>> {
        let found: Parameters = self.shared.parameter_store(store).get().map_err(raise)?;
        if known == Some(found.version) {
            return Ok(None);
        }
        let dict = PyDict::new(py);
        for (name, value) in &found.values {
            dict.set_item(name, parameter_to_python(py, value)?)?;
        }
        Ok(Some((found.version, dict)))
    }

    /// Contributes to the sum of this training step.
    fn contribute(&self, name: &str, values: Vec<f64>) -> PyResult<()> {
        self.shared.all_reduce(name).contribute(&values).map_err(raise)
    }

    /// Number of contributions and their sum, of the last training step in which somebody contributed.
    fn reduced<'py>(
        &self,
        py: Python<'py>,
        name: &str,
    ) -> PyResult<Option<(u64, Bound<'py, PyArray1<f64>>)>> {
        let found = self.shared.all_reduce(name).get().map_err(raise)?;
        Ok(found.map(|reduced| (reduced.count, PyArray1::from_vec(py, reduced.sum))))
    }
}

fn parameter(name: &str, value: &Bound<'_, PyAny>) -> PyResult<Parameter> {
    // A NumPy scalar has a dtype, too, and is a plain value.
    let is_array = value.hasattr("dtype")? && value.hasattr("__array_interface__")? && !is_scalar(value)?;
    if !is_array {
        return from_python(value, name).map(Parameter::Json);
    }
    let tensor = tensor_from(&format!("parameter '{name}'"), value)?;
    Ok(Parameter::Tensor { shape: tensor.shape, data: tensor.data })
}

fn is_scalar(value: &Bound<'_, PyAny>) -> PyResult<bool> {
    value.is_instance(&value.py().import("numpy")?.getattr("generic")?)
}

fn parameter_to_python<'py>(py: Python<'py>, value: &Parameter) -> PyResult<Bound<'py, PyAny>> {
    match value {
        Parameter::Json(value) => to_python(py, value),
        Parameter::Tensor { shape, data } => {
            Ok(PyArray1::from_slice(py, data).reshape(shape.as_slice())?.into_any())
        }
    }
}

fn raise(error: SharedStateError) -> PyErr {
    SkirlError::new_err(error.to_string())
}
