//! A range of Python environments as the engine's [`VectorEnv`].

use pyo3::prelude::*;
use serde_json::Value;
use skirl_env::{ColumnMut, ColumnRef, EnvError, EnvState, EpisodeClock, Outcomes, Space, VectorEnv};

use super::action::ActionMaker;
use super::border::{check_signals, with_python};
use super::fault::describe;
use super::layers::KnownWrappers;
use super::observation::ObservationReader;
use super::python_env::{Conversions, PythonEnv};
use super::{object, state};

/// Environments of Python that step one after the other.
pub(crate) struct PythonVectorEnv {
    envs: Vec<PythonEnv>,
    observation_space: Space,
    action_space: Space,
    conversions: Conversions,
    clock: EpisodeClock,
    /// Makes environment `i` once more.
    make: Py<PyAny>,
}

impl PythonVectorEnv {
    /// Takes over environments (at least one) that were just made.
    /// `make(i)` makes environment `i` once more.
    pub(super) fn new(
        envs: &[Bound<'_, PyAny>],
        make: Py<PyAny>,
        max_episode_steps: Option<u32>,
    ) -> PyResult<Self> {
        let Some(first) = envs.first() else {
            return Err(crate::errors::InternalError::new_err("no environment was made"));
        };
        let (observation_space, action_space) = object::spaces(first, "")?;
        for (index, env) in envs.iter().enumerate().skip(1) {
            let (observations, actions) = object::spaces(env, "")?;
            same(&observation_space, &observations, "observation", index)?;
            same(&action_space, &actions, "action", index)?;
        }
        let conversions = Conversions {
            observations: ObservationReader::new(first.py(), &observation_space),
            actions: ActionMaker::new(&first.getattr("action_space")?, &action_space)?,
            wrappers: KnownWrappers::ask(first.py())?,
        };
        Ok(Self {
            envs: envs.iter().map(PythonEnv::new).collect(),
            clock: EpisodeClock::new(envs.len(), max_episode_steps),
            observation_space,
            action_space,
            conversions,
            make,
        })
    }

    fn make_again(&self, py: Python<'_>, index: usize) -> PyResult<PythonEnv> {
        let env = self.make.bind(py).call1((index,))?;
        let (observations, actions) = object::spaces(&env, "")?;
        same(&self.observation_space, &observations, "observation", index)?;
        same(&self.action_space, &actions, "action", index)?;
        Ok(PythonEnv::new(&env))
    }

    /// Environment `index`, as its creator returned it.
    pub(crate) fn object(&self, py: Python<'_>, index: usize) -> Option<&Py<PyAny>> {
        let env = self.envs.get(index)?;
        env.lend(py);
        Some(&env.object)
    }
}

fn same(expected: &Space, found: &Space, what: &str, index: usize) -> PyResult<()> {
    if expected == found {
        return Ok(());
    }
    Err(crate::errors::EnvError::new_err(format!(
        "environment {index} has the {what} space {found}, expected {expected}, as that of environment 0: all environments of \
         a run need the same spaces"
    )))
}

fn close(envs: &[PythonEnv]) {
    let _ = Python::try_attach(|py| envs.iter().for_each(|env| env.lend(py)));
    object::close(envs.iter().map(|env| &env.object));
}

impl VectorEnv for PythonVectorEnv {
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
        let Self { envs, conversions, .. } = self;
        with_python(|py| envs[env].reset(py, seed, conversions, observations, env))
            .map_err(|error| error.at_env(env))
    }

    fn step(
        &mut self,
        actions: &[ColumnRef<'_>],
        observations: &mut [ColumnMut<'_>],
        outcomes: &mut Outcomes,
    ) -> Result<(), EnvError> {
        self.clock.before_step()?;
        outcomes.resize(self.envs.len());
        let Self { envs, conversions, clock, .. } = self;
        with_python(|py| {
            check_signals(py)?;
            for (index, env) in envs.iter_mut().enumerate() {
                env.step(py, actions, conversions, observations, outcomes, index)
                    .map_err(|error| error.at_env(index).at_step(clock.total_steps() + 1))?;
            }
            Ok::<(), EnvError>(())
        })?;
        self.clock.after_step_keeping(&outcomes.terminated, &mut outcomes.truncated);
        Ok(())
    }

    fn save_state(&self) -> Option<EnvState> {
        let mut state = EnvState::new();
        self.clock.save(&mut state);
        with_python(|py| {
            let objects = self.envs.iter().map(|env| {
                env.lend(py);
                &env.object
            });
            state::save(py, objects, &mut state)
        })
        .then_some(state)
    }

    fn restore_state(&mut self, state: &EnvState) -> Result<(), EnvError> {
        self.clock.restore(state)?;
        with_python(|py| {
            for (index, env) in self.envs.iter().enumerate() {
                env.lend(py);
                state::restore(env.object.bind(py), state, index).map_err(|error| error.at_env(index))?;
            }
            Ok(())
        })
    }

    fn rebuild(&mut self, env: usize) -> Result<(), EnvError> {
        let made = with_python(|py| {
            self.make_again(py, env).map_err(|error| {
                let message = format!("it could not be made anew: {}", describe(py, &error));
                EnvError::foreign(message, error)
            })
        })?;
        let failed = std::mem::replace(&mut self.envs[env], made);
        let handed_on = object::hand_on_task(&failed.object, &self.envs[env].object);
        close(&[failed]);
        handed_on
    }

    fn set_task(&mut self, env: usize, task: &Value) -> Result<(), EnvError> {
        with_python(|py| self.envs[env].lend(py));
        object::set_task(&self.envs[env].object, task)
    }

    fn get_task(&mut self, env: usize) -> Result<Value, EnvError> {
        object::get_task(&self.envs[env].object)
    }
}

impl Drop for PythonVectorEnv {
    fn drop(&mut self) {
        close(&self.envs);
    }
}
