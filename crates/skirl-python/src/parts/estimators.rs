//! Estimators on NumPy arrays, in float32 as the engine's own. The Python half, which converts and reshapes, is
//! `skirl/estimators.py`.

use numpy::{PyArray1, PyReadonlyArray1};
use pyo3::prelude::*;
use skirl_math::chain::{Chain, ChainError, END, EndRow};
use skirl_math::gae::{GaeOut, GaeParams, gae as chained_gae};
use skirl_math::returns::discounted_returns as chained_returns;
use skirl_math::vtrace::{VtraceIn, VtraceOut, VtraceParams, vtrace as chained_vtrace};

use crate::errors::ConfigError;

type Floats<'py> = PyReadonlyArray1<'py, f32>;
type Array<'py> = Bound<'py, PyArray1<f32>>;

/// How rows follow each other, and what follows where none does.
#[derive(FromPyObject)]
pub(crate) struct Sequence<'py> {
    /// 1 where the episode ended by its own rules.
    #[pyo3(item("terminateds"))]
    terminateds: PyReadonlyArray1<'py, u8>,
    /// 1 where it was cut.
    #[pyo3(item("truncateds"))]
    truncateds: PyReadonlyArray1<'py, u8>,
    /// Value of what followed a row, where no row does and the episode did not terminate.
    #[pyo3(item("bootstrap_values"))]
    bootstrap_values: Floats<'py>,
    /// The next row of each, −1 where there is none.
    #[pyo3(item("next_row"))]
    next_row: PyReadonlyArray1<'py, i64>,
}

/// The rows of a sequence, linked.
struct Rows {
    next: Vec<u32>,
    ends: Vec<EndRow>,
}

impl Rows {
    fn of(sequence: &Sequence<'_>) -> PyResult<Self> {
        let terminated = sequence.terminateds.as_slice()?;
        let truncated = sequence.truncateds.as_slice()?;
        let values = sequence.bootstrap_values.as_slice()?;
        let followers = sequence.next_row.as_slice()?;
        let rows = followers.len();
        if [terminated.len(), truncated.len(), values.len()] != [rows; 3] {
            return Err(ConfigError::new_err("expected columns of one length"));
        }
        let (mut next, mut ends) = (Vec::with_capacity(rows), Vec::new());
        for row in 0..rows {
            let ended = terminated[row] != 0 || truncated[row] != 0;
            let follower = u32::try_from(followers[row]).ok().filter(|_| !ended).unwrap_or(END);
            if follower == END {
                let value = if terminated[row] != 0 { 0.0 } else { values[row] };
                ends.push(EndRow { row: row as u32, value });
            }
            next.push(follower);
        }
        Ok(Self { next, ends })
    }

    fn chain(&self) -> Chain<'_> {
        Chain { next: &self.next, ends: &self.ends }
    }
}

fn raise(error: &ChainError) -> PyErr {
    ConfigError::new_err(error.to_string())
}

/// Generalised advantage estimation: advantages and value targets.
#[pyfunction]
pub(crate) fn gae<'py>(
    py: Python<'py>,
    rewards: Floats<'py>,
    values: Floats<'py>,
    sequence: Sequence<'py>,
    gamma: f32,
    lambda_: f32,
) -> PyResult<(Array<'py>, Array<'py>)> {
    let rows = Rows::of(&sequence)?;
    let (rewards, values) = (rewards.as_slice()?, values.as_slice()?);
    let (mut advantages, mut value_targets) = (vec![0.0; rewards.len()], vec![0.0; rewards.len()]);
    let out = GaeOut { advantages: &mut advantages, value_targets: &mut value_targets };
    chained_gae(rewards, values, rows.chain(), GaeParams { gamma, lambda: lambda_ }, out)
        .map_err(|error| raise(&error))?;
    Ok((PyArray1::from_vec(py, advantages), PyArray1::from_vec(py, value_targets)))
}

/// Discounted returns.
#[pyfunction]
pub(crate) fn discounted_returns<'py>(
    py: Python<'py>,
    rewards: Floats<'py>,
    sequence: Sequence<'py>,
    gamma: f32,
) -> PyResult<Array<'py>> {
    let rows = Rows::of(&sequence)?;
    let rewards = rewards.as_slice()?;
    let mut returns = vec![0.0; rewards.len()];
    chained_returns(rewards, rows.chain(), gamma, &mut returns).map_err(|error| raise(&error))?;
    Ok(PyArray1::from_vec(py, returns))
}

/// V-trace: value targets and policy-gradient advantages.
#[pyfunction]
pub(crate) fn vtrace<'py>(
    py: Python<'py>,
    log_rhos: Floats<'py>,
    rewards: Floats<'py>,
    values: Floats<'py>,
    sequence: Sequence<'py>,
    gamma: f32,
    lambda_: f32,
    clip_rho_threshold: f32,
    clip_pg_rho_threshold: f32,
) -> PyResult<(Array<'py>, Array<'py>)> {
    let rows = Rows::of(&sequence)?;
    let rewards = rewards.as_slice()?;
    let input = VtraceIn { log_rhos: log_rhos.as_slice()?, rewards, values: values.as_slice()? };
    let (mut value_targets, mut advantages) = (vec![0.0; rewards.len()], vec![0.0; rewards.len()]);
    let out = VtraceOut { value_targets: &mut value_targets, advantages: &mut advantages };
    let params = VtraceParams { gamma, lambda: lambda_, clip_rho_threshold, clip_pg_rho_threshold };
    chained_vtrace(input, rows.chain(), params, out).map_err(|error| raise(&error))?;
    Ok((PyArray1::from_vec(py, value_targets), PyArray1::from_vec(py, advantages)))
}
