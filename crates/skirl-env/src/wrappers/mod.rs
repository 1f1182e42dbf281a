//! Environments around environments.

mod order;
mod time_limit;
mod transform;

pub use order::OrderEnforcing;
pub use time_limit::{MultiTimeLimit, TimeLimit};
pub use transform::{TransformObservation, TransformReward};
