//! What was sampled, as NumPy arrays that own the memory, or keep alive whoever does: nothing is copied.

use numpy::{Element, PyArray1, PyArrayMethods};
use pyo3::prelude::*;
use pyo3::types::PyDict;
use skirl::contract::{Actions, Links, ModuleRollout};
use skirl_math::chain::END;

use crate::callbacks::{action_shape, names, new_batch, shown};

/// A table as a `SampleBatch`.
pub(super) fn batch_of<'py>(
    py: Python<'py>,
    module: &str,
    table: ModuleRollout,
) -> PyResult<Bound<'py, PyDict>> {
    let batch = new_batch(py, module)?;
    let rows = table.rows;
    let bootstrap = bootstrap_values(&table);
    let ModuleRollout { mut obs, actions, ends, links, obs_width, dist_width, .. } = table;
    // More may be allocated than there are rows.
    obs.truncate(rows * obs_width);
    match obs.is_lent() {
        true => batch.set_item(names::OBS, shown(py, obs, &[rows, obs_width])?.1),
        false => put(&batch, names::OBS, obs.into_vec(), &[rows, obs_width]),
    }?;
    let shape = action_shape(&actions);
    match actions {
        Actions::Discrete { data, .. } => put(&batch, names::ACTIONS, data, &shape),
        Actions::Continuous { data, .. } => put(&batch, names::ACTIONS, data, &shape),
    }?;
    put(&batch, names::REWARDS, table.rewards, &[rows])?;
    put(&batch, names::TERMINATEDS, table.terminated, &[rows])?;
    put(&batch, names::TRUNCATEDS, table.truncated, &[rows])?;
    put(&batch, names::ACTION_LOGP, table.logp, &[rows])?;
    put(&batch, names::ACTION_DIST_INPUTS, table.dist_inputs, &[rows, dist_width])?;
    put(&batch, names::VF_PREDS, table.values, &[rows])?;
    put(&batch, "bootstrap_values", bootstrap, &[rows])?;
    put(&batch, names::EPS_ID, table.episode, &[rows])?;
    put(&batch, names::ENV_INDEX, table.env, &[rows])?;
    put(&batch, names::AGENT_INDEX, table.agent, &[rows])?;
    let num_envs = match links {
        Links::Rectangular { num_envs } => num_envs,
        Links::Chained { next } => {
            let next = next.into_iter().map(|row| if row == END { -1 } else { i64::from(row) }).collect();
            put(&batch, "next_row", next, &[rows])?;
            0
        }
    };
    batch.setattr("num_envs", num_envs)?;
    let num_ends = ends.row.len();
    batch.setattr("end_rows", PyArray1::from_iter(py, ends.row.into_iter().map(i64::from)))?;
    batch.setattr("end_obs", PyArray1::from_vec(py, ends.obs).reshape([num_ends, obs_width])?)?;
    Ok(batch)
}

fn put<T: Element>(batch: &Bound<'_, PyDict>, name: &str, column: Vec<T>, shape: &[usize]) -> PyResult<()> {
    let array = PyArray1::from_vec(batch.py(), column);
    match shape {
        [_] => batch.set_item(name, array),
        _ => batch.set_item(name, array.reshape(shape)?),
    }
}

/// The value of what followed a row, where no row of the table does and the episode had not terminated; 0 elsewhere.
fn bootstrap_values(table: &ModuleRollout) -> Vec<f32> {
    let mut values = vec![0.0; table.rows];
    for (&row, &value) in table.ends.row.iter().zip(&table.ends.values) {
        values[row as usize] = value;
    }
    values
}
