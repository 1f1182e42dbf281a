//! Environments whose every step and reset is counted where the other process can see it, and that step no more when it
//! says so.

use std::sync::Arc;

use serde_json::Value;
use skirl_env::{ColumnMut, ColumnRef, Env, EnvError, EnvState, Outcomes, Scene, Space, VectorEnv};

use crate::memory::Progress;

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

    /// The environments themselves.
    pub fn envs(&self) -> &dyn VectorEnv {
        &*self.envs
    }

    /// As [`envs`](Self::envs), to change them.
    pub fn envs_mut(&mut self) -> &mut dyn VectorEnv {
        &mut *self.envs
    }
}

impl VectorEnv for Watched {
    fn num_envs(&self) -> usize {
        self.envs.num_envs()
    }

    fn observation_space(&self) -> &Space {
        self.envs.observation_space()
    }

    fn action_space(&self) -> &Space {
        self.envs.action_space()
    }

    fn max_episode_steps(&self) -> Option<u32> {
        self.envs.max_episode_steps()
    }

    fn will_reset(&mut self, seeds: &[(usize, u64)]) -> Result<(), EnvError> {
        self.envs.will_reset(seeds)
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
            return Err(EnvError::raised("interrupted"));
        }
        let outcome = self.envs.step(actions, observations, outcomes);
        self.progress.add(if outcome.is_ok() { self.envs.num_envs() } else { 0 });
        outcome
    }

    fn save_state(&self) -> Option<EnvState> {
        self.envs.save_state()
    }

    fn restore_state(&mut self, state: &EnvState) -> Result<(), EnvError> {
        self.envs.restore_state(state)
    }

    fn draw(&self, env: usize) -> Option<Scene> {
        self.envs.draw(env)
    }

    fn env_mut(&mut self, env: usize) -> Option<&mut dyn Env> {
        self.envs.env_mut(env)
    }

    fn set_task(&mut self, env: usize, task: &Value) -> Result<(), EnvError> {
        self.envs.set_task(env, task)
    }

    fn get_task(&mut self, env: usize) -> Result<Value, EnvError> {
        self.envs.get_task(env)
    }
}
