//! One environment in the hands of Python code: the Python object itself where it is one, else a face of the native one.

use std::ptr::NonNull;
use std::sync::Arc;

use pyo3::prelude::*;
use serde_json::Value;
use skirl::callbacks::Environment;
use skirl_env::{EnvError, LiveEnv};

use crate::env::{PythonMultiAgentEnv, python_object};
use crate::errors::EnvError as EnvException;
use crate::lent::Loan;
use crate::value::{from_python, to_python};

/// An environment as hooks and `foreach_env` are given it.
pub(crate) trait LentEnv {
    /// The Python object, if it is one.
    fn python_object(&mut self, py: Python<'_>) -> Option<Py<PyAny>>;
    fn set_task(&mut self, task: &Value) -> Result<(), EnvError>;
    fn get_task(&mut self) -> Result<Value, EnvError>;
}

impl LentEnv for LiveEnv<'_> {
    fn python_object(&mut self, py: Python<'_>) -> Option<Py<PyAny>> {
        python_env(self, py)
    }

    fn set_task(&mut self, task: &Value) -> Result<(), EnvError> {
        LiveEnv::set_task(self, task)
    }

    fn get_task(&mut self) -> Result<Value, EnvError> {
        LiveEnv::get_task(self)
    }
}

impl LentEnv for Environment<'_> {
    fn python_object(&mut self, py: Python<'_>) -> Option<Py<PyAny>> {
        python_env(&mut self.live(), py)
    }

    fn set_task(&mut self, task: &Value) -> Result<(), EnvError> {
        self.live().set_task(task)
    }

    fn get_task(&mut self) -> Result<Value, EnvError> {
        self.live().get_task()
    }
}

fn python_env(live: &mut LiveEnv<'_>, py: Python<'_>) -> Option<Py<PyAny>> {
    if let Some((envs, index)) = live.vector() {
        return python_object(py, envs, index);
    }
    let env = live.downcast_mut::<PythonMultiAgentEnv>().ok()?;
    Some(env.object().clone_ref(py))
}

/// An environment that is lent to Python code.
#[derive(Clone)]
pub(crate) struct EnvHandle {
    index: usize,
    loan: Arc<Loan<dyn LentEnv>>,
}

impl EnvHandle {
    /// Lends `env` for the time of `hook`.
    pub(crate) fn lend<'a, R>(index: usize, env: &mut (dyn LentEnv + 'a), hook: impl FnOnce(Self) -> R) -> R {
        let pointer: NonNull<dyn LentEnv + 'a> = NonNull::from(env);
        // SAFETY: only the lifetime is forgotten. `Loan::lend` takes the pointer back before this function returns, so it is
        // followed within 'a only; and nothing that `LentEnv` returns borrows from the environment.
        let mut pointer: NonNull<dyn LentEnv> = unsafe { std::mem::transmute(pointer) };
        // SAFETY: made of the `&mut` above, which nobody else uses meanwhile.
        let env: &mut dyn LentEnv = unsafe { pointer.as_mut() };
        Loan::lend(env, |loan| hook(Self { index, loan: Arc::clone(loan) }))
    }
}

/// What the user's function is given.
pub(crate) fn env_object<'py>(py: Python<'py>, env: &EnvHandle) -> PyResult<Bound<'py, PyAny>> {
    match env.loan.with("the environment", |env| env.python_object(py))? {
        Some(object) => Ok(object.into_bound(py)),
        None => Ok(Bound::new(py, NativeEnv(env.clone()))?.into_any()),
    }
}

/// One of the engine's own environments, while the function that it was given to runs.
#[pyclass(module = "skirl._native", frozen)]
pub(crate) struct NativeEnv(EnvHandle);

#[pymethods]
impl NativeEnv {
    /// Index among all environments of training, or of evaluation.
    #[getter]
    fn index(&self) -> usize {
        self.0.index
    }

    /// There is no wrapper around it that Python could take off.
    #[getter]
    fn unwrapped(slf: Py<Self>) -> Py<Self> {
        slf
    }

    /// Sets the task: plain values. When it takes effect is the environment's to say.
    fn set_task(&self, task: &Bound<'_, PyAny>) -> PyResult<()> {
        let task = from_python(task, "task")?;
        self.0.loan.with("the environment", |env| env.set_task(&task))?.map_err(|error| self.raise(&error))
    }

    /// The task.
    fn get_task<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let task = self.0.loan.with("the environment", LentEnv::get_task)?;
        to_python(py, &task.map_err(|error| self.raise(&error))?)
    }

    fn __getattr__(&self, name: &str) -> PyResult<Py<PyAny>> {
        Err(pyo3::exceptions::PyAttributeError::new_err(format!(
            "environment {} is one of skirl's own and has no '{name}' that Python could reach; expected set_task or get_task. \
             Give parameters in env_config, or write the environment in Python",
            self.0.index
        )))
    }

    fn __repr__(&self) -> String {
        format!("<native environment {}>", self.0.index)
    }
}

impl NativeEnv {
    fn raise(&self, error: &EnvError) -> PyErr {
        EnvException::new_err(format!("environment {}: {error}", self.0.index))
    }
}
