//! One environment of Python: its methods, bound once, and its episode.

use std::cell::RefCell;

use pyo3::prelude::*;
use pyo3::types::PyDict;
use pyo3::{Borrowed, intern};
use skirl_env::{ColumnMut, ColumnRef, EnvError, Outcomes};

use super::action::ActionMaker;
use super::fault::{Call, Episode};
use super::layers::{KnownWrappers, Way};
use super::observation::ObservationReader;
use super::outcome::{flag, reset_observation, reward, step_tuple};

/// An environment that is called from here.
pub(super) struct PythonEnv {
    /// The only reference to it from here.
    pub(super) object: Py<PyAny>,
    /// None after somebody else had the environment: what is around it is looked at before the next step.
    way: RefCell<Option<Way>>,
    pub(super) episode: Episode,
    /// An observation outside its bounds was reported: once for each environment.
    warned: bool,
}

/// What environments that step together have in common: their spaces, as conversions, and what may be around them.
pub(super) struct Conversions {
    pub(super) observations: ObservationReader,
    pub(super) actions: ActionMaker,
    pub(super) wrappers: KnownWrappers,
}

impl PythonEnv {
    pub(super) fn new(object: &Bound<'_, PyAny>) -> Self {
        Self {
            way: RefCell::new(None),
            object: object.clone().unbind(),
            episode: Episode::default(),
            warned: false,
        }
    }

    /// To be called before somebody else gets hold of the environment.
    pub(super) fn lend(&self, py: Python<'_>) {
        if let Some(way) = self.way.take() {
            way.settle(py);
        }
    }

    /// Starts an episode and writes its first observation into row `row`.
    pub(super) fn reset(
        &mut self,
        py: Python<'_>,
        seed: Option<u64>,
        conversions: &Conversions,
        columns: &mut [ColumnMut<'_>],
        row: usize,
    ) -> Result<(), EnvError> {
        self.episode.start(seed);
        self.lend(py);
        let call = |env| Call { env, method: "reset", episode: &self.episode, action: None };
        let env = self.object.bind(py);
        let returned = env.getattr(intern!(py, "reset")).and_then(|reset| call_reset(&reset, seed));
        let returned = returned.map_err(|error| call(env).raised(error))?;
        let observation = reset_observation(&returned).map_err(|refusal| call(env).refused("", &refusal))?;
        let read = conversions.observations.read(&observation, columns, row);
        read.map_err(|error| call(env).blame(error))
    }

    /// Takes the action in row `row`, and writes observation, reward and flags there.
    pub(super) fn step(
        &mut self,
        py: Python<'_>,
        actions: &[ColumnRef<'_>],
        conversions: &Conversions,
        columns: &mut [ColumnMut<'_>],
        outcomes: &mut Outcomes,
        row: usize,
    ) -> Result<(), EnvError> {
        let stepped = self.step_unexplained(py, actions, conversions, columns, outcomes, row);
        if let Err(fault) = stepped {
            self.lend(py);
            let action = conversions.actions.make(py, actions, row).map(|action| action.to_string()).ok();
            let env = self.object.bind(py);
            return Err(fault.explain(&Call { env, method: "step", episode: &self.episode, action }));
        }
        self.episode.steps += 1;
        if self.way.get_mut().as_ref().is_some_and(Way::is_unsettled) {
            self.lend(py);
        }
        if !self.warned
            && conversions.observations.is_bounded()
            && let Some(outside) = conversions.observations.outside(columns, row)
        {
            self.warned = true;
            super::border::warn_outside(self.object.bind(py), row, &outside)?;
        }
        Ok(())
    }

    fn step_unexplained(
        &mut self,
        py: Python<'_>,
        actions: &[ColumnRef<'_>],
        conversions: &Conversions,
        columns: &mut [ColumnMut<'_>],
        outcomes: &mut Outcomes,
        row: usize,
    ) -> Result<(), Fault> {
        let env = self.object.bind(py);
        let way = self.way.get_mut();
        let way = match way {
            Some(way) => way,
            none => {
                none.insert(Way::shortest(env, &conversions.wrappers).unwrap_or_else(|_| Way::whole(env)))
            }
        };
        let action = conversions.actions.make(py, actions, row).map_err(Fault::Raised)?;
        let returned = way.step(&action).map_err(Fault::Raised)?;
        let tuple = step_tuple(&returned).map_err(|refusal| Fault::Refused("", refusal))?;
        let at_limit = way.count(py).map_err(Fault::Raised)?;
        let item = |index: usize| -> Result<Borrowed<'_, '_, PyAny>, Fault> {
            tuple.get_borrowed_item(index).map_err(Fault::Raised)
        };
        conversions.observations.read(&*item(0)?, columns, row).map_err(Fault::Value)?;
        let value = reward(&*item(1)?).map_err(|refusal| Fault::Refused("the reward", refusal))?;
        if !value.is_finite() {
            return Err(Fault::Reward(value));
        }
        conversions.actions.take_back(action);
        outcomes.rewards[row] = value;
        outcomes.terminated[row] =
            flag(&*item(2)?).map_err(|refusal| Fault::Refused("terminated", refusal))?;
        // As `TimeLimit` does, whatever the environment says.
        outcomes.truncated[row] =
            at_limit || flag(&*item(3)?).map_err(|refusal| Fault::Refused("truncated", refusal))?;
        Ok(())
    }
}

/// What went wrong in a step; explained only when it did.
enum Fault {
    Raised(PyErr),
    Refused(&'static str, String),
    Value(EnvError),
    Reward(f64),
}

impl Fault {
    fn explain(self, call: &Call<'_, '_>) -> EnvError {
        match self {
            Self::Raised(error) => call.raised(error),
            Self::Refused(name, refusal) => call.refused(name, &refusal),
            Self::Value(error) => call.blame(error),
            Self::Reward(value) => call.non_finite_reward(value),
        }
    }
}

/// Calls `reset`, with the seed if there is one.
pub(super) fn call_reset<'py>(reset: &Bound<'py, PyAny>, seed: Option<u64>) -> PyResult<Bound<'py, PyAny>> {
    let Some(seed) = seed else { return reset.call0() };
    let kwargs = PyDict::new(reset.py());
    kwargs.set_item(intern!(reset.py(), "seed"), seed)?;
    reset.call((), Some(&kwargs))
}
