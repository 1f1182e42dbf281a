//! The worker's end: Python prepares the constructors, then the engine's loop runs until the other end is closed.

use std::fs::File;
use std::os::fd::{FromRawFd, OwnedFd};
use std::os::unix::net::UnixStream;

use pyo3::prelude::*;
use pyo3::types::PyBytes;
use serde_json::Value;
use skirl::callbacks::{CallbackError, CallbackList};
use skirl_env::VectorEnv;
use skirl_process::message::Build;
use skirl_process::worker::{Host, serve};

use crate::callbacks::worker_callbacks;
use crate::env::{python_object, with_python};
use crate::errors::{SkirlError, origin};
use crate::value::from_python;

/// Python around a worker.
struct PythonHost {
    prepare: Py<PyAny>,
    /// The callbacks that came with the constructors.
    dispatchers: Vec<Py<PyAny>>,
}

impl Host for PythonHost {
    fn prepare(&mut self, build: &Build, constructors: &[u8]) -> Result<(), String> {
        with_python(|py| {
            let arguments =
                (build.runner, build.num_runners, build.recreated, PyBytes::new(py, constructors));
            let prepared = self.prepare.call1(py, arguments).and_then(|made| made.extract(py));
            self.dispatchers = prepared.map_err(|error| traceback(py, &error))?;
            Ok(())
        })
    }

    fn callbacks(&mut self) -> Result<CallbackList, String> {
        with_python(|py| {
            let dispatchers: Vec<_> = self.dispatchers.iter().map(|each| each.bind(py).clone()).collect();
            worker_callbacks(&dispatchers).map_err(|error| traceback(py, &error))
        })
    }

    fn take_logged(&mut self) -> String {
        let Some(first) = self.dispatchers.first() else { return String::new() };
        let logged = with_python(|py| first.call_method0(py, "logged")?.extract(py));
        // It is made of numbers and texts only.
        logged.unwrap_or_default()
    }

    fn explain_hook(&self, error: &CallbackError) -> String {
        match error.source.downcast_ref::<PyErr>() {
            Some(raised) => with_python(|py| traceback(py, raised)),
            None => error.source.to_string(),
        }
    }

    fn call(&mut self, envs: &mut dyn VectorEnv, env: usize, function: &[u8]) -> Result<Value, String> {
        with_python(|py| {
            let call = || {
                let object = python_object(py, envs, env);
                let worker = py.import("skirl._worker")?;
                let returned = worker.call_method1("call", (PyBytes::new(py, function), object))?;
                from_python(
                    &returned,
                    "what the function returned (from another process plain values come back)",
                )
            };
            call().map_err(|error| traceback(py, &error))
        })
    }

    fn explain(&self, error: &skirl::Error) -> String {
        match origin(error) {
            Some(raised) => with_python(|py| format!("{error}\n{}", traceback(py, raised))),
            None => error.to_string(),
        }
    }
}

/// As Python prints it.
fn traceback(py: Python<'_>, error: &PyErr) -> String {
    let format = || -> PyResult<String> {
        let parts = (error.get_type(py), error.value(py), error.traceback(py));
        let lines = py.import("traceback")?.call_method1("format_exception", parts)?;
        Ok(lines.extract::<Vec<String>>()?.concat().trim_end().to_owned())
    };
    format().unwrap_or_else(|_| error.to_string())
}

/// Serves the process at the other end of `socket` until it is gone. `memory` is what both have mapped; both are numbers of
/// open files that belong to this call from now on. `prepare(worker_index, num_workers, recreated, constructors)` is called
/// before environments are built, and returns the dispatchers of callbacks.
#[pyfunction]
pub(crate) fn worker_main(py: Python<'_>, socket: i32, memory: i32, prepare: Py<PyAny>) -> PyResult<()> {
    // SAFETY: the caller, `skirl._worker`, has just duplicated both numbers for this call and uses them no more.
    let (socket, memory) = unsafe { (OwnedFd::from_raw_fd(socket), OwnedFd::from_raw_fd(memory)) };
    let mut host = PythonHost { prepare, dispatchers: Vec::new() };
    py.detach(|| serve(UnixStream::from(socket), File::from(memory), &mut host))
        .map_err(|error| SkirlError::new_err(error.to_string()))
}
