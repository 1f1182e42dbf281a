//! The stage that calls `on_learn_on_batch`, in pipelines whose callbacks want it.

use std::collections::BTreeMap;

use skirl_env::Space;

use super::trajectory::check_actions;
use super::{CallbackList, Hook, Place};
use crate::contract::ModuleId;
use crate::contract::slots::TRAIN_BATCH;
use crate::learn::Batch;
use crate::pipeline::{Declaration, Flow, Middleware, PipelineBuilder, PipelineError, View};
use crate::plan::{ModulePlan, Plan};

/// Hands every module's batch to the callbacks, after the estimator and before the update.
#[derive(Debug)]
pub(crate) struct LearnOnBatch {
    callbacks: CallbackList,
    /// What each module can do.
    action_spaces: BTreeMap<ModuleId, Space>,
}

impl LearnOnBatch {
    /// Adds the stage to a pipeline, if somebody wants it.
    pub(crate) fn add_to(builder: PipelineBuilder, callbacks: &CallbackList, plan: &Plan) -> PipelineBuilder {
        if callbacks.wants(Hook::LearnOnBatch) {
            let space_of = |(id, module): (&ModuleId, &ModulePlan)| (id.clone(), module.action_space.clone());
            let action_spaces = plan.modules.iter().map(space_of).collect();
            return builder.with(Self { callbacks: callbacks.clone(), action_spaces });
        }
        builder
    }
}

impl Middleware for LearnOnBatch {
    fn name(&self) -> &'static str {
        "learn_on_batch"
    }

    fn declare(&self, slots: &mut Declaration) {
        slots.updates(TRAIN_BATCH);
    }

    fn forward(&mut self, view: &mut View<'_>) -> Result<Flow, PipelineError> {
        for (module, batch) in view.get_mut(TRAIN_BATCH)? {
            let called = self.callbacks.call(Hook::LearnOnBatch, Place::default(), |callbacks| {
                callbacks.on_learn_on_batch(module, batch)?;
                check(module, batch)?;
                let space = self.action_spaces.get(module);
                Ok(space.map_or(Ok(()), |space| check_actions(module, &batch.actions, space))?)
            });
            called.map_err(PipelineError::failed)?;
        }
        Ok(Flow::Continue)
    }
}

/// Columns of one length, and finite numbers in what is trained on.
fn check(module: &str, batch: &Batch) -> Result<(), String> {
    let rows = batch.rows();
    let lengths = [
        ("obs", batch.obs.len(), rows * batch.obs_width),
        ("actions", batch.actions.rows(), rows),
        ("dist_inputs", batch.dist_inputs.len(), rows * batch.dist_width),
        ("values", batch.values.len(), rows),
        ("advantages", batch.advantages.len(), rows),
        ("value_targets", batch.value_targets.len(), rows),
    ];
    if let Some((name, found, expected)) = lengths.iter().find(|(_, found, expected)| found != expected) {
        return Err(format!(
            "it left column '{name}' of module '{module}' with {found} elements, where {expected} were expected, as many \
             as logp has rows"
        ));
    }
    let columns = [
        ("obs", &batch.obs[..]),
        ("logp", &batch.logp),
        ("values", &batch.values),
        ("advantages", &batch.advantages),
        ("value_targets", &batch.value_targets),
    ];
    columns.iter().try_for_each(|(name, column)| super::trajectory::check_finite(name, column))
}
