//! A probe of recurrent state.

use super::coin::{Coin, sign};
use super::unit_observation;
use crate::env::{Env, EnvState, Step};
use crate::error::EnvError;
use crate::row::{Row, RowRef};
use crate::space::Space;

/// Two steps. The first observation is a cue of ±1, the second is 0 and asks for it: action 1 after 1, 0 after -1.
/// Reward 1 for the right answer, -1 for the wrong one. Without memory the best value is 0.
#[derive(Debug, Clone, Default)]
pub struct Memory {
    coin: Coin<1>,
}

impl Env for Memory {
    fn observation_space(&self) -> Space {
        unit_observation()
    }

    fn action_space(&self) -> Space {
        Space::discrete(2)
    }

    fn reset(&mut self, seed: Option<u64>, observation: &mut Row<'_>) -> Result<(), EnvError> {
        let [cue] = self.coin.toss(seed, [2]);
        observation.set(&[sign(cue)])
    }

    fn step(&mut self, action: &RowRef<'_>, observation: &mut Row<'_>) -> Result<Step, EnvError> {
        observation.set(&[0.0])?;
        let answer = action.discrete_below(2)?;
        self.coin.steps += 1;
        if self.coin.steps == 1 {
            return Ok(Step::running(0.0));
        }
        Ok(Step::terminal(if answer == self.coin.drawn[0] { 1.0 } else { -1.0 }))
    }

    fn save_state(&self) -> Option<EnvState> {
        Some(self.coin.save())
    }

    fn restore_state(&mut self, state: &EnvState) -> Result<(), EnvError> {
        self.coin.restore(state)
    }
}
