//! Trajectories, rollouts and batches as dicts of NumPy arrays, while a hook may change them.

use numpy::PyArray1;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyDictMethods};
use skirl::callbacks::Trajectory;
use skirl::contract::{Actions, Batch, ModuleRollout};

use super::columns::{Moved, action_shape};

/// Names of the columns (RLlib's `Columns`).
pub(crate) mod names {
    pub(crate) const OBS: &str = "obs";
    pub(crate) const ACTIONS: &str = "actions";
    pub(crate) const REWARDS: &str = "rewards";
    pub(crate) const TERMINATEDS: &str = "terminateds";
    pub(crate) const TRUNCATEDS: &str = "truncateds";
    pub(crate) const ACTION_LOGP: &str = "action_logp";
    pub(crate) const ACTION_DIST_INPUTS: &str = "action_dist_inputs";
    pub(crate) const VF_PREDS: &str = "vf_preds";
    pub(crate) const EPS_ID: &str = "eps_id";
    pub(crate) const ENV_INDEX: &str = "env_index";
    pub(crate) const AGENT_INDEX: &str = "agent_index";
    pub(crate) const ADVANTAGES: &str = "advantages";
    pub(crate) const VALUE_TARGETS: &str = "value_targets";
}

/// An empty `SampleBatch`.
pub(crate) fn new_batch<'py>(py: Python<'py>, module_id: &str) -> PyResult<Bound<'py, PyDict>> {
    let batch = py.import("skirl.policy.sample_batch")?.getattr("SampleBatch")?.call0()?;
    batch.setattr("module_id", module_id)?;
    Ok(batch.cast_into::<PyDict>()?)
}

