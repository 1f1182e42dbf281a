//! The contract for authors of environments.

use std::any::Any;
use std::collections::BTreeMap;

use serde_json::Value;

use crate::column::Column;
use crate::error::EnvError;
use crate::row::{Row, RowRef};
use crate::scene::Scene;
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
///
/// A whole environment, registered and checked:
///
/// ```
/// use skirl_env::check::{CheckOptions, check_env};
/// use skirl_env::state::entry;
/// use skirl_env::{Column, DType, Env, EnvError, EnvState, Row, RowRef, Space, Step, make, register_env};
///
/// /// Walk to the right end of a corridor. Each step costs 0.1, the end pays 1.
/// #[derive(Default)]
/// struct Corridor {
///     position: i64,
/// }
///
/// const LENGTH: i64 = 5;
///
/// impl Env for Corridor {
///     fn observation_space(&self) -> Space {
///         Space::boxed(0.0, LENGTH as f64, &[1], DType::F32)
///     }
///
///     fn action_space(&self) -> Space {
///         Space::discrete(2)
///     }
///
///     fn reset(&mut self, _seed: Option<u64>, observation: &mut Row<'_>) -> Result<(), EnvError> {
///         self.position = 0;
///         observation.set(&[0.0])
///     }
///
///     fn step(&mut self, action: &RowRef<'_>, observation: &mut Row<'_>) -> Result<Step, EnvError> {
///         let direction = if action.discrete_below(2)? == 1 { 1 } else { -1 };
///         self.position = (self.position + direction).max(0);
///         observation.set(&[self.position as f32])?;
///         Ok(if self.position == LENGTH { Step::terminal(1.0) } else { Step::running(-0.1) })
///     }
///
///     fn save_state(&self) -> Option<EnvState> {
///         Some(EnvState::from([("position".to_owned(), Column::I64(vec![self.position]))]))
///     }
///
///     fn restore_state(&mut self, state: &EnvState) -> Result<(), EnvError> {
///         self.position = entry::<i64>(state, "position", 1)?[0];
///         Ok(())
///     }
/// }
///
/// # fn main() -> Result<(), EnvError> {
/// register_env("Corridor-v0", Corridor::default)?;
/// let findings = check_env(&mut make("Corridor-v0")?, CheckOptions::default());
/// // The corridor has no randomness, which is worth a warning and nothing else.
/// assert_eq!(findings.len(), 1);
/// assert!(findings[0].message.contains("fine for an environment without randomness"));
/// # Ok(())
/// # }
/// ```
pub trait Env: Any + Send {
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

    /// The present state as a picture, or `None` if this environment does not draw itself.
    fn draw(&self) -> Option<Scene> {
        None
    }

    /// The environment inside, if this is a wrapper. Then tasks are passed on, and the environment inside can be reached
    /// by its type ([`LiveEnv::downcast_mut`](crate::LiveEnv::downcast_mut)).
    fn inner_mut(&mut self) -> Option<&mut dyn Env> {
        None
    }

    /// Sets the task: how hard, or which one, in whatever form this environment documents.
    ///
    /// May come at any time, also in the middle of an episode. It should take effect at the next
    /// [`reset`](Self::reset); an environment that changes at once says so. Nobody resets the environment because of it.
    ///
    /// The last task that was accepted is saved in checkpoints and set again on resume, before
    /// [`restore_state`](Self::restore_state). What else a running episode knows of its task belongs into
    /// [`save_state`](Self::save_state).
    fn set_task(&mut self, task: &Value) -> Result<(), EnvError> {
        match self.inner_mut() {
            Some(inner) => inner.set_task(task),
            None => Err(EnvError::NoTask { env: std::any::type_name::<Self>().to_owned() }),
        }
    }

    /// The task, as it was set last, or the one that the environment starts with.
    fn get_task(&mut self) -> Result<Value, EnvError> {
        match self.inner_mut() {
            Some(inner) => inner.get_task(),
            None => Err(EnvError::NoTask { env: std::any::type_name::<Self>().to_owned() }),
        }
    }
}

impl std::fmt::Debug for dyn Env {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Env({} → {})", self.action_space(), self.observation_space())
    }
}

impl Env for Box<dyn Env> {
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

    fn draw(&self) -> Option<Scene> {
        (**self).draw()
    }

    fn inner_mut(&mut self) -> Option<&mut dyn Env> {
        Some(&mut **self)
    }
}
