//! One module (policy and value function) outside its run.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use numpy::{PyArray1, PyArrayMethods, PyReadonlyArray2};
use pyo3::prelude::*;
use pyo3::types::PyDict;
use serde_json::json;
use skirl::contract::Policy;
use skirl::contract::policy::{DIST_INPUTS, VALUE};
use skirl_nn::{FlushDenormals, Mat, Tape};

use crate::arrays::{column_from, tensors_from, tensors_to_dict};
use crate::call::{attached, detached};
use crate::value::to_python;

/// Rows that the network takes at a time.
const ROWS: usize = 64;

/// A policy, as `skirl.core.rl_module.RLModule` holds it.
#[pyclass(module = "skirl._native", frozen)]
pub(crate) struct NativeModule {
    policy: Mutex<Arc<Policy>>,
}

impl NativeModule {
    pub(crate) fn over(policy: Policy) -> Self {
        Self { policy: Mutex::new(Arc::new(policy)) }
    }

    /// Not held while the network is evaluated: other Python threads go on then.
    fn policy(&self) -> Arc<Policy> {
        Arc::clone(&self.lock())
    }

    fn lock(&self) -> MutexGuard<'_, Arc<Policy>> {
        // A policy is replaced whole, so no panic can leave half of one.
        self.policy.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[pymethods]
impl NativeModule {
    /// The policy in a module's directory of a checkpoint, and warnings.
    #[staticmethod]
    fn from_checkpoint(py: Python<'_>, path: PathBuf) -> PyResult<(Self, Vec<String>)> {
        let (policy, warnings) = detached(py, move || Policy::from_checkpoint(&path))?;
        Ok((Self::over(policy), warnings))
    }

    /// Outputs for rows of inputs `[rows, obs_width]`: the distribution's inputs, and values where the module has them and
    /// `value` asks for them.
    #[pyo3(signature = (inputs, value = false))]
    fn forward<'py>(
        &self,
        py: Python<'py>,
        inputs: PyReadonlyArray2<'py, f32>,
        value: bool,
    ) -> PyResult<(Bound<'py, PyAny>, Option<Bound<'py, PyAny>>)> {
        let inputs: Vec<f32> = inputs.as_array().iter().copied().collect();
        let policy = self.policy();
        let (dist, values, width) = detached(py, move || forward(&policy, &inputs, value))?;
        let rows = dist.len() / width.max(1);
        let dist = PyArray1::from_vec(py, dist).reshape([rows, width])?.into_any();
        Ok((dist, values.map(|values| PyArray1::from_vec(py, values).into_any())))
    }

    /// Observations, one array for each leaf of the observation space, as the network sees them: `[rows, obs_width]`.
    fn flatten<'py>(
        &self,
        py: Python<'py>,
        observations: Vec<Bound<'py, PyAny>>,
        rows: usize,
    ) -> PyResult<Bound<'py, PyAny>> {
        let columns: PyResult<Vec<_>> = observations.iter().map(column_from).collect();
        let columns = columns?;
        let policy = self.policy();
        let width = policy.obs_width();
        let flat = attached(py, || {
            let mut flat = vec![0.0; rows * width];
            let columns: Vec<_> = columns.iter().map(skirl_env::Column::as_ref).collect();
            policy.observation_space.flatten_into(&columns, rows, &mut flat).map(|()| flat).map_err(
                |source| skirl::Error::Argument {
                    what: "the observations of a module".to_owned(),
                    expected: format!("{rows} values of {}", policy.observation_space),
                    found: source.to_string(),
                    remedy: "Give what the environment returns, with a batch dimension in front".to_owned(),
                },
            )
        })?;
        Ok(PyArray1::from_vec(py, flat).reshape([rows, width])?.into_any())
    }

    /// The weights by name.
    fn get_weights<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let tensors = self.policy().net.params().export();
        tensors_to_dict(py, &tensors)
    }

    /// Replaces the weights; all of them, or none where one does not fit.
    fn set_weights(&self, py: Python<'_>, weights: &Bound<'_, PyDict>) -> PyResult<()> {
        let tensors = tensors_from(weights)?;
        let mut policy = Policy::clone(&self.policy());
        attached(py, || {
            policy.net.params_mut().import(&tensors)?;
            policy.net.refresh();
            *self.lock() = Arc::new(policy);
            Ok(())
        })
    }

    /// Its two spaces as JSON, the width of its input and whether it has a value function.
    fn describe<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let policy = self.policy();
        let described = json!({
            "observation_space": policy.observation_space.to_json(),
            "action_space": policy.action_space.to_json(),
            "obs_width": policy.obs_width(),
            "has_value": policy.has_value(),
        });
        to_python(py, &described)
    }

    /// How many numbers are learned.
    fn num_parameters(&self) -> usize {
        self.policy().net.params().num_trainable()
    }
}

type Outputs = (Vec<f32>, Option<Vec<f32>>, usize);

/// Rows in blocks, so that a batch of any size needs little memory besides its outputs.
fn forward(policy: &Policy, inputs: &[f32], value: bool) -> Result<Outputs, skirl::Error> {
    let _flush = FlushDenormals::enable();
    let width = policy.obs_width();
    let rows = inputs.len() / width.max(1);
    let mut tape: Tape = policy.net.tape(ROWS.min(rows.max(1)));
    let out_width = policy.net.output_widths().get(DIST_INPUTS).copied().unwrap_or(0);
    let mut dist = Vec::with_capacity(rows * out_width);
    let mut values = (value && policy.has_value()).then(|| Vec::with_capacity(rows));
    for block in inputs.chunks(ROWS * width.max(1)) {
        let num_rows = block.len() / width.max(1);
        policy.net.forward(&[Mat::new(block, num_rows, width)], None, &mut tape)?;
        let outputs = tape.output(DIST_INPUTS);
        (0..num_rows).for_each(|row| dist.extend_from_slice(outputs.row(row)));
        if let Some(values) = &mut values {
            let column = tape.output(VALUE);
            values.extend((0..num_rows).map(|row| column.row(row)[0]));
        }
    }
    Ok((dist, values, out_width))
}
