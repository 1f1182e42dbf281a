//! The `gae` stage: a rollout in, rows with advantages and value targets out.

use std::collections::BTreeMap;

use super::{GaeRules, estimate};
use crate::contract::slots::{SAMPLE, TRAIN_BATCH};
use crate::contract::{Batch, ModuleId};
use crate::pipeline::{Declaration, Flow, Middleware, PipelineError, View};

/// Generalised advantage estimation for every module.
#[derive(Debug)]
pub struct Gae {
    rules: BTreeMap<ModuleId, GaeRules>,
    default: GaeRules,
}

impl Gae {
    /// `rules` for modules with options of their own, `default` for the others.
    pub fn new(default: GaeRules, rules: BTreeMap<ModuleId, GaeRules>) -> Self {
        Self { rules, default }
    }
}

impl Middleware for Gae {
    fn name(&self) -> &'static str {
        "gae"
    }

    fn declare(&self, slots: &mut Declaration) {
        slots.takes(SAMPLE).writes(TRAIN_BATCH);
    }

    fn forward(&mut self, view: &mut View<'_>) -> Result<Flow, PipelineError> {
        let rollout = view.take(SAMPLE)?;
        let mut batches = BTreeMap::new();
        for (module, table) in rollout.modules {
            let rules = self.rules.get(&module).copied().unwrap_or(self.default);
            let estimates = estimate(&table, rules).map_err(PipelineError::failed)?;
            batches.insert(module, Batch::from_rollout(table, estimates));
        }
        view.put(TRAIN_BATCH, batches)?;
        Ok(Flow::Continue)
    }
}
