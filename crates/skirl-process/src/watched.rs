//! Environments whose every step and reset is counted where the other process can see it, and whose errors say what led
//! there.

use std::sync::Arc;

use serde_json::Value;
use skirl_env::{ColumnMut, ColumnRef, Env, EnvError, EnvState, Outcomes, Scene, Space, VectorEnv};

use crate::memory::Progress;

/// Environments under watch.
#[derive(Debug)]
pub struct Watched {
    envs: Box<dyn VectorEnv>,
    progress: Arc<Progress>,
    /// Seed of the last reset that had one, by environment.
    seeds: Vec<Option<u64>>,
    first_env: usize,
}

impl Watched {
    /// Counts on `progress`.
    pub fn new(envs: Box<dyn VectorEnv>, progress: Arc<Progress>, first_env: usize) -> Self {
        Self { seeds: vec![None; envs.num_envs()], envs, progress, first_env }
    }

    fn told(&self, error: EnvError, actions: Option<&[ColumnRef<'_>]>) -> EnvError {
        let Some(env) = error.place().and_then(|place| place.env) else { return error };
        let seed =
            self.seeds.get(env).copied().flatten().map_or_else(String::new, |seed| format!(", seed {seed}"));
        let action = actions.and_then(|actions| action_of(actions, env, self.envs.num_envs()));
        let action = action.map_or_else(String::new, |action| format!(", last action {action}"));
        let index = self.first_env + env;
        EnvError::raised(format!("{error} [environment {index} of the run{seed}{action}]"))
    }
}

/// The action of one environment, as text.
fn action_of(actions: &[ColumnRef<'_>], env: usize, num_envs: usize) -> Option<String> {
    let mut parts = Vec::new();
    for column in actions {
        let width = column.len() / num_envs.max(1);
        let own = column.slice(env * width..(env + 1) * width)?;
        parts.extend((0..width.min(8)).filter_map(|index| own.get_f64(index)).map(|value| value.to_string()));
    }
    Some(match parts.as_slice() {
        [only] => only.clone(),
        _ => format!("[{}]", parts.join(", ")),
    })
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

    fn reset(
        &mut self,
        env: usize,
        seed: Option<u64>,
        observations: &mut [ColumnMut<'_>],
    ) -> Result<(), EnvError> {
        if let (Some(seed), Some(slot)) = (seed, self.seeds.get_mut(env)) {
            *slot = Some(seed);
        }
        let outcome = self.envs.reset(env, seed, observations);
        self.progress.add(0);
        outcome.map_err(|error| self.told(error.at_env(env), None))
    }

    fn step(
        &mut self,
        actions: &[ColumnRef<'_>],
        observations: &mut [ColumnMut<'_>],
        outcomes: &mut Outcomes,
    ) -> Result<(), EnvError> {
        let outcome = self.envs.step(actions, observations, outcomes);
        self.progress.add(if outcome.is_ok() { self.envs.num_envs() } else { 0 });
        outcome.map_err(|error| self.told(error, Some(actions)))
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
