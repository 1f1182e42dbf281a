//! Policy gradient (REINFORCE, Williams 1992): `collect → returns → pg_update → publish`.
//!
//! What each option does, and how this PG differs from others: `README.md` beside this file.

use super::on_policy::{COLLECT, OnPolicy, PUBLISH, PolicyGradientLoss, UpdateRule};
use crate::algo::{BuildFrom, Parts};
use crate::config::{PgConfig, PgTraining};
use crate::error::Error;
use crate::pipeline::Pipeline;

/// Builds runner, learners and pipeline.
pub fn build(config: &PgConfig, from: BuildFrom<'_>) -> Result<Parts, Error> {
    let parts = OnPolicy::<PgRule>::new(config, from)?;
    let estimated = Pipeline::builder().with(parts.collect()).with(parts.returns()?);
    let stages = parts.learn_on_batch(estimated).with(parts.update()).with(parts.publish());
    parts.finish(stages)
}

/// PG: its loss has no coefficients.
#[derive(Debug, Clone)]
pub struct PgRule;

impl UpdateRule for PgRule {
    type Training = PgTraining;
    type Loss = PolicyGradientLoss;

    const STAGE: &'static str = "pg_update";
    const STAGES: [&'static str; 4] = [
        COLLECT,
        "returns      discounted returns                               sample → train_batch",
        "pg_update    one step over all rows                           train_batch → new_weights, learner_results",
        PUBLISH,
    ];

    fn new(_options: &PgTraining) -> Self {
        Self
    }

    fn loss(&self, _env_steps: u64) -> PolicyGradientLoss {
        PolicyGradientLoss { vf_loss_coeff: None, entropy_coeff: 0.0 }
    }
}
