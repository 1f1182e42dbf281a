//! What PPO, A2C and PG have in common: collect with the newest policy, estimate, update over the batch, publish.
//!
//! An algorithm adds its options, an [`UpdateRule`] with its loss, and its list of stages.

pub mod group;
pub mod learner;
pub mod loss;
pub mod parts;
mod plan;
pub mod rule;
pub mod stage;
#[cfg(test)]
pub(in crate::algo) mod tests;

pub use learner::{BatchLearner, EpochSums};
pub use loss::PolicyGradientLoss;
pub use parts::OnPolicy;
pub use plan::plan;
pub use rule::UpdateRule;
pub use stage::Update;

/// The stage `collect` for `skirl explain`.
pub const COLLECT: &str = "collect      environments step with the newest policy        → sample, episodes";
/// The stage `gae`.
pub const GAE: &str = "gae          advantages and value targets                     sample → train_batch";
/// The stage `publish`.
pub const PUBLISH: &str = "publish      new weights to whoever acts                      new_weights →";
