//! What is told when an environment's own code fails, or returns what it must not.

use pyo3::exceptions::{PyException, PyRuntimeError, PySystemExit};
use pyo3::prelude::*;
use skirl_env::{EnvError, Place};

use super::outcome::shown;
use crate::errors::SkirlError;

/// Where an environment stands in its episode.
#[derive(Debug, Clone, Default)]
pub(super) struct Episode {
    /// The last seed that a reset was given.
    pub(super) seed: Option<u64>,
    /// Resets without a seed since then.
    pub(super) resets_since: u64,
    /// Steps of the running episode.
    pub(super) steps: u64,
}

impl Episode {
    pub(super) fn start(&mut self, seed: Option<u64>) {
        self.resets_since = if seed.is_some() { 0 } else { self.resets_since + 1 };
        self.seed = seed.or(self.seed);
        self.steps = 0;
    }

    fn describe(&self) -> String {
        let resets = match self.resets_since {
            0 => String::new(),
            1 => " and once without one since".to_owned(),
            times => format!(" and {times} times without one since"),
        };
        match self.seed {
            Some(seed) => format!("last reset with seed {seed}{resets}"),
            None => "never reset with a seed".to_owned(),
        }
    }
}

/// A method of an environment, called in this state.
pub(super) struct Call<'a, 'py> {
    pub(super) env: &'a Bound<'py, PyAny>,
    pub(super) method: &'a str,
    pub(super) episode: &'a Episode,
    /// The action, as text; none for a reset.
    pub(super) action: Option<String>,
}

impl Call<'_, '_> {
    /// The method raised.
    pub(super) fn raised(&self, error: PyErr) -> EnvError {
        let py = self.env.py();
        let error = no_exit(py, error);
        if !error.is_instance_of::<PyException>(py) {
            // KeyboardInterrupt and the like are nobody's fault.
            return EnvError::interrupted(error);
        }
        let message = format!("{} raised {}; {}", self.whose(), describe(py, &error), self.circumstances());
        EnvError::foreign(message, error)
    }

    /// The method returned what it must not: `name` of it `refusal`.
    pub(super) fn refused(&self, name: &str, refusal: &str) -> EnvError {
        let subject = if name.is_empty() { self.whose() } else { format!("{name} of {}", self.whose()) };
        EnvError::raised(format!("{subject} {refusal}; {}", self.circumstances()))
    }

    /// Adds to an error of the border whose value it was.
    pub(super) fn blame(&self, error: EnvError) -> EnvError {
        match error {
            EnvError::WrongShape { field, expected, found, place } => {
                let what = format!("{field} of {} has shape {found}", self.whose());
                let message =
                    format!("{what}, expected {expected} as its space says; {}", self.circumstances());
                EnvError::Raised { message, place }
            }
            EnvError::NonFiniteObservation { field, index, value, place } => {
                let what =
                    format!("observation{field} of {} is {} at index {index}", self.whose(), shown(value));
                let message = format!(
                    "{what}, expected a finite number (float32); {}. Check what the environment writes there, or end the \
                     episode before it overflows",
                    self.circumstances()
                );
                EnvError::Raised { message, place }
            }
            EnvError::Raised { message, place } => EnvError::Raised {
                message: format!("{message}; returned by {}; {}", self.whose(), self.circumstances()),
                place,
            },
            other => other,
        }
    }

    /// A reward that is not finite.
    pub(super) fn non_finite_reward(&self, value: f64) -> EnvError {
        let action = self.action.as_deref().unwrap_or("of the batch");
        let (whose, episode, step) = (self.whose(), self.episode.describe(), self.episode.steps + 1);
        let action = format!("{action} in {whose}, {episode}, step {step} of the episode");
        EnvError::NonFiniteReward { value, action, place: Place::default() }
    }

    fn whose(&self) -> String {
        whose(self.env, self.method)
    }

    fn circumstances(&self) -> String {
        let episode = self.episode.describe();
        match &self.action {
            Some(action) => {
                format!("{episode}, step {} of the episode, action {action}", self.episode.steps + 1)
            }
            None => episode,
        }
    }
}

/// Class, method, file and line.
pub(super) fn whose(env: &Bound<'_, PyAny>, method: &str) -> String {
    let place =
        env.py().import("skirl.env._build").and_then(|module| module.call_method1("where", (env, method)));
    place.map_or_else(|_| method.to_owned(), |place| place.to_string())
}

/// `SystemExit` as an error that says where it comes from: an environment must not end the program without a word.
pub(super) fn no_exit(py: Python<'_>, error: PyErr) -> PyErr {
    if !error.is_instance_of::<PySystemExit>(py) {
        return error;
    }
    let code = error.value(py).getattr("code").map_or_else(|_| String::new(), |code| code.to_string());
    let raised = PyRuntimeError::new_err(format!(
        "sys.exit({code}) was called, which would end the program; expected an exception that says what is wrong"
    ));
    raised.set_cause(py, Some(error));
    raised
}

/// `ValueError: boom`, as the last line of a traceback has it; what skirl itself raised speaks for itself.
pub(super) fn describe(py: Python<'_>, error: &PyErr) -> String {
    if error.is_instance_of::<SkirlError>(py) {
        return error.value(py).to_string();
    }
    let name = error.get_type(py).name().map_or_else(|_| "an exception".to_owned(), |name| name.to_string());
    match error.value(py).str() {
        Ok(text) if !text.to_string().is_empty() => format!("{name}: {text}"),
        _ => name,
    }
}
