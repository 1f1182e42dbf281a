//! Probes of action spaces.

use super::coin::Coin;
use super::unit_observation;
use crate::dtype::DType;
use crate::env::{Env, EnvState, Step};
use crate::error::EnvError;
use crate::row::{Row, RowRef};
use crate::space::Space;

/// One step, one action in [-2, 3]; the reward is `1 - (3 - action)² / 25`, best on the upper bound.
///
/// An action outside the bounds is an error: it shows that the learner neither squashed nor clipped it.
#[derive(Debug, Clone, Copy, Default)]
pub struct ContinuousBound;

impl ContinuousBound {
    const LOW: f64 = -2.0;
    const HIGH: f64 = 3.0;
}

impl Env for ContinuousBound {
    fn observation_space(&self) -> Space {
        unit_observation()
    }

    fn action_space(&self) -> Space {
        Space::boxed(Self::LOW, Self::HIGH, &[1], DType::F32)
    }

    fn reset(&mut self, _seed: Option<u64>, observation: &mut Row<'_>) -> Result<(), EnvError> {
        observation.set(&[1.0])
    }

    fn step(&mut self, action: &RowRef<'_>, observation: &mut Row<'_>) -> Result<Step, EnvError> {
        observation.set(&[1.0])?;
        let action = f64::from(action.f32(0)?[0]);
        if !(Self::LOW..=Self::HIGH).contains(&action) {
            return Err(EnvError::invalid_action(
                action,
                format!("a number in [{}, {}]", Self::LOW, Self::HIGH),
            ));
        }
        let distance = (Self::HIGH - action) / (Self::HIGH - Self::LOW);
        Ok(Step::terminal(1.0 - distance * distance))
    }

    fn save_state(&self) -> Option<EnvState> {
        Some(EnvState::new())
    }

    fn restore_state(&mut self, _state: &EnvState) -> Result<(), EnvError> {
        Ok(())
    }
}

/// One step, actions `MultiDiscrete([2, 3])`, the observation shows the right ones; the reward is the share that match.
#[derive(Debug, Clone, Default)]
pub struct MultiDiscreteMatch {
    coin: Coin<2>,
}

impl MultiDiscreteMatch {
    const SIDES: [i64; 2] = [2, 3];
}

impl Env for MultiDiscreteMatch {
    fn observation_space(&self) -> Space {
        Space::multi_discrete(&Self::SIDES)
    }

    fn action_space(&self) -> Space {
        Space::multi_discrete(&Self::SIDES)
    }

    fn reset(&mut self, seed: Option<u64>, observation: &mut Row<'_>) -> Result<(), EnvError> {
        let drawn = self.coin.toss(seed, Self::SIDES);
        observation.set_leaf(0, &drawn)
    }

    fn step(&mut self, action: &RowRef<'_>, observation: &mut Row<'_>) -> Result<Step, EnvError> {
        observation.set_leaf(0, &self.coin.drawn)?;
        let action = action.i64(0)?;
        if action.iter().zip(Self::SIDES).any(|(action, sides)| !(0..sides).contains(action)) {
            return Err(EnvError::invalid_action(format!("{action:?}"), self.action_space().to_string()));
        }
        let matching = action.iter().zip(self.coin.drawn).filter(|&(&action, drawn)| action == drawn);
        Ok(Step::terminal(matching.count() as f64 / 2.0))
    }

    fn save_state(&self) -> Option<EnvState> {
        Some(self.coin.save())
    }

    fn restore_state(&mut self, state: &EnvState) -> Result<(), EnvError> {
        self.coin.restore(state)
    }
}
