//! Proximal policy optimization (Schulman et al. 2017): `collect → gae → ppo_update → publish`.
//!
//! What each option does, and how this PPO differs from others: `README.md` beside this file.

pub mod loss;
pub mod rule;
mod terms;

#[cfg(test)]
mod tests;

pub use rule::PpoRule;

use super::on_policy::OnPolicy;
use crate::algo::{BuildFrom, Parts};
use crate::config::PpoConfig;
use crate::error::Error;
use crate::pipeline::Pipeline;

/// Builds runner, learners and pipeline.
pub fn build(config: &PpoConfig, from: BuildFrom<'_>) -> Result<Parts, Error> {
    let parts = OnPolicy::<PpoRule>::new(config, from)?;
    let estimated = Pipeline::builder().with(parts.collect()).with(parts.gae()?);
    let stages = parts.learn_on_batch(estimated).with(parts.update()).with(parts.publish());
    parts.finish(stages)
}
