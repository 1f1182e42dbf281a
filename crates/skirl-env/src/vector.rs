//! Many environments stepped together, writing into the caller's columns.

use std::any::Any;

use serde_json::Value;

use crate::column::{ColumnMut, ColumnRef};
use crate::env::{Env, EnvState};
use crate::episode_clock::EpisodeClock;
use crate::error::{EnvError, Place};
use crate::row::{Row, RowRef};
use crate::scene::Scene;
use crate::space::{Leaf, Space};
use crate::state::{nest, nested};

/// Rewards and flags of one step of all environments.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Outcomes {
    /// Reward of each environment.
    pub rewards: Vec<f64>,
    /// Ended in a terminal state.
    pub terminated: Vec<bool>,
    /// Cut off.
    pub truncated: Vec<bool>,
}

impl Outcomes {
    /// Zeroed outcomes of `num_envs` environments.
    pub fn new(num_envs: usize) -> Outcomes {
        Outcomes {
            rewards: vec![0.0; num_envs],
            terminated: vec![false; num_envs],
            truncated: vec![false; num_envs],
        }
    }

    /// Brings all columns to `num_envs` elements.
    pub fn resize(&mut self, num_envs: usize) {
        self.rewards.resize(num_envs, 0.0);
        self.terminated.resize(num_envs, false);
        self.truncated.resize(num_envs, false);
    }

    /// Whether the episode of environment `env` is over, for either reason.
    pub fn ended(&self, env: usize) -> bool {
        self.terminated[env] || self.truncated[env]
    }
}

/// Environments of one kind that step together.
///
/// Columns have one row for each environment, one column for each leaf of the space. Nothing is reset behind the
/// caller's back: after a step, the rows that ended hold their episode's final observation, and the caller resets them
/// before the next step.
pub trait VectorEnv: Any + Send {
    /// How many environments.
    fn num_envs(&self) -> usize;

    /// Observation space of one environment.
    fn observation_space(&self) -> &Space;

    /// Action space of one environment.
    fn action_space(&self) -> &Space;

    /// Steps after which an episode is truncated, if there is a limit.
    fn max_episode_steps(&self) -> Option<u32> {
        None
    }

    /// Told before a series of [`reset`](Self::reset)s with seeds: these environments, each with its seed. For those that can
    /// only be reset all at once.
    fn will_reset(&mut self, _seeds: &[(usize, u64)]) -> Result<(), EnvError> {
        Ok(())
    }

