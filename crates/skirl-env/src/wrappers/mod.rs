//! Environments around environments.

mod order;
mod time_limit;
mod transform;
mod vector;

pub use order::OrderEnforcing;
pub use time_limit::{MultiTimeLimit, TimeLimit};
pub use transform::{TransformObservation, TransformReward};
pub use vector::VectorWrapper;
