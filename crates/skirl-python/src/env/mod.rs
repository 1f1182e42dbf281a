//! The bridge to environments that are written in Python.
//!
//! **In** flow actions, as columns of the engine. **Out** flow observations, copied once into the engine's columns, rewards
//! and flags. Whatever crosses the border is checked: types and shapes exactly, values where they can be wrong. The
//! interpreter's lock is taken once for a step of all environments.

mod action;
mod array;
mod batched;
mod border;
mod build;
mod convert;
mod fault;
mod layers;
mod method;
mod multi_agent;
mod object;
mod observation;
mod outcome;
mod python_env;
mod state;
mod vector_env;

pub(crate) use border::with_python;
pub(crate) use build::{agents, install_resolver, native_env};
pub(crate) use multi_agent::PythonMultiAgentEnv;

use std::any::Any;

use pyo3::prelude::*;
use skirl_env::VectorEnv;

/// The Python object that is environment `index` of `envs`, as its creator returned it; of a batched environment the
/// environment in it, where it has such (`envs`), or the batch. `None` where the environments are not Python's.
pub(crate) fn python_object(py: Python<'_>, envs: &dyn VectorEnv, index: usize) -> Option<Py<PyAny>> {
    let any: &dyn Any = envs;
    #[cfg(unix)]
    if let Some(watched) = any.downcast_ref::<skirl_process::watched::Watched>() {
        return python_object(py, skirl_env::wrappers::VectorWrapper::inner(watched), index);
    }
    if let Some(envs) = any.downcast_ref::<vector_env::PythonVectorEnv>() {
        return envs.object(py, index).map(|env| env.clone_ref(py));
    }
    let batch = any.downcast_ref::<batched::BatchedEnv>()?.object().bind(py);
    let inner = batch.getattr("unwrapped").and_then(|inner| inner.getattr("envs"));
    let env = inner.and_then(|envs| envs.get_item(index)).unwrap_or_else(|_| batch.clone());
    Some(env.unbind())
}
