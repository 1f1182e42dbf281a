//! Weights of a running algorithm, read and replaced from outside.

use skirl_nn::NamedTensor;

use super::Algorithm;
use crate::contract::{ModuleState, Policies, Policy, Weights};
use crate::error::Error;

impl Algorithm {
    /// A copy of one policy with the newest weights.
    ///
    /// # Errors
    /// An unknown module.
    pub fn policy(&self, module: &str) -> Result<Policy, Error> {
        self.parts.learners.policy(module).ok_or_else(|| self.unknown_module(module))
    }

    /// Replaces the weights of one module, for learning and for acting alike. The optimizer keeps its moments, and the
    /// training step its schedules. Where the tensors do not fit, nothing changes.
    ///
    /// # Errors
    /// An unknown module; tensors with other names or shapes than the module's.
    pub fn set_weights(&mut self, module: &str, weights: &[NamedTensor]) -> Result<(), Error> {
        // Tried on a copy first: a module that is half replaced would be worse than none.
        self.policy(module)?.net.params_mut().import(weights)?;
        let kept = self.parts.learners.save_state(module).transpose()?;
        let state = ModuleState {
            weights: weights.to_vec(),
            optimizer: kept.as_ref().map(|state| state.optimizer.clone()).unwrap_or_default(),
            extra: kept.map(|state| state.extra).unwrap_or_default(),
        };
        self.parts.learners.restore_state(module, &state)?;
        self.hang_out(self.parts.board.newest().version);
        Ok(())
    }

    /// Gives the learners' weights to whoever acts. `version` counts publications of the training step alone.
    pub(super) fn hang_out(&mut self, version: u64) {
        let mut policies: Policies = self.parts.learners.policies();
        policies.values_mut().for_each(|policy| policy.version = version);
        let values = |policy: &Policy| policy.net.params().values().to_vec();
        let modules = policies.iter().map(|(id, policy)| (id.clone(), values(policy))).collect();
        self.parts.board.publish(Weights { version, modules });
        self.parts.runner.lock().set_policies(policies);
        // Policies of this version are not looked at again, so the actor takes new copies.
        self.actor.forget_policies();
    }

    fn unknown_module(&self, module: &str) -> Error {
        Error::Argument {
            what: "the module".to_owned(),
            expected: format!("one of {}", self.module_ids().join(", ")),
            found: format!("'{module}'"),
            remedy: "Module ids are the names in multi_agent.policies, default_policy where there is one"
                .to_owned(),
        }
    }
}
