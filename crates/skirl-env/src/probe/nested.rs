//! A probe of nested observations.

use super::coin::{Coin, sign};
use super::unit_observation;
use crate::env::{Env, EnvState, Step};
use crate::error::EnvError;
use crate::row::{Row, RowRef};
use crate::space::Space;

/// One step, observation `Dict(position: Box(1), switch: Discrete(3))`.
///
/// The right action is the switch's value if the position is positive, and its mirror image (2 - switch) if not; reward
/// 1 if right, else -1. Either part alone does not tell.
#[derive(Debug, Clone, Default)]
pub struct DictObservation {
    coin: Coin<2>,
}

impl DictObservation {
    fn write(&self, observation: &mut Row<'_>) -> Result<(), EnvError> {
        let [position, switch] = self.coin.drawn;
        observation.set_leaf(0, &[sign(position)])?;
        observation.set_leaf(1, &[switch])
    }

    fn right_action(&self) -> i64 {
        let [position, switch] = self.coin.drawn;
        if position == 1 { switch } else { 2 - switch }
    }
}

impl Env for DictObservation {
    fn observation_space(&self) -> Space {
        Space::dict([("position", unit_observation()), ("switch", Space::discrete(3))])
    }

    fn action_space(&self) -> Space {
        Space::discrete(3)
    }

    fn reset(&mut self, seed: Option<u64>, observation: &mut Row<'_>) -> Result<(), EnvError> {
        self.coin.toss(seed, [2, 3]);
        self.write(observation)
    }

    fn step(&mut self, action: &RowRef<'_>, observation: &mut Row<'_>) -> Result<Step, EnvError> {
        self.write(observation)?;
        let right = action.discrete_below(3)? == self.right_action();
        Ok(Step::terminal(if right { 1.0 } else { -1.0 }))
    }

    fn save_state(&self) -> Option<EnvState> {
        Some(self.coin.save())
    }

    fn restore_state(&mut self, state: &EnvState) -> Result<(), EnvError> {
        self.coin.restore(state)
    }
}
