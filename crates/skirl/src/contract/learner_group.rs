//! What a running algorithm's learners offer to checkpoints, evaluation and inspection, whatever the algorithm.

use std::fmt;
use std::sync::Arc;

use serde_json::Value;
use skirl_nn::NamedTensor;

use super::{ModuleId, Policies, Policy};
use crate::error::Error;

/// What is called shortly before an update ends, on whichever thread learns.
#[derive(Clone)]
pub struct Herald(Arc<dyn Fn() + Send + Sync>);

impl Herald {
    /// Calls `say`.
    pub fn new(say: impl Fn() + Send + Sync + 'static) -> Self {
        Self(Arc::new(say))
    }

    /// The update is about to end.
    pub fn call(&self) {
        (self.0)();
    }
}

impl fmt::Debug for Herald {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Herald")
    }
}

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

    /// Has `herald` called shortly before each update ends: one minibatch before.
    fn set_herald(&mut self, herald: Herald);

    /// A copy of one policy with the newest weights.
    fn policy(&self, module: &str) -> Option<Policy> {
        self.policies().remove(module)
    }
}
