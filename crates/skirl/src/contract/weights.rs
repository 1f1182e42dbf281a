//! Weights on their way from the learners to whoever acts.

use std::collections::BTreeMap;

use super::ModuleId;

/// Weights of all modules that were trained.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Weights {
    /// 0 are the initial weights; each publication adds one.
    pub version: u64,
    /// Flat parameters by module.
    pub modules: BTreeMap<ModuleId, Vec<f32>>,
}
