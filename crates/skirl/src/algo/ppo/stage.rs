//! The `ppo_update` stage: rows with estimates in, new weights and metrics out.

use std::collections::BTreeMap;

use super::update::PpoLearner;
use crate::contract::ModuleId;
use crate::contract::shared::Shared;
use crate::contract::slots::{ENV_STEPS, LEARNER_RESULTS, NEW_WEIGHTS, TRAIN_BATCH};
use crate::pipeline::{Declaration, Flow, Middleware, PipelineError, View};
use crate::publish::Weights;

/// All learners of a PPO run.
pub type PpoLearners = BTreeMap<ModuleId, PpoLearner>;

/// Trains every module that has a learner; the rows of the others are dropped.
#[derive(Debug)]
pub struct PpoUpdate {
    learners: Shared<PpoLearners>,
}

impl PpoUpdate {
    /// Trains with these learners.
    pub fn new(learners: Shared<PpoLearners>) -> Self {
        Self { learners }
    }
}

impl Middleware for PpoUpdate {
    fn name(&self) -> &'static str {
        "ppo_update"
    }

    fn declare(&self, slots: &mut Declaration) {
        slots.takes(TRAIN_BATCH).reads(ENV_STEPS).writes(LEARNER_RESULTS).writes(NEW_WEIGHTS);
    }

    fn forward(&mut self, view: &mut View<'_>) -> Result<Flow, PipelineError> {
        let _flush = skirl_nn::FlushDenormals::enable();
        let env_steps = *view.get(ENV_STEPS)?;
        let (mut results, mut weights) = (BTreeMap::new(), Weights::default());
        let mut learners = self.learners.lock();
        for (module, batch) in view.take(TRAIN_BATCH)? {
            let Some(learner) = learners.get_mut(&module).filter(|_| batch.rows() > 0) else { continue };
            let metrics = learner.update(batch, env_steps).map_err(PipelineError::failed)?;
            let params = learner.learner.policy().net.params();
            weights.modules.insert(module.clone(), params.values().to_vec());
            results.insert(module, metrics);
        }
        view.put(LEARNER_RESULTS, results)?;
        view.put(NEW_WEIGHTS, weights)?;
        Ok(Flow::Continue)
    }
}
