//! The update as a stage: rows with estimates in, new weights and metrics out.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{BatchLearner, UpdateRule};
use crate::contract::shared::Shared;
use crate::contract::slots::{ENV_STEPS, LEARNER_RESULTS, LearnerResults, NEW_WEIGHTS, SPENT, TRAIN_BATCH};
use crate::contract::{ModuleId, Observations};
use crate::error::Error;
use crate::learn::Batch;
use crate::pipeline::{Declaration, Flow, Middleware, PipelineError, View};
use crate::publish::Weights;
use crate::workers::Workers;

/// All learners of a run.
pub type Learners<R> = BTreeMap<ModuleId, BatchLearner<R>>;

/// Trains every module that has a learner; the rows of the others are dropped.
#[derive(Debug)]
pub struct Update<R: UpdateRule> {
    learners: Shared<Learners<R>>,
    workers: Arc<Workers>,
}

impl<R: UpdateRule> Update<R> {
    /// Trains these learners, whose work these threads share.
    pub fn new(learners: Shared<Learners<R>>, workers: Arc<Workers>) -> Self {
        Self { learners, workers }
    }
}

impl<R: UpdateRule> Middleware for Update<R> {
    fn name(&self) -> &'static str {
        R::STAGE
    }

    fn declare(&self, slots: &mut Declaration) {
        slots.takes(TRAIN_BATCH).reads(ENV_STEPS).writes(LEARNER_RESULTS).writes(NEW_WEIGHTS).writes(SPENT);
    }

    fn forward(&mut self, view: &mut View<'_>) -> Result<Flow, PipelineError> {
        let (env_steps, batches) = (*view.get(ENV_STEPS)?, view.take(TRAIN_BATCH)?);
        let mut locked = self.learners.lock();
        let learners = &mut *locked;
        learners.values_mut().for_each(BatchLearner::keep);
        let trained = self.workers.wake_and_run(|| train(learners, batches, env_steps));
        if trained.is_err() {
            learners.values_mut().for_each(BatchLearner::roll_back);
        }
        let (results, weights) = trained.map_err(PipelineError::failed)?;
        view.put(LEARNER_RESULTS, results)?;
        view.put(NEW_WEIGHTS, weights)?;
        let spent = learners.values_mut().map(BatchLearner::take_spent).max_by_key(Observations::capacity);
        view.put(SPENT, spent.unwrap_or_default())?;
        Ok(Flow::Continue)
    }
}

fn train<R: UpdateRule>(
    learners: &mut Learners<R>,
    batches: BTreeMap<ModuleId, Batch>,
    env_steps: u64,
) -> Result<(LearnerResults, Weights), Error> {
    let (mut results, mut weights) = (BTreeMap::new(), Weights::default());
    for (module, batch) in batches {
        let Some(learner) = learners.get_mut(&module).filter(|_| batch.rows() > 0) else { continue };
        results.insert(module.clone(), learner.update(batch, env_steps)?);
        weights.modules.insert(module, learner.learner.policy().net.params().values().to_vec());
    }
    Ok((results, weights))
}
