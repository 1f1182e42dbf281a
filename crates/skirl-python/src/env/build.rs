//! Names of Python environments, and making environments from them.

use pyo3::prelude::*;
use skirl_env::registry::{Resolved, set_resolver, spec};
use skirl_env::{EnvContext, EnvError, EnvSpec, VectorEnv};

use super::batched::BatchedEnv;
use super::border::with_python;
use super::fault::describe;
use super::vector_env::PythonVectorEnv;
use crate::value::map_to_python;

/// The engine asks `skirl.env.registry` for every name that it does not know.
pub(crate) fn install_resolver() {
    set_resolver(|name| {
        with_python(|py| {
            lookup(py, name).map_err(|error| {
                EnvError::foreign(
                    format!("looking for environment `{name}` failed: {}", describe(py, &error)),
                    error,
                )
            })
        })
    });
}

fn lookup(py: Python<'_>, name: &str) -> PyResult<Resolved> {
    let answer = py.import("skirl.env.registry")?.call_method1("lookup", (name,))?;
    match answer.extract()? {
        (true, _) => Ok(Resolved::Spec(Box::new(python_spec(name.to_owned())))),
        (false, names) => Ok(Resolved::Unknown(names)),
    }
}

fn python_spec(name: String) -> EnvSpec {
    EnvSpec::vector(move |context, num_envs, limit| {
        with_python(|py| {
            build(py, &name, context, num_envs, limit).map_err(|error| {
                EnvError::foreign(
                    format!("environment `{name}` could not be made: {}", describe(py, &error)),
                    error,
                )
            })
        })
    })
    .description("An environment written in Python.")
    .one_shard()
}

fn build(
    py: Python<'_>,
    name: &str,
    context: &EnvContext,
    num_envs: usize,
    limit: Option<u32>,
) -> PyResult<Box<dyn VectorEnv>> {
    let config = map_to_python(py, &context.env_config)?;
    let made = py.import("skirl.env._build")?.call_method1("build", (name, config, num_envs))?;
    let (batched, envs): (bool, Vec<Bound<'_, PyAny>>) = made.extract()?;
    match (batched, envs.as_slice()) {
        (true, [env]) => Ok(Box::new(BatchedEnv::new(env, num_envs, limit)?)),
        _ => Ok(Box::new(PythonVectorEnv::new(&envs, limit)?)),
    }
}

/// Keys of `env_config` and time limit of an environment of the engine itself; `None` where there is none of that name.
#[pyfunction]
pub(crate) fn native_env(name: &str) -> Option<(Vec<String>, Option<u32>)> {
    if !skirl_env::names(true).iter().any(|known| known == name) {
        return None;
    }
    let spec = spec(name).ok()?;
    Some((spec.config_keys.unwrap_or_default(), spec.max_episode_steps))
}
