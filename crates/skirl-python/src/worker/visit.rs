//! The user's function for an environment in another process: it goes there, and plain values come back.

use pyo3::prelude::*;
use skirl_env::LiveEnv;
use skirl_process::shard::RemoteRange;

use crate::env::with_python;
use crate::errors::EnvError;
use crate::value::to_python;

/// Calls `function(env)` where the environment lives, if that is another process. `pickled` keeps the function's bytes for the
/// next environment.
pub(crate) fn visit_elsewhere(
    env: &mut LiveEnv<'_>,
    function: &Py<PyAny>,
    pickled: &mut Option<Vec<u8>>,
) -> Option<PyResult<Py<PyAny>>> {
    let (envs, index) = env.vector()?;
    let range = (envs as &mut dyn std::any::Any).downcast_mut::<RemoteRange>()?;
    Some(with_python(|py| {
        if pickled.is_none() {
            *pickled = Some(py.import("skirl._worker")?.call_method1("pickled", (function,))?.extract()?);
        }
        let bytes = pickled.clone().unwrap_or_default();
        let called = py.detach(|| range.call(index, &bytes));
        let value = called.map_err(|message| {
            EnvError::new_err(format!(
                "environment {} of an environment runner: {message}",
                range.env_index(index)
            ))
        })?;
        Ok(to_python(py, &value)?.unbind())
    }))
}
