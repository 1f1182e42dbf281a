//! Changing rewards and observations on their way out.

use crate::env::{Env, EnvState, Step};
use crate::error::EnvError;
use crate::row::{Row, RowRef};
use crate::scene::Scene;
use crate::space::Space;

/// Passes every reward through a function, such as `|reward| reward.clamp(-1.0, 1.0)`.
#[derive(Debug, Clone)]
pub struct TransformReward<E, F> {
    env: E,
    transform: F,
}

impl<E, F: FnMut(f64) -> f64> TransformReward<E, F> {
    /// Wraps an environment.
    pub fn new(env: E, transform: F) -> TransformReward<E, F> {
        TransformReward { env, transform }
    }
}

impl<E: Env, F: FnMut(f64) -> f64 + Send + 'static> Env for TransformReward<E, F> {
    fn observation_space(&self) -> Space {
        self.env.observation_space()
    }

    fn action_space(&self) -> Space {
        self.env.action_space()
    }

    fn reset(&mut self, seed: Option<u64>, observation: &mut Row<'_>) -> Result<(), EnvError> {
        self.env.reset(seed, observation)
    }

    fn step(&mut self, action: &RowRef<'_>, observation: &mut Row<'_>) -> Result<Step, EnvError> {
        let step = self.env.step(action, observation)?;
        Ok(Step { reward: (self.transform)(step.reward), ..step })
    }

    fn save_state(&self) -> Option<EnvState> {
        self.env.save_state()
    }

    fn restore_state(&mut self, state: &EnvState) -> Result<(), EnvError> {
        self.env.restore_state(state)
    }

    fn draw(&self) -> Option<Scene> {
        self.env.draw()
    }

    fn inner_mut(&mut self) -> Option<&mut dyn Env> {
        Some(&mut self.env)
    }
}

/// Passes every observation through a function that changes the row in place; the space is given anew, with the same
/// leaf shapes and types.
#[derive(Debug, Clone)]
pub struct TransformObservation<E, F> {
    env: E,
    space: Space,
    transform: F,
}

impl<E: Env, F: FnMut(&mut Row<'_>) -> Result<(), EnvError>> TransformObservation<E, F> {
    /// Wraps an environment. `space` describes the observations after the change.
    pub fn new(env: E, space: Space, transform: F) -> Result<TransformObservation<E, F>, EnvError> {
        let form = |space: &Space| -> Vec<_> {
            space.leaves().into_iter().map(|leaf| (leaf.path, leaf.dtype, leaf.shape)).collect()
        };
        let inner = env.observation_space();
        if form(&inner) != form(&space) {
            return Err(EnvError::WrongShape {
                field: "observation space".to_owned(),
                expected: format!("the leaves of {inner}"),
                found: space.to_string(),
                place: crate::error::Place::default(),
            });
        }
        Ok(TransformObservation { env, space, transform })
    }
}

impl<E: Env, F: FnMut(&mut Row<'_>) -> Result<(), EnvError> + Send + 'static> Env
    for TransformObservation<E, F>
{
    fn observation_space(&self) -> Space {
        self.space.clone()
    }

    fn action_space(&self) -> Space {
        self.env.action_space()
    }

    fn reset(&mut self, seed: Option<u64>, observation: &mut Row<'_>) -> Result<(), EnvError> {
        self.env.reset(seed, observation)?;
        (self.transform)(observation)
    }

    fn step(&mut self, action: &RowRef<'_>, observation: &mut Row<'_>) -> Result<Step, EnvError> {
        let step = self.env.step(action, observation)?;
        (self.transform)(observation)?;
        Ok(step)
    }

    fn save_state(&self) -> Option<EnvState> {
        self.env.save_state()
    }

    fn restore_state(&mut self, state: &EnvState) -> Result<(), EnvError> {
        self.env.restore_state(state)
    }

    fn draw(&self) -> Option<Scene> {
        self.env.draw()
    }

    fn inner_mut(&mut self) -> Option<&mut dyn Env> {
        Some(&mut self.env)
    }
}
