//! What a runner needs to go on as if it had never stopped.

use serde::{Deserialize, Serialize};
use skirl_env::EnvState;

use super::VectorRunner;
use crate::collect::episodes::RunningEpisode;
use crate::error::Error;

/// What a runner needs to go on as if it had never stopped.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct RunnerState {
    /// State of the environments, where they can save it. Stored beside, as tensors.
    #[serde(skip)]
    pub env: Option<EnvState>,
    /// Whether the environments could save their state.
    pub env_saved: bool,
    /// Counter of the exploration streams.
    pub steps: u64,
    /// Inputs that wait for an action, `[num_envs, obs_width]`. Stored beside, as a tensor.
    #[serde(skip)]
    pub current: Vec<f32>,
    /// Running episode of each environment.
    pub episodes: Vec<RunningEpisode>,
}

impl VectorRunner {
    /// State for exact resume.
    pub fn save_state(&self) -> RunnerState {
        let env = self.env.save_state();
        RunnerState {
            env_saved: env.is_some(),
            env,
            steps: self.steps,
            current: self.blocks.waiting.clone(),
            episodes: self.episodes.clone(),
        }
    }

    /// Puts a saved state back. Where the environment's own is missing, [`restart`](Self::restart) and
    /// [`begin`](Self::begin) must follow.
    pub fn restore_state(&mut self, state: RunnerState) -> Result<(), Error> {
        if state.current.len() != self.blocks.waiting.len() || state.episodes.len() != self.num_envs {
            return Err(Error::RunnerState {
                expected: format!(
                    "{} environments with inputs of width {}",
                    self.num_envs, self.table.obs_width
                ),
                found: format!("{} environments and {} inputs", state.episodes.len(), state.current.len()),
            });
        }
        if let Some(env) = &state.env {
            self.env.restore_state(env).map_err(|source| Error::env(self.first_env, state.steps, source))?;
            self.blocks.waiting = state.current;
        }
        self.steps = state.steps;
        self.episodes = state.episodes;
        Ok(())
    }
}
