//! Decisions of each agent and of each module, under the names that results have for them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::contract::{ModuleId, RowCounts};
use crate::plan::Plan;
use crate::report::TrainResult;

/// Numbers of decisions.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct StepsByName {
    agents: BTreeMap<String, u64>,
    modules: BTreeMap<ModuleId, u64>,
}

impl StepsByName {
    /// All decisions of the only agent.
    pub(super) fn of_one((agent, module): &(String, ModuleId), steps: u64) -> Self {
        Self { agents: [(agent.clone(), steps)].into(), modules: [(module.clone(), steps)].into() }
    }

    /// Adds the rows of a rollout.
    pub(super) fn add(&mut self, plan: &Plan, rows: &RowCounts) {
        for ((agent, _), rows) in plan.mapping.iter().zip(&rows.agents) {
            *self.agents.entry(agent.clone()).or_default() += rows;
        }
        for (module, rows) in &rows.modules {
            *self.modules.entry(module.clone()).or_default() += rows;
        }
    }

    /// Writes RLlib's `num_agent_steps_sampled` and `num_module_steps_sampled`, with `suffix`, below `prefix`.
    pub(super) fn report_into(&self, result: &mut TrainResult, prefix: &str, suffix: &str) {
        for (of, steps) in [("agent", &self.agents), ("module", &self.modules)] {
            let steps = steps.iter().map(|(name, &steps)| (name.clone(), Some(steps))).collect();
            result.set_each(&format!("{prefix}/num_{of}_steps_sampled{suffix}"), &steps);
        }
    }
}
