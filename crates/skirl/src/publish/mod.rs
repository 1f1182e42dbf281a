//! Publishing: the one arrow that goes back. New weights, with a version, from the learner to whoever acts.

pub mod stage;

use std::sync::{Arc, Mutex, PoisonError};

use crate::contract::Policies;
pub use crate::contract::Weights;
use crate::error::Error;

/// Where the newest weights hang. Runners look before each rollout.
#[derive(Debug, Clone, Default)]
pub struct WeightBoard {
    newest: Arc<Mutex<Arc<Weights>>>,
}

impl WeightBoard {
    /// Replaces the weights; modules that were not trained keep what they had.
    pub fn publish(&self, weights: Weights) {
        let mut newest = self.newest.lock().unwrap_or_else(PoisonError::into_inner);
        let mut modules = newest.modules.clone();
        modules.extend(weights.modules);
        *newest = Arc::new(Weights { version: weights.version, modules });
    }

    /// The newest weights.
    pub fn newest(&self) -> Arc<Weights> {
        Arc::clone(&self.newest.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Copies newer weights into `policies`.
    pub fn update(&self, policies: &mut Policies) -> Result<(), Error> {
        let newest = self.newest();
        for (id, weights) in &newest.modules {
            let Some(policy) = policies.get_mut(id).filter(|policy| policy.version < newest.version) else {
                continue;
            };
            let values = policy.net.params_mut().values_mut();
            if values.len() != weights.len() {
                return Err(Error::Internal(format!(
                    "module '{id}' has {} parameters, but {} were published",
                    values.len(),
                    weights.len()
                )));
            }
            values.copy_from_slice(weights);
            policy.net.refresh();
            policy.version = newest.version;
        }
        Ok(())
    }
}
