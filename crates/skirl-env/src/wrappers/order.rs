//! Refusing steps out of order.

use crate::column::Column;
use crate::env::{Env, EnvState, Step};
use crate::error::{EnvError, Place};
use crate::row::{Row, RowRef};
use crate::scene::Scene;
use crate::space::Space;
use crate::state::{entry, nest, nested};

/// Refuses `step` before the first `reset` and after the end of an episode. [`crate::make`] puts it around every
/// environment, so that authors need not keep track themselves.
#[derive(Debug, Clone)]
pub struct OrderEnforcing<E> {
    env: E,
    was_reset: bool,
    ended: bool,
}

impl<E> OrderEnforcing<E> {
    /// Wraps an environment.
    pub fn new(env: E) -> OrderEnforcing<E> {
        OrderEnforcing { env, was_reset: false, ended: false }
    }
}

impl<E: Env> Env for OrderEnforcing<E> {
    fn observation_space(&self) -> Space {
        self.env.observation_space()
    }

    fn action_space(&self) -> Space {
        self.env.action_space()
    }

    fn reset(&mut self, seed: Option<u64>, observation: &mut Row<'_>) -> Result<(), EnvError> {
        (self.was_reset, self.ended) = (true, false);
        self.env.reset(seed, observation)
    }

    fn step(&mut self, action: &RowRef<'_>, observation: &mut Row<'_>) -> Result<Step, EnvError> {
        if !self.was_reset {
            return Err(EnvError::StepBeforeReset { place: Place::default() });
        }
        if self.ended {
            return Err(EnvError::StepAfterEnd { place: Place::default() });
        }
        let step = self.env.step(action, observation)?;
        self.ended = step.ended();
        Ok(step)
    }

    fn save_state(&self) -> Option<EnvState> {
        let mut state = EnvState::new();
        nest(&mut state, "env", self.env.save_state()?);
        state.insert("order".to_owned(), Column::Bool(vec![self.was_reset, self.ended]));
        Some(state)
    }

    fn restore_state(&mut self, state: &EnvState) -> Result<(), EnvError> {
        let order = entry::<bool>(state, "order", 2)?;
        (self.was_reset, self.ended) = (order[0], order[1]);
        self.env.restore_state(&nested(state, "env"))
    }

    fn draw(&self) -> Option<Scene> {
        self.env.draw()
    }

    fn inner_mut(&mut self) -> Option<&mut dyn Env> {
        Some(&mut self.env)
    }
}
