//! The bridge to environments that are written in Python.
//!
//! **In** flow actions, as columns of the engine. **Out** flow observations, copied once into the engine's columns, rewards
//! and flags. Whatever crosses the border is checked: types and shapes exactly, values where they can be wrong. The
//! interpreter's lock is taken once for a step of all environments.

mod action;
mod array;

mod border;
mod build;
mod convert;
mod fault;
mod observation;
mod outcome;
mod python_env;
mod state;
mod vector_env;

pub(crate) use border::with_python;
pub(crate) use build::{install_resolver, native_env};
