//! Probes of discounting and bootstrapping.

use super::unit_observation;
use crate::column::Column;
use crate::env::{Env, EnvState, Step};
use crate::error::EnvError;
use crate::row::{Row, RowRef};
use crate::space::Space;
use crate::state::entry;

/// Two steps, reward 1 at the end: the value is γ at observation 0 and 1 at observation 1.
#[derive(Debug, Clone, Copy, Default)]
pub struct DelayedReward {
    at_second: bool,
}

impl Env for DelayedReward {
    fn observation_space(&self) -> Space {
        unit_observation()
    }

    fn action_space(&self) -> Space {
        Space::discrete(1)
    }

    fn reset(&mut self, _seed: Option<u64>, observation: &mut Row<'_>) -> Result<(), EnvError> {
        self.at_second = false;
        observation.set(&[0.0])
    }

    fn step(&mut self, action: &RowRef<'_>, observation: &mut Row<'_>) -> Result<Step, EnvError> {
        action.discrete_below(1)?;
        observation.set(&[1.0])?;
        if self.at_second {
            return Ok(Step::terminal(1.0));
        }
        self.at_second = true;
        Ok(Step::running(0.0))
    }

    fn save_state(&self) -> Option<EnvState> {
        Some(EnvState::from([("at_second".to_owned(), Column::Bool(vec![self.at_second]))]))
    }

    fn restore_state(&mut self, state: &EnvState) -> Result<(), EnvError> {
        self.at_second = entry::<bool>(state, "at_second", 1)?[0];
        Ok(())
    }
}

/// Reward 1 for ever; the registered time limit truncates it. With a correct bootstrap the value is 1 / (1 - γ).
#[derive(Debug, Clone, Copy, Default)]
pub struct TruncatedForever;

impl Env for TruncatedForever {
    fn observation_space(&self) -> Space {
        unit_observation()
    }

    fn action_space(&self) -> Space {
        Space::discrete(1)
    }

    fn reset(&mut self, _seed: Option<u64>, observation: &mut Row<'_>) -> Result<(), EnvError> {
        observation.set(&[1.0])
    }

    fn step(&mut self, action: &RowRef<'_>, observation: &mut Row<'_>) -> Result<Step, EnvError> {
        action.discrete_below(1)?;
        observation.set(&[1.0])?;
        Ok(Step::running(1.0))
    }

    fn save_state(&self) -> Option<EnvState> {
        Some(EnvState::new())
    }

    fn restore_state(&mut self, _state: &EnvState) -> Result<(), EnvError> {
        Ok(())
    }
}