/// Columns of a batch that are only read: flags and indices, and what a hook is not to rewrite.
#[derive(Default)]
struct ToRead(Vec<(&'static str, Py<PyAny>)>);

impl ToRead {
    /// Puts a copy of `column` into `dict`.
    fn copy<T: numpy::Element + Copy>(
        &mut self,
        dict: &Bound<'_, PyDict>,
        name: &'static str,
        column: &[T],
    ) -> PyResult<()> {
        dict.set_item(name, PyArray1::from_slice(dict.py(), column))?;
        self.lock(dict, name)
    }

    /// A column that is in `dict` says from now on so when it is written to.
    fn lock(&mut self, dict: &Bound<'_, PyDict>, name: &'static str) -> PyResult<()> {
        if let Some(array) = dict.get_item(name)? {
            array.getattr("flags")?.setattr("writeable", false)?;
            self.0.push((name, array.unbind()));
        }
        Ok(())
    }

    /// Nothing that a hook wrote is lost without a word: these columns are still there, and beside them only those of
    /// `to_write`.
    fn check(self, dict: &Bound<'_, PyDict>, to_write: &[&str]) -> PyResult<()> {
        let rewritten = to_write.join(", ");
        for (name, array) in &self.0 {
            if !dict.get_item(name)?.is_some_and(|found| found.is(array)) {
                return Err(PyValueError::new_err(format!(
                    "the column '{name}' was replaced or taken out, and is only to be read here; what may be rewritten: {rewritten}"
                )));
            }
        }
        for name in dict.keys() {
            let known = |known: &&str| name.eq(*known).unwrap_or(false);
            if !to_write.iter().any(known) && !self.0.iter().any(|(name, _)| known(name)) {
                return Err(PyValueError::new_err(format!(
                    "the batch got a new column {}, which nothing would read; what may be rewritten: {rewritten}. Keep what is \
                     your own in your callback, or in episode.user_data",
                    name.repr()?
                )));
            }
        }
        Ok(())
    }
}

/// What `on_sample_end` may rewrite, without changing the number of rows.
const OF_ROLLOUT: &[&str] = &[
    names::OBS,
    names::ACTIONS,
    names::REWARDS,
    names::VF_PREDS,
    names::ACTION_LOGP,
    names::ACTION_DIST_INPUTS,
];
/// What `on_postprocess_trajectory` may rewrite.
const OF_TRAJECTORY: &[&str] = &[names::OBS, names::REWARDS, names::VF_PREDS];
/// What `on_learn_on_batch` may rewrite.
const OF_BATCH: &[&str] = &[
    names::OBS,
    names::ACTIONS,
    names::ACTION_LOGP,
    names::ACTION_DIST_INPUTS,
    names::VF_PREDS,
    names::ADVANTAGES,
    names::VALUE_TARGETS,
];

/// The columns of a table that are on loan.
pub(super) struct MovedTable {
    to_read: ToRead,
    to_write: &'static [&'static str],
    obs: Moved,
    actions: Moved,
    rewards: Moved,
    values: Moved,
    logp: Moved,
    dist_inputs: Moved,
}

impl MovedTable {
    /// Moves a table's columns into `dict`; flags and indices are there to read.
    pub(super) fn out(dict: &Bound<'_, PyDict>, table: &mut ModuleRollout) -> PyResult<Self> {
        let rows = table.rows;
        let mut to_read = ToRead::default();
        to_read.copy(dict, names::TERMINATEDS, &table.terminated)?;
        to_read.copy(dict, names::TRUNCATEDS, &table.truncated)?;
        to_read.copy(dict, names::EPS_ID, &table.episode)?;
        to_read.copy(dict, names::ENV_INDEX, &table.env)?;
        to_read.copy(dict, names::AGENT_INDEX, &table.agent)?;
        Ok(Self {
            to_read,
            to_write: OF_ROLLOUT,
            obs: Moved::out(dict, names::OBS, &mut table.obs, vec![rows, table.obs_width])?,
            actions: actions_out(dict, &mut table.actions)?,
            rewards: Moved::out(dict, names::REWARDS, &mut table.rewards, vec![rows])?,
            values: Moved::out(dict, names::VF_PREDS, &mut table.values, vec![rows])?,
            logp: Moved::out(dict, names::ACTION_LOGP, &mut table.logp, vec![rows])?,
            dist_inputs: Moved::out(
                dict,
                names::ACTION_DIST_INPUTS,
                &mut table.dist_inputs,
                vec![rows, table.dist_width],
            )?,
        })
    }

    /// What a trajectory does not write back is only read in it.
    fn of_trajectory(mut self, dict: &Bound<'_, PyDict>) -> PyResult<Self> {
        for name in OF_ROLLOUT.iter().filter(|name| !OF_TRAJECTORY.contains(name)) {
            self.to_read.lock(dict, name)?;
        }
        self.to_write = OF_TRAJECTORY;
        Ok(self)
    }

    /// Moves them back.
    pub(super) fn back(self, dict: &Bound<'_, PyDict>, table: &mut ModuleRollout) -> PyResult<()> {
        let rows = Some(table.rows);
        self.to_read.check(dict, self.to_write)?;
        self.obs.back(dict, &mut table.obs, rows)?;
        actions_back(self.actions, dict, &mut table.actions, rows)?;
        self.rewards.back(dict, &mut table.rewards, rows)?;
        self.values.back(dict, &mut table.values, rows)?;
        self.logp.back(dict, &mut table.logp, rows)?;
        self.dist_inputs.back(dict, &mut table.dist_inputs, rows)
    }
}

fn actions_out(dict: &Bound<'_, PyDict>, actions: &mut Actions) -> PyResult<Moved> {
    let shape = action_shape(actions);
    match actions {
        Actions::Discrete { data, .. } => Moved::out(dict, names::ACTIONS, data, shape),
        Actions::Continuous { data, .. } => Moved::out(dict, names::ACTIONS, data, shape),
    }
}

fn actions_back(
    moved: Moved,
    dict: &Bound<'_, PyDict>,
    actions: &mut Actions,
    rows: Option<usize>,
) -> PyResult<()> {
    match actions {
        Actions::Discrete { data, .. } => moved.back(dict, data, rows),
        Actions::Continuous { data, .. } => moved.back(dict, data, rows),
    }
}

/// Hands a trajectory to `hook` as a `SampleBatch`.
pub(super) fn with_trajectory<'py>(
    py: Python<'py>,
    trajectory: &mut Trajectory,
    hook: impl FnOnce(&Bound<'py, PyDict>) -> PyResult<()>,
) -> PyResult<()> {
    let batch = new_batch(py, trajectory.module())?;
    batch.setattr("agent_id", trajectory.agent())?;
    batch.setattr("episode_id", trajectory.episode_id())?;
    batch.setattr("env_index", trajectory.env_index())?;
    let final_obs = PyArray1::from_slice(py, trajectory.final_obs());
    final_obs.getattr("flags")?.setattr("writeable", false)?;
    batch.setattr("final_obs", final_obs)?;
    batch.setattr("final_value", trajectory.final_value())?;
    let table = trajectory.columns_mut();
    let moved = MovedTable::out(&batch, table)?.of_trajectory(&batch)?;
    hook(&batch)?;
    moved.back(&batch, table)?;
    let final_value: f32 = batch.getattr("final_value")?.extract()?;
    if let Some(value) = table.ends.values.first_mut() {
        *value = final_value;
    }
    Ok(())
}

/// Hands the rows of a module with their estimates to `hook` as a `SampleBatch`. Rows may come and go.
pub(super) fn with_batch<'py>(
    py: Python<'py>,
    module: &str,
    batch: &mut Batch,
    hook: impl FnOnce(&Bound<'py, PyDict>) -> PyResult<()>,
) -> PyResult<()> {
    let dict = new_batch(py, module)?;
    let rows = batch.rows();
    let obs = Moved::out(&dict, names::OBS, &mut batch.obs, vec![rows, batch.obs_width])?;
    let actions = actions_out(&dict, &mut batch.actions)?;
    let width = vec![rows, batch.dist_width];
    let dist_inputs = Moved::out(&dict, names::ACTION_DIST_INPUTS, &mut batch.dist_inputs, width)?;
    let mut columns = Vec::new();
    for (name, column) in single_columns(batch) {
        columns.push(Moved::out(&dict, name, column, vec![rows])?);
    }
    hook(&dict)?;
    ToRead::default().check(&dict, OF_BATCH)?;
    obs.back(&dict, &mut batch.obs, None)?;
    actions_back(actions, &dict, &mut batch.actions, None)?;
    dist_inputs.back(&dict, &mut batch.dist_inputs, None)?;
    for (moved, (_, column)) in columns.into_iter().zip(single_columns(batch)) {
        moved.back(&dict, column, None)?;
    }
    Ok(())
}

/// Columns of one number in a row.
fn single_columns(batch: &mut Batch) -> [(&'static str, &mut Vec<f32>); 4] {
    [
        (names::ACTION_LOGP, &mut batch.logp),
        (names::VF_PREDS, &mut batch.values),
        (names::ADVANTAGES, &mut batch.advantages),
        (names::VALUE_TARGETS, &mut batch.value_targets),
    ]
}
