//! Advantage actor-critic (Mnih et al. 2016, synchronous): `collect → gae → a2c_update → publish`.
//!
//! What each option does, and how this A2C differs from others: `README.md` beside this file.

use super::on_policy::{COLLECT, GAE, OnPolicy, PUBLISH, PolicyGradientLoss, UpdateRule};
use crate::algo::{BuildFrom, Parts};
use crate::config::{A2cConfig, A2cTraining};
use crate::error::Error;
use crate::pipeline::Pipeline;

/// Builds runner, learners and pipeline.
pub fn build(config: &A2cConfig, from: BuildFrom<'_>) -> Result<Parts, Error> {
    let parts = OnPolicy::<A2cRule>::new(config, from)?;
    let estimated = Pipeline::builder().with(parts.collect()).with(parts.gae()?);
    let stages = parts.learn_on_batch(estimated).with(parts.update()).with(parts.publish());
    parts.finish(stages)
}

/// A2C with the options of one module.
#[derive(Debug, Clone)]
pub struct A2cRule(A2cTraining);

impl UpdateRule for A2cRule {
    type Training = A2cTraining;
    type Loss = PolicyGradientLoss;

    const STAGE: &'static str = "a2c_update";
    const STAGES: [&'static str; 4] = [
        COLLECT,
        GAE,
        "a2c_update   one step over all rows                           train_batch → new_weights, learner_results",
        PUBLISH,
    ];

    fn new(options: &A2cTraining) -> Self {
        Self(options.clone())
    }

    fn loss(&self, env_steps: u64) -> PolicyGradientLoss {
        let options = &self.0;
        PolicyGradientLoss {
            vf_loss_coeff: options.use_critic.then_some(options.vf_loss_coeff as f32),
            entropy_coeff: options.entropy_coeff.value_at(env_steps) as f32,
        }
    }

    fn coefficients(&self, loss: &PolicyGradientLoss, _env_steps: u64) -> Vec<(&'static str, f64)> {
        vec![("curr_entropy_coeff", f64::from(loss.entropy_coeff))]
    }
}