    /// Starts an episode of environment `env` and writes row `env` of the observations. `seed` as in [`Env::reset`].
    fn reset(
        &mut self,
        env: usize,
        seed: Option<u64>,
        observations: &mut [ColumnMut<'_>],
    ) -> Result<(), EnvError>;

    /// Steps all environments. Stepping one whose episode has ended is an error.
    ///
    /// After an error the environments' states are unspecified: reset or restore all of them.
    fn step(
        &mut self,
        actions: &[ColumnRef<'_>],
        observations: &mut [ColumnMut<'_>],
        outcomes: &mut Outcomes,
    ) -> Result<(), EnvError>;

    /// Everything that `restore_state` needs to go on exactly here, or `None` if these environments cannot.
    ///
    /// Entries named `i/…` belong to environment `i`; `clock/total_steps` is common; all others have the environments as their
    /// first axis. So a state can be cut for another number of threads.
    fn save_state(&self) -> Option<EnvState>;

    /// Goes on where `save_state` was called.
    fn restore_state(&mut self, state: &EnvState) -> Result<(), EnvError>;

    /// Puts a new environment in the place of environment `env`, which failed, with its task. Nothing happens where a reset is all it takes.
    fn rebuild(&mut self, _env: usize) -> Result<(), EnvError> {
        Ok(())
    }

    /// The present state of environment `env` as a picture, or `None` if these environments do not draw themselves.
    fn draw(&self, _env: usize) -> Option<Scene> {
        None
    }

    /// Environment `env` as an object of its own, where each is one. Environments that step as one block of numbers, such
    /// as the native classic ones, have none.
    fn env_mut(&mut self, _env: usize) -> Option<&mut dyn Env> {
        None
    }

    /// Sets the task of environment `env`. As [`Env::set_task`].
    fn set_task(&mut self, env: usize, task: &Value) -> Result<(), EnvError> {
        match self.env_mut(env) {
            Some(env) => env.set_task(task),
            None => Err(EnvError::NoSingleEnv { envs: std::any::type_name::<Self>().to_owned() }),
        }
    }

    /// The task of environment `env`. As [`Env::get_task`].
    fn get_task(&mut self, env: usize) -> Result<Value, EnvError> {
        match self.env_mut(env) {
            Some(env) => env.get_task(),
            None => Err(EnvError::NoSingleEnv { envs: std::any::type_name::<Self>().to_owned() }),
        }
    }
}

impl std::fmt::Debug for dyn VectorEnv {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (actions, observations) = (self.action_space(), self.observation_space());
        write!(formatter, "VectorEnv({} × {actions} → {observations})", self.num_envs())
    }
}

/// Any environments as a [`VectorEnv`], stepped one after the other.
///
/// The border is guarded: a reward or observation that is not finite is an error that names environment, step and
/// field.
#[derive(Debug)]
pub struct Vectorized<E> {
    envs: Vec<E>,
    observation_space: Space,
    action_space: Space,
    observation_leaves: Vec<Leaf>,
    observation_sizes: Vec<usize>,
    action_sizes: Vec<usize>,
    clock: EpisodeClock,
}

impl<E: Env> Vectorized<E> {
    /// Environments without a time limit. There must be at least one, all with the same spaces.
    pub fn new(envs: Vec<E>) -> Result<Vectorized<E>, EnvError> {
        Vectorized::with_time_limit(envs, None)
    }

    /// Environments whose episodes are truncated after `max_episode_steps` steps.
    pub fn with_time_limit(envs: Vec<E>, max_episode_steps: Option<u32>) -> Result<Vectorized<E>, EnvError> {
        let Some(first) = envs.first() else {
            return Err(EnvError::raised("expected at least one environment, found none"));
        };
        let (observation_space, action_space) = (first.observation_space(), first.action_space());
        observation_space.validate()?;
        action_space.validate()?;
        for (index, env) in envs.iter().enumerate() {
            same_space("observation", &observation_space, &env.observation_space(), index)?;
            same_space("action", &action_space, &env.action_space(), index)?;
        }
        let observation_leaves = observation_space.leaves();
        Ok(Vectorized {
            observation_sizes: observation_leaves.iter().map(Leaf::size).collect(),
            action_sizes: action_space.leaves().iter().map(Leaf::size).collect(),
            clock: EpisodeClock::new(envs.len(), max_episode_steps),
            observation_leaves,
            envs,
            observation_space,
            action_space,
        })
    }

    fn step_one(
        &mut self,
        env: usize,
        actions: &[ColumnRef<'_>],
        observations: &mut [ColumnMut<'_>],
        outcomes: &mut Outcomes,
    ) -> Result<(), EnvError> {
        let action = RowRef::of(actions, &self.action_sizes, env)?;
        let mut observation = Row::of(observations, &self.observation_sizes, env)?;
        let step = self.envs[env].step(&action, &mut observation)?;
        if !step.reward.is_finite() {
            let place = Place::default();
            return Err(EnvError::NonFiniteReward { value: step.reward, action: action.to_string(), place });
        }
        check_finite(&self.observation_leaves, &observation.as_ref())?;
        outcomes.rewards[env] = step.reward;
        outcomes.terminated[env] = step.terminated;
        outcomes.truncated[env] = step.truncated;
        Ok(())
    }
}

fn same_space(what: &str, expected: &Space, found: &Space, env: usize) -> Result<(), EnvError> {
    if expected == found {
        return Ok(());
    }
    Err(EnvError::WrongShape {
        field: format!("{what} space"),
        expected: format!("{expected}, as that of environment 0,"),
        found: found.to_string(),
        place: Place { env: Some(env), env_step: None },
    })
}

/// Refuses NaN and infinities in an observation.
pub(crate) fn check_finite(leaves: &[Leaf], observation: &RowRef<'_>) -> Result<(), EnvError> {
    for (leaf, column) in leaves.iter().zip(observation.columns()) {
        if let Some(index) = column.first_non_finite() {
            let field = if leaf.path.is_empty() { String::new() } else { format!(" {}", leaf.label()) };
            let value = column.get_f64(index).unwrap_or(f64::NAN);
            return Err(EnvError::NonFiniteObservation { field, index, value, place: Place::default() });
        }
    }
    Ok(())
}

impl<E: Env> VectorEnv for Vectorized<E> {
    fn num_envs(&self) -> usize {
        self.envs.len()
    }

    fn observation_space(&self) -> &Space {
        &self.observation_space
    }

    fn action_space(&self) -> &Space {
        &self.action_space
    }

    fn max_episode_steps(&self) -> Option<u32> {
        self.clock.limit()
    }

    fn reset(
        &mut self,
        env: usize,
        seed: Option<u64>,
        observations: &mut [ColumnMut<'_>],
    ) -> Result<(), EnvError> {
        self.clock.start(env)?;
        let at = |error: EnvError| error.at_env(env);
        let mut observation = Row::of(observations, &self.observation_sizes, env).map_err(at)?;
        self.envs[env].reset(seed, &mut observation).map_err(at)?;
        check_finite(&self.observation_leaves, &observation.as_ref()).map_err(at)
    }

    fn step(
        &mut self,
        actions: &[ColumnRef<'_>],
        observations: &mut [ColumnMut<'_>],
        outcomes: &mut Outcomes,
    ) -> Result<(), EnvError> {
        self.clock.before_step()?;
        outcomes.resize(self.envs.len());
        for env in 0..self.envs.len() {
            self.step_one(env, actions, observations, outcomes)
                .map_err(|error| error.at_env(env).at_step(self.clock.total_steps() + 1))?;
        }
        self.clock.after_step_keeping(&outcomes.terminated, &mut outcomes.truncated);
        Ok(())
    }

    fn save_state(&self) -> Option<EnvState> {
        let mut state = EnvState::new();
        self.clock.save(&mut state);
        for (index, env) in self.envs.iter().enumerate() {
            nest(&mut state, &index.to_string(), env.save_state()?);
        }
        Some(state)
    }

    fn restore_state(&mut self, state: &EnvState) -> Result<(), EnvError> {
        self.clock.restore(state)?;
        for (index, env) in self.envs.iter_mut().enumerate() {
            env.restore_state(&nested(state, &index.to_string())).map_err(|error| error.at_env(index))?;
        }
        Ok(())
    }

    fn draw(&self, env: usize) -> Option<Scene> {
        self.envs.get(env)?.draw()
    }

    fn env_mut(&mut self, env: usize) -> Option<&mut dyn Env> {
        Some(self.envs.get_mut(env)?)
    }
}
