//! Estimating: from a rollout table to advantages and value targets.
//!
//! Flows in: [`ModuleRollout`](crate::contract::ModuleRollout). Flows out: [`Estimates`], one number for each row.

pub mod gae;
pub mod returns;
pub mod stage;

pub use gae::{GaeRules, estimate};
pub use returns::{ReturnRules, returns};

pub use crate::contract::Estimates;
