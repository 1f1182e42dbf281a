//! Estimating: from a rollout table to advantages and value targets.
//!
//! Flows in: [`ModuleRollout`](crate::contract::ModuleRollout). Flows out: [`Estimates`], one number for each row.

pub mod gae;
pub mod returns;
pub mod stage;

pub use gae::{GaeRules, estimate};
pub use returns::{ReturnRules, returns};

/// What an estimator adds to a rollout's rows.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Estimates {
    /// Advantage of the action taken.
    pub advantages: Vec<f32>,
    /// What the value function should have said.
    pub value_targets: Vec<f32>,
}
