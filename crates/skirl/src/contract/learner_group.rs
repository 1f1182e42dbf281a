//! What a running algorithm's learners offer to checkpoints, evaluation and inspection, whatever the algorithm.

use serde_json::Value;
use skirl_nn::NamedTensor;

use super::{ModuleId, Policies, Policy};
use crate::error::Error;

/// State of one module's learner.
#[derive(Debug, Clone, PartialEq)]
pub struct ModuleState {
    /// Weights under their stable names.
    pub weights: Vec<NamedTensor>,
    /// Optimizer buffers: name of the buffer, then one tensor for each parameter.
    pub optimizer: Vec<(String, Vec<NamedTensor>)>,
    /// Everything else that the learner needs to go on exactly.
    pub extra: Value,
}

/// All learners of a run.
pub trait LearnerGroup: Send {
    /// Ids of the modules that are trained.
    fn module_ids(&self) -> Vec<ModuleId>;

    /// Copies of the policies with the newest weights.
    fn policies(&self) -> Policies;

    /// State of one module; `None` for a module without a learner.
    fn save_state(&self, module: &str) -> Option<Result<ModuleState, Error>>;

    /// Puts a saved state back.
    fn restore_state(&mut self, module: &str, state: &ModuleState) -> Result<(), Error>;

    /// Has `herald` called, on the thread that trains, shortly before each update ends: one minibatch before.
    fn set_herald(&mut self, herald: fn());

    /// A copy of one policy with the newest weights.
    fn policy(&self, module: &str) -> Option<Policy> {
        self.policies().remove(module)
    }
}
