//! The stages that estimate: a rollout in, rows with advantages and value targets out.

use std::collections::BTreeMap;
use std::fmt::Debug;

use super::{Estimates, GaeRules, ReturnRules, estimate, returns};
use crate::contract::slots::{SAMPLE, TRAIN_BATCH};
use crate::contract::{Batch, ModuleId, ModuleRollout};
use crate::error::Error;
use crate::pipeline::{Declaration, Flow, Middleware, PipelineError, View};

/// An estimator as a stage: its options for one module are its type.
pub trait EstimatorRules: Debug + Copy + Send {
    /// Name of the stage.
    const STAGE: &'static str;

    /// Advantages and value targets of every row.
    fn estimate(self, table: &ModuleRollout) -> Result<Estimates, Error>;
}

impl EstimatorRules for GaeRules {
    const STAGE: &'static str = "gae";

    fn estimate(self, table: &ModuleRollout) -> Result<Estimates, Error> {
        estimate(table, self)
    }
}

impl EstimatorRules for ReturnRules {
    const STAGE: &'static str = "returns";

    fn estimate(self, table: &ModuleRollout) -> Result<Estimates, Error> {
        returns(table, self)
    }
}

/// Generalised advantage estimation for every module.
pub type Gae = Estimate<GaeRules>;
/// Discounted returns for every module.
pub type Returns = Estimate<ReturnRules>;

/// An estimator for every module.
#[derive(Debug)]
pub struct Estimate<R> {
    rules: BTreeMap<ModuleId, R>,
    default: R,
}

impl<R: EstimatorRules> Estimate<R> {
    /// `rules` for modules with options of their own, `default` for the others.
    pub fn new(default: R, rules: BTreeMap<ModuleId, R>) -> Self {
        Self { rules, default }
    }
}

impl<R: EstimatorRules> Middleware for Estimate<R> {
    fn name(&self) -> &'static str {
        R::STAGE
    }

    fn declare(&self, slots: &mut Declaration) {
        slots.takes(SAMPLE).writes(TRAIN_BATCH);
    }

    fn forward(&mut self, view: &mut View<'_>) -> Result<Flow, PipelineError> {
        let rollout = view.take(SAMPLE)?;
        let mut batches = BTreeMap::new();
        for (module, table) in rollout.modules {
            let rules = self.rules.get(&module).copied().unwrap_or(self.default);
            let estimates = rules.estimate(&table).map_err(PipelineError::failed)?;
            batches.insert(module, Batch::from_rollout(table, estimates));
        }
        view.put(TRAIN_BATCH, batches)?;
        Ok(Flow::Continue)
    }
}
