//! A range of Python environments as the engine's [`VectorEnv`].

use pyo3::intern;
use pyo3::prelude::*;
use serde_json::Value;
use skirl_env::{ColumnMut, ColumnRef, EnvError, EnvState, EpisodeClock, Outcomes, Space, VectorEnv};

use super::action::ActionMaker;
use super::border::{check_signals, with_python};
use super::fault::describe;
use super::layers::KnownWrappers;
use super::observation::ObservationReader;
use super::python_env::{Conversions, PythonEnv};
use super::state;
use crate::{space, value};

/// Environments of Python that step one after the other.
pub(crate) struct PythonVectorEnv {
    envs: Vec<PythonEnv>,
    observation_space: Space,
    action_space: Space,
    conversions: Conversions,
    clock: EpisodeClock,
}

impl PythonVectorEnv {
    /// Takes over environments (at least one) that were just made.
    pub(super) fn new(envs: &[Bound<'_, PyAny>], max_episode_steps: Option<u32>) -> PyResult<Self> {
        let Some(first) = envs.first() else {
            return Err(crate::errors::InternalError::new_err("no environment was made"));
        };
        let (observation_space, action_space) = spaces(first)?;
        for (index, env) in envs.iter().enumerate().skip(1) {
            let (observations, actions) = spaces(env)?;
            same(&observation_space, &observations, "observation", index)?;
            same(&action_space, &actions, "action", index)?;
        }
        let conversions = Conversions {
            observations: ObservationReader::new(first.py(), &observation_space),
            actions: ActionMaker::new(&first.getattr("action_space")?, &action_space)?,
            wrappers: KnownWrappers::ask(first.py())?,
        };
        Ok(Self {
            envs: envs.iter().map(PythonEnv::new).collect::<PyResult<_>>()?,
            clock: EpisodeClock::new(envs.len(), max_episode_steps),
            observation_space,
            action_space,
            conversions,
        })
    }

    /// Environment `index`, as its creator returned it.
    pub(crate) fn object(&self, index: usize) -> Option<&Py<PyAny>> {
        let env = self.envs.get(index)?;
        env.lend();
        Some(&env.object)
    }
}

/// Observation and action space of an environment.
pub(super) fn spaces(env: &Bound<'_, PyAny>) -> PyResult<(Space, Space)> {
    let name = env.getattr("unwrapped").unwrap_or_else(|_| env.clone()).get_type().name()?;
    let read =
        |attribute: &str| space::from_python(&env.getattr(attribute)?, &format!("{attribute} of {name}"));
    Ok((read("observation_space")?, read("action_space")?))
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
        let objects = self.envs.iter().map(|env| &env.object);
        with_python(|py| state::save(py, objects, &mut state)).then_some(state)
    }

    fn restore_state(&mut self, state: &EnvState) -> Result<(), EnvError> {
        self.clock.restore(state)?;
        with_python(|py| {
            for (index, env) in self.envs.iter().enumerate() {
                env.lend();
                state::restore(env.object.bind(py), state, index).map_err(|error| error.at_env(index))?;
            }
            Ok(())
        })
    }

    fn set_task(&mut self, env: usize, task: &Value) -> Result<(), EnvError> {
        with_python(|py| {
            self.envs[env].lend();
            let method = task_method(self.envs[env].object.bind(py), "set_task")?;
            let called = value::to_python(py, task).and_then(|task| method.call1((task,)));
            called.map(drop).map_err(|error| task_raised(py, "set_task", error))
        })
    }

    fn get_task(&mut self, env: usize) -> Result<Value, EnvError> {
        with_python(|py| {
            let method = task_method(self.envs[env].object.bind(py), "get_task")?;
            let task = method.call0().and_then(|task| value::from_python(&task, "the task"));
            task.map_err(|error| task_raised(py, "get_task", error))
        })
    }
}

/// A method of the environment, or of the first wrapper around it that has one.
fn task_method<'py>(env: &Bound<'py, PyAny>, name: &str) -> Result<Bound<'py, PyAny>, EnvError> {
    let py = env.py();
    if let Ok(method) = env.call_method1(intern!(py, "get_wrapper_attr"), (name,)) {
        return Ok(method);
    }
    let kind = env.getattr("unwrapped").unwrap_or_else(|_| env.clone()).get_type();
    env.getattr(name).map_err(|_| EnvError::NoTask {
        env: kind.qualname().map_or_else(|_| name.to_owned(), |name| name.to_string()),
    })
}

fn task_raised(py: Python<'_>, method: &str, error: PyErr) -> EnvError {
    EnvError::foreign(format!("{method} raised {}", describe(py, &error)), error)
}

impl Drop for PythonVectorEnv {
    fn drop(&mut self) {
        // No interpreter, no environments: it is going down.
        let _ = Python::try_attach(|py| self.envs.iter().for_each(|env| env.close(py)));
    }
}
