//! `skirl._native`: the engine as Python sees it. No algorithms here: conversions, the bridge to Python environments, and
//! errors as exceptions. The package around it is in `python/skirl`.

use pyo3::exceptions::PyImportError;
use pyo3::prelude::*;

mod algorithm;
mod arrays;
mod call;
mod callbacks;
mod command;
mod config;
mod engine_thread;
mod env;
mod errors;
mod evaluation;
mod foreach_env;
mod held;
mod lent;
mod module;
mod parts;
mod shared;
mod space;
mod state;
mod value;
#[cfg(unix)]
mod worker;

/// Refuses a free-threaded interpreter that was told to keep its lock off.
fn look_for_lock(py: Python<'_>) -> PyResult<()> {
    let is_on = py.import("sys")?.getattr_opt("_is_gil_enabled")?.map(|is_on| is_on.call0()?.is_truthy());
    match is_on.transpose()? {
        Some(false) => Err(PyImportError::new_err(
            "skirl needs the interpreter's lock, which PYTHON_GIL=0 or -X gil=0 keeps off: start Python without them, and \
             the lock is turned on when skirl is imported",
        )),
        _ => Ok(()),
    }
}

/// The native half of the package `skirl`. A free-threaded interpreter runs it with its lock on, until somebody has looked
/// into what goes without.
#[pymodule(gil_used = true)]
mod _native {
    use super::{Bound, PyAnyMethods, PyModule, PyResult};

    #[pymodule_export]
    use crate::algorithm::NativeAlgorithm;
    #[pymodule_export]
    use crate::callbacks::{EpisodeClass, NativeEnv, hooks};
    #[pymodule_export]
    use crate::command::{close_all, run_command};
    #[pymodule_export]
    use crate::config::{NativeConfig, algorithms, json_schema, options};
    #[pymodule_export]
    use crate::env::{agents, native_env};
    #[pymodule_export]
    use crate::evaluation::register_evaluation_function;
    #[pymodule_export]
    use crate::module::NativeModule;
    #[pymodule_export]
    use crate::parts::{NativeEnvRunner, discounted_returns, gae, vtrace};
    #[pymodule_export]
    use crate::shared::NativeSharedState;
    #[pymodule_export]
    use crate::space::{space_from_json, space_to_json};

    #[cfg(unix)]
    #[pymodule_export]
    use crate::worker::worker_main;

    #[pymodule_export]
    #[allow(non_upper_case_globals)]
    const __version__: &str = env!("CARGO_PKG_VERSION");

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        super::look_for_lock(module.py())?;
        crate::env::install_resolver();
        // Algorithms must be closed while Python can still run: their environments may be Python's.
        let close_all = module.getattr("close_all")?;
        module.py().import("atexit")?.call_method1("register", (close_all,))?;
        #[cfg(unix)]
        crate::worker::install_launcher();
        Ok(())
    }
}
