//! A single environment that exists only in the form of many.

use serde_json::Value;

use crate::env::{Env, EnvState, Step};
use crate::error::EnvError;
use crate::row::{Row, RowRef};
use crate::scene::Scene;
use crate::space::Space;
use crate::vector::{Outcomes, VectorEnv};

/// A [`VectorEnv`] of one environment as an [`Env`].
pub(crate) struct VectorOfOne {
    envs: Box<dyn VectorEnv>,
    outcomes: Outcomes,
}

impl VectorOfOne {
    pub(crate) fn new(envs: Box<dyn VectorEnv>) -> VectorOfOne {
        VectorOfOne { envs, outcomes: Outcomes::new(1) }
    }
}

impl Env for VectorOfOne {
    fn observation_space(&self) -> Space {
        self.envs.observation_space().clone()
    }

    fn action_space(&self) -> Space {
        self.envs.action_space().clone()
    }

    fn reset(&mut self, seed: Option<u64>, observation: &mut Row<'_>) -> Result<(), EnvError> {
        let seeds: Vec<(usize, u64)> = seed.map(|seed| (0, seed)).into_iter().collect();
        self.envs.will_reset(&seeds)?;
        self.envs.reset(0, seed, observation.columns_mut())
    }

    fn step(&mut self, action: &RowRef<'_>, observation: &mut Row<'_>) -> Result<Step, EnvError> {
        self.envs.step(action.columns(), observation.columns_mut(), &mut self.outcomes)?;
        Ok(Step {
            reward: self.outcomes.rewards[0],
            terminated: self.outcomes.terminated[0],
            truncated: self.outcomes.truncated[0],
        })
    }

    fn save_state(&self) -> Option<EnvState> {
        self.envs.save_state()
    }

    fn restore_state(&mut self, state: &EnvState) -> Result<(), EnvError> {
        self.envs.restore_state(state)
    }

    fn draw(&self) -> Option<Scene> {
        self.envs.draw(0)
    }

    fn set_task(&mut self, task: &Value) -> Result<(), EnvError> {
        self.envs.set_task(0, task)
    }

    fn get_task(&mut self) -> Result<Value, EnvError> {
        self.envs.get_task(0)
    }
}
