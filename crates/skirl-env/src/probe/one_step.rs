//! Probes of one step.

use super::coin::{Coin, sign};
use super::unit_observation;
use crate::env::{Env, EnvState, Step};
use crate::error::EnvError;
use crate::row::{Row, RowRef};
use crate::space::Space;

/// One observation, one action, one step, reward 1.
#[derive(Debug, Clone, Copy, Default)]
pub struct Constant;

impl Env for Constant {
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
        Ok(Step::terminal(1.0))
    }

    fn save_state(&self) -> Option<EnvState> {
        Some(EnvState::new())
    }

    fn restore_state(&mut self, _state: &EnvState) -> Result<(), EnvError> {
        Ok(())
    }
}

/// One step, two actions, the reward is the action.
#[derive(Debug, Clone, Copy, Default)]
pub struct ActionReward;

impl Env for ActionReward {
    fn observation_space(&self) -> Space {
        unit_observation()
    }

    fn action_space(&self) -> Space {
        Space::discrete(2)
    }

    fn reset(&mut self, _seed: Option<u64>, observation: &mut Row<'_>) -> Result<(), EnvError> {
        observation.set(&[1.0])
    }

    fn step(&mut self, action: &RowRef<'_>, observation: &mut Row<'_>) -> Result<Step, EnvError> {
        observation.set(&[1.0])?;
        Ok(Step::terminal(action.discrete_below(2)? as f64))
    }

    fn save_state(&self) -> Option<EnvState> {
        Some(EnvState::new())
    }

    fn restore_state(&mut self, _state: &EnvState) -> Result<(), EnvError> {
        Ok(())
    }
}

/// One step, observation ±1, the reward is the observation.
#[derive(Debug, Clone, Default)]
pub struct ObservationValue {
    coin: Coin<1>,
}

impl Env for ObservationValue {
    fn observation_space(&self) -> Space {
        unit_observation()
    }

    fn action_space(&self) -> Space {
        Space::discrete(1)
    }

    fn reset(&mut self, seed: Option<u64>, observation: &mut Row<'_>) -> Result<(), EnvError> {
        let [coin] = self.coin.toss(seed, [2]);
        observation.set(&[sign(coin)])
    }

    fn step(&mut self, action: &RowRef<'_>, observation: &mut Row<'_>) -> Result<Step, EnvError> {
        action.discrete_below(1)?;
        let value = sign(self.coin.drawn[0]);
        observation.set(&[value])?;
        Ok(Step::terminal(f64::from(value)))
    }

    fn save_state(&self) -> Option<EnvState> {
        Some(self.coin.save())
    }

    fn restore_state(&mut self, state: &EnvState) -> Result<(), EnvError> {
        self.coin.restore(state)
    }
}

/// One step, observation ±1: action 1 is right at 1, action 0 at -1; reward 1 if right, else -1.
#[derive(Debug, Clone, Default)]
pub struct MatchObservation {
    coin: Coin<1>,
}

impl Env for MatchObservation {
    fn observation_space(&self) -> Space {
        unit_observation()
    }

    fn action_space(&self) -> Space {
        Space::discrete(2)
    }

    fn reset(&mut self, seed: Option<u64>, observation: &mut Row<'_>) -> Result<(), EnvError> {
        let [coin] = self.coin.toss(seed, [2]);
        observation.set(&[sign(coin)])
    }

    fn step(&mut self, action: &RowRef<'_>, observation: &mut Row<'_>) -> Result<Step, EnvError> {
        let [coin] = self.coin.drawn;
        observation.set(&[sign(coin)])?;
        let right = action.discrete_below(2)? == coin;
        Ok(Step::terminal(if right { 1.0 } else { -1.0 }))
    }

    fn save_state(&self) -> Option<EnvState> {
        Some(self.coin.save())
    }

    fn restore_state(&mut self, state: &EnvState) -> Result<(), EnvError> {
        self.coin.restore(state)
    }
}
