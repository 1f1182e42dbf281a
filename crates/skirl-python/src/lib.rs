//! `skirl._native`: the engine as Python sees it. No algorithms here: conversions, the bridge to Python environments, and
//! errors as exceptions. The package around it is in `python/skirl`.

use pyo3::prelude::*;

mod algorithm;
mod arrays;
mod call;
mod callbacks;
mod config;
mod env;
mod errors;
mod evaluation;
mod foreach_env;
mod lent;
mod module;
mod parts;
mod space;
mod value;

/// The native half of the package `skirl`.
#[pymodule]
mod _native {
    #[pymodule_export]
    use crate::algorithm::NativeAlgorithm;
    #[pymodule_export]
    use crate::callbacks::{EpisodeClass, NativeEnv, hooks};
    #[pymodule_export]
    use crate::config::{NativeConfig, algorithms, json_schema, options};
    #[pymodule_export]
    use crate::env::native_env;
    #[pymodule_export]
    use crate::evaluation::register_evaluation_function;
    #[pymodule_export]
    use crate::module::NativeModule;
    #[pymodule_export]
    use crate::parts::{NativeEnvRunner, discounted_returns, gae, vtrace};

    #[pymodule_export]
    #[allow(non_upper_case_globals)]
    const __version__: &str = env!("CARGO_PKG_VERSION");

    #[pymodule_init]
    #[allow(clippy::unnecessary_wraps)]
    fn init(_module: &pyo3::Bound<'_, pyo3::types::PyModule>) -> pyo3::PyResult<()> {
        crate::env::install_resolver();
        Ok(())
    }
}
