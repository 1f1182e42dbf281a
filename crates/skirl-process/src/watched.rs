//! Environments whose every step and reset is counted where the other process can see it, and that step no more when it
//! says so.

use std::sync::Arc;

use skirl_env::wrappers::VectorWrapper;
use skirl_env::{ColumnMut, ColumnRef, EnvError, Outcomes, VectorEnv};

use crate::memory::Progress;

/// The process that trains wants no more steps.
#[derive(Debug, thiserror::Error)]
#[error("the process that trains was interrupted")]
struct Cancelled;

/// Environments under watch.
#[derive(Debug)]
pub struct Watched {
    envs: Box<dyn VectorEnv>,
    progress: Arc<Progress>,
}

impl Watched {
    /// Counts on `progress`.
    pub fn new(envs: Box<dyn VectorEnv>, progress: Arc<Progress>) -> Self {
        Self { envs, progress }
    }
}

impl VectorWrapper for Watched {
    fn inner(&self) -> &dyn VectorEnv {
        &*self.envs
    }

    fn inner_mut(&mut self) -> &mut dyn VectorEnv {
        &mut *self.envs
    }

    fn reset(
        &mut self,
        env: usize,
        seed: Option<u64>,
        observations: &mut [ColumnMut<'_>],
    ) -> Result<(), EnvError> {
        let outcome = self.envs.reset(env, seed, observations);
        self.progress.add(0);
        outcome
    }

    fn step(
        &mut self,
        actions: &[ColumnRef<'_>],
        observations: &mut [ColumnMut<'_>],
        outcomes: &mut Outcomes,
    ) -> Result<(), EnvError> {
        if self.progress.is_cancelled() {
            return Err(EnvError::interrupted(Cancelled));
        }
        let outcome = self.envs.step(actions, observations, outcomes);
        self.progress.add(if outcome.is_ok() { self.envs.num_envs() } else { 0 });
        outcome
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::memory::SharedMemory;
    use skirl_env::registry::{EnvContext, make_vec};

    #[test]
    fn a_step_that_is_not_wanted_is_an_interruption_and_no_fault_of_the_environment() {
        let memory = SharedMemory::create(0).unwrap();
        let progress = Arc::new(Progress::of(memory.file()).unwrap());
        let envs = make_vec("CartPole-v1", 1, &EnvContext::default()).unwrap();
        let mut envs = Watched::new(envs, Arc::clone(&progress));
        progress.answer(3);
        progress.cancel(3);
        let stepped = VectorEnv::step(&mut envs, &[], &mut [], &mut Outcomes::default());
        assert!(matches!(stepped, Err(EnvError::Interrupted { .. })), "{stepped:?}");
        assert_eq!(progress.env_steps(), 0);
    }
}
