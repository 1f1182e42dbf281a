//! Whose decisions the rows of a rollout are.

use std::collections::BTreeMap;

use super::{Links, ModuleId, ModuleRollout, Rollout};

/// Numbers of rows (decisions).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RowCounts {
    /// Of each agent, by its index in the environment; agents after the last one that acted are left out.
    pub agents: Vec<u64>,
    /// Of each module that acted.
    pub modules: BTreeMap<ModuleId, u64>,
}

impl RowCounts {
    /// Counts the rows of all tables.
    pub fn of(rollout: &Rollout) -> Self {
        let mut counts = Self::default();
        for (module, table) in &rollout.modules {
            counts.modules.insert(module.clone(), table.rows as u64);
            counts.add_agents(table);
        }
        counts
    }

    fn add_agents(&mut self, table: &ModuleRollout) {
        if matches!(table.links, Links::Rectangular { .. }) {
            // One agent decides at every step.
            return self.add(0, table.rows as u64);
        }
        table.agent[..table.rows].iter().for_each(|&agent| self.add(agent as usize, 1));
    }

    fn add(&mut self, agent: usize, rows: u64) {
        if agent >= self.agents.len() {
            self.agents.resize(agent + 1, 0);
        }
        self.agents[agent] += rows;
    }
}
