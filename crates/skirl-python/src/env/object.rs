//! What an environment's object is asked besides resets and steps: its spaces, its task, to close, who holds it.

use pyo3::prelude::*;
use pyo3::{ffi, intern};
use serde_json::Value;
use skirl_env::{EnvError, Space};

use super::border::with_python;
use super::fault::describe;
use crate::{space, value};

/// Observation and action space, under the names that they have there (`single_observation_space` in a batch).
pub(super) fn spaces(env: &Bound<'_, PyAny>, prefix: &str) -> PyResult<(Space, Space)> {
    let name = kind(env).name()?;
    let read = |attribute: &str| {
        let attribute = format!("{prefix}{attribute}");
        space::from_python(&env.getattr(attribute.as_str())?, &format!("{attribute} of {name}"))
    };
    Ok((read("observation_space")?, read("action_space")?))
}

/// How many references there are to an object, the caller's among them.
pub(super) fn references(object: &Bound<'_, PyAny>) -> isize {
    // SAFETY: a live object of this interpreter, whose lock is held (there is a Bound).
    unsafe { ffi::Py_REFCNT(object.as_ptr()) }
}

/// Sets the task, where the environment or a wrapper around it has tasks.
pub(super) fn set_task(env: &Py<PyAny>, task: &Value) -> Result<(), EnvError> {
    with_python(|py| {
        let method = task_method(env.bind(py), "set_task")?;
        let called = value::to_python(py, task).and_then(|task| method.call1((task,)));
        called.map(drop).map_err(|error| task_raised(py, "set_task", error))
    })
}

/// The task.
pub(super) fn get_task(env: &Py<PyAny>) -> Result<Value, EnvError> {
    with_python(|py| {
        let method = task_method(env.bind(py), "get_task")?;
        let task = method.call0().and_then(|task| value::from_python(&task, "the task"));
        task.map_err(|error| task_raised(py, "get_task", error))
    })
}

/// Gives the task of an environment, if it has one and tells it, to the one that takes its place.
pub(super) fn hand_on_task(from: &Py<PyAny>, to: &Py<PyAny>) -> Result<(), EnvError> {
    let handed_on = get_task(from).and_then(|task| set_task(to, &task));
    match handed_on {
        Err(EnvError::NoTask { .. }) => Ok(()),
        // With another task than it was given, it would be another environment.
        Err(EnvError::Foreign { message, place, source }) => {
            let message = format!(
                "its task could not be handed on to the environment that takes its place: {message}. Let get_task and set_task \
                 work after a failure as well, or set restart_failed_sub_environments=False"
            );
            Err(EnvError::Foreign { message, place, source })
        }
        other => other,
    }
}

/// A method of the environment, or of the first wrapper around it that has one.
fn task_method<'py>(env: &Bound<'py, PyAny>, name: &str) -> Result<Bound<'py, PyAny>, EnvError> {
    let py = env.py();
    if let Ok(method) = env.call_method1(intern!(py, "get_wrapper_attr"), (name,)) {
        return Ok(method);
    }
    env.getattr(name).map_err(|_| EnvError::NoTask {
        env: kind(env).qualname().map_or_else(|_| name.to_owned(), |name| name.to_string()),
    })
}

fn task_raised(py: Python<'_>, method: &str, error: PyErr) -> EnvError {
    EnvError::foreign(format!("{method} raised {}", describe(py, &error)), error)
}

/// The class of the environment inside all wrappers.
fn kind<'py>(env: &Bound<'py, PyAny>) -> Bound<'py, pyo3::types::PyType> {
    env.getattr("unwrapped").unwrap_or_else(|_| env.clone()).get_type()
}

/// Asks environments to free what they hold. What they raise then is printed: there is nobody to tell.
pub(super) fn close<'a>(envs: impl Iterator<Item = &'a Py<PyAny>>) {
    // No interpreter, no environments: it is going down.
    let _ = Python::try_attach(|py| {
        for env in envs.map(|env| env.bind(py)) {
            // PettingZoo's environments and those that look like Gymnasium's may have none.
            let Ok(close) = env.getattr(intern!(py, "close")) else { continue };
            if let Err(error) = close.call0() {
                error.write_unraisable(py, Some(env));
            }
        }
    });
}
