//! The contract for authors of environments.

use std::collections::BTreeMap;

use crate::column::Column;
use crate::error::EnvError;
use crate::row::{Row, RowRef};
use crate::space::Space;

/// Everything an environment needs to go on exactly where it was: named columns, no code.
pub type EnvState = BTreeMap<String, Column>;

/// What a step returned besides the observation.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Step {
    /// Reward of this step.
    pub reward: f64,
    /// The episode ended in a terminal state: nothing comes after it, its value is zero.
    pub terminated: bool,
    /// The episode was cut off (time limit): the state has a value, it is just not pursued.
    pub truncated: bool,
}

impl Step {
    /// The episode goes on.
    pub fn running(reward: f64) -> Step {
        Step { reward, terminated: false, truncated: false }
    }

    /// The episode ended in a terminal state.
    pub fn terminal(reward: f64) -> Step {
        Step { reward, terminated: true, truncated: false }
    }

    /// Whether the episode is over, for either reason.
    pub fn ended(&self) -> bool {
        self.terminated || self.truncated
    }
}

/// An environment with one agent.
///
/// `reset` and `step` write the observation into the row that they are given; its leaves are zero or hold an older
/// observation before. After an end, `reset` comes before the next `step`.
pub trait Env: Send {
    /// The set of observations.
    fn observation_space(&self) -> Space;

    /// The set of actions.
    fn action_space(&self) -> Space;

    /// Starts an episode and writes its first observation.
    ///
    /// `Some(seed)` seeds the environment's own generator first; `None` goes on with it (with an arbitrary but fixed
    /// seed if there never was one), as in Gymnasium.
    fn reset(&mut self, seed: Option<u64>, observation: &mut Row<'_>) -> Result<(), EnvError>;

    /// Takes one action and writes the observation after it (also the last one of an episode).
    fn step(&mut self, action: &RowRef<'_>, observation: &mut Row<'_>) -> Result<Step, EnvError>;

    /// Everything that `restore_state` needs to go on exactly here, or `None` if this environment cannot.
    fn save_state(&self) -> Option<EnvState> {
        None
    }

    /// Goes on where `save_state` was called.
    fn restore_state(&mut self, _state: &EnvState) -> Result<(), EnvError> {
        Err(EnvError::NoState { env: std::any::type_name::<Self>().to_owned() })
    }
}

impl std::fmt::Debug for dyn Env {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Env({} → {})", self.action_space(), self.observation_space())
    }
}

impl<E: Env + ?Sized> Env for Box<E> {
    fn observation_space(&self) -> Space {
        (**self).observation_space()
    }

    fn action_space(&self) -> Space {
        (**self).action_space()
    }

    fn reset(&mut self, seed: Option<u64>, observation: &mut Row<'_>) -> Result<(), EnvError> {
        (**self).reset(seed, observation)
    }

    fn step(&mut self, action: &RowRef<'_>, observation: &mut Row<'_>) -> Result<Step, EnvError> {
        (**self).step(action, observation)
    }

    fn save_state(&self) -> Option<EnvState> {
        (**self).save_state()
    }

    fn restore_state(&mut self, state: &EnvState) -> Result<(), EnvError> {
        (**self).restore_state(state)
    }
}
