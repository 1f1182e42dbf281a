//! `skirl._native`: the engine as Python sees it. No algorithms here: conversions, the bridge to Python environments, and
//! errors as exceptions. The package around it is in `python/skirl`.

use pyo3::prelude::*;

mod algorithm;
mod call;
mod config;
mod env;
mod errors;
mod module;
mod space;
mod value;
#[cfg(unix)]
mod worker;

/// The native half of the package `skirl`.
#[pymodule]
mod _native {
    #[pymodule_export]
    use crate::algorithm::NativeAlgorithm;
    #[pymodule_export]
    use crate::config::{NativeConfig, algorithms, json_schema, options};
    #[pymodule_export]
    use crate::env::native_env;
    #[pymodule_export]
    use crate::module::NativeModule;
    #[pymodule_export]
    use crate::space::{space_from_json, space_to_json};

    #[cfg(unix)]
    #[pymodule_export]
    use crate::worker::worker_main;

    #[pymodule_export]
    #[allow(non_upper_case_globals)]
    const __version__: &str = env!("CARGO_PKG_VERSION");

    #[pymodule_init]
    #[allow(clippy::unnecessary_wraps)]
    fn init(_module: &pyo3::Bound<'_, pyo3::types::PyModule>) -> pyo3::PyResult<()> {
        crate::env::install_resolver();
        #[cfg(unix)]
        crate::worker::install_launcher();
        Ok(())
    }
}
