//! Proximal policy optimization (Schulman et al. 2017): `collect → gae → ppo_update → publish`.
//!
//! What each option does, and how this PPO differs from others: `README.md` beside this file.

pub mod loss;
pub mod rule;

#[cfg(test)]
mod tests;

pub use rule::PpoRule;

use super::on_policy::{self, COLLECT, GAE, OnPolicy, PUBLISH};
use crate::algo::{BuildFrom, Parts};
use crate::collect::{AgentSpaces, EnvironmentSpec};
use crate::config::PpoConfig;
use crate::error::Error;
use crate::pipeline::Pipeline;
use crate::plan::Plan;

/// The stages in order, as `skirl explain` shows them.
pub const STAGES: [&str; 4] = [
    COLLECT,
    GAE,
    "ppo_update   epochs of clipped minibatch updates              train_batch → new_weights, learner_results",
    PUBLISH,
];

/// Resolves every size; errors where the spaces cannot be served.
pub fn plan(config: &PpoConfig, spec: EnvironmentSpec, agents: Vec<AgentSpaces>) -> Result<Plan, Error> {
    on_policy::plan(config, spec, agents, &STAGES)
}

/// Builds runner, learners and pipeline.
pub fn build(config: &PpoConfig, from: BuildFrom<'_>) -> Result<Parts, Error> {
    let parts = OnPolicy::<PpoRule>::new(config, from)?;
    let stages = Pipeline::builder()
        .with(parts.collect())
        .with(parts.gae()?)
        .with(parts.update())
        .with(parts.publish());
    parts.finish(stages)
}
