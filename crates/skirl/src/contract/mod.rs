//! What the rooms share: identifiers, the rollout table, policies, and the trait of a loss.
//!
//! Flows in: nothing. Flows out: types only. Every room may use this module; it uses none of them.

pub mod actions;
pub mod batch;
pub mod learner_group;
pub mod observations;
pub mod policy;
pub mod rollout;
pub mod row_counts;
pub mod shared;
pub mod slots;
pub mod weights;

pub use actions::Actions;
pub use batch::{Batch, Estimates};
pub use learner_group::{Herald, LearnerGroup, ModuleState};
pub use observations::{LentMemory, Observations};
pub use policy::{ModuleId, Policies, Policy};
pub use rollout::{EndRows, Links, ModuleRollout, Rollout, RolloutColumns};
pub use row_counts::RowCounts;
pub use weights::Weights;

/// The module id of a single-agent run, as in RLlib.
pub const DEFAULT_MODULE_ID: &str = "default_policy";
/// The agent id of a single-agent run, as in RLlib.
pub const DEFAULT_AGENT_ID: &str = "default_agent";
