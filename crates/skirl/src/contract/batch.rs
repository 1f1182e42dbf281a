//! The rows that one update learns from, gathered into contiguous columns.

use super::actions::gather;
use super::{Actions, ModuleRollout, Observations};

/// What an estimator adds to a rollout's rows.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Estimates {
    /// Advantage of the action taken.
    pub advantages: Vec<f32>,
    /// What the value function should have said.
    pub value_targets: Vec<f32>,
}

/// Columns of equal length; row `i` of each is one decision.
#[derive(Debug, Clone, PartialEq)]
pub struct Batch {
    /// Width of the module's input.
    pub obs_width: usize,
    /// Width of the distribution's inputs.
    pub dist_width: usize,
    /// Module inputs `[rows, obs_width]`.
    pub obs: Observations,
    /// Actions taken.
    pub actions: Actions,
    /// log π_old(a|s).
    pub logp: Vec<f32>,
    /// Distribution inputs of π_old, `[rows, dist_width]`.
    pub dist_inputs: Vec<f32>,
    /// V_old(s).
    pub values: Vec<f32>,
    /// Advantages.
    pub advantages: Vec<f32>,
    /// Value targets.
    pub value_targets: Vec<f32>,
}

impl Batch {
    /// The rows of a rollout with their estimates, in the table's order.
    pub fn from_rollout(table: ModuleRollout, estimates: Estimates) -> Self {
        let mut obs = table.obs;
        obs.truncate(table.rows * table.obs_width);
        Self {
            obs_width: table.obs_width,
            dist_width: table.dist_width,
            obs,
            actions: table.actions,
            logp: table.logp,
            dist_inputs: table.dist_inputs,
            values: table.values,
            advantages: estimates.advantages,
            value_targets: estimates.value_targets,
        }
    }

    /// A batch of the same widths with `rows` rows of zeros.
    pub fn like(other: &Self, rows: usize) -> Self {
        let mut actions = other.actions.empty();
        actions.resize(rows);
        Self {
            obs_width: other.obs_width,
            dist_width: other.dist_width,
            obs: vec![0.0; rows * other.obs_width].into(),
            actions,
            logp: vec![0.0; rows],
            dist_inputs: vec![0.0; rows * other.dist_width],
            values: vec![0.0; rows],
            advantages: vec![0.0; rows],
            value_targets: vec![0.0; rows],
        }
    }

    /// Rows.
    pub fn rows(&self) -> usize {
        self.logp.len()
    }

    /// Copies row `rows[i]` of `source` to row `i`: one pass an epoch, so that every minibatch is contiguous.
    pub fn gather(&mut self, source: &Self, rows: &[u32]) {
        gather(&mut self.obs, &source.obs, self.obs_width, rows);
        gather(&mut self.dist_inputs, &source.dist_inputs, self.dist_width, rows);
        self.actions.gather(&source.actions, rows);
        gather(&mut self.logp, &source.logp, 1, rows);
        gather(&mut self.values, &source.values, 1, rows);
        gather(&mut self.advantages, &source.advantages, 1, rows);
        gather(&mut self.value_targets, &source.value_targets, 1, rows);
    }
}
