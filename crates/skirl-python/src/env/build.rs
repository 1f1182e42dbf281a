//! Names of Python environments, and making environments from them.

use pyo3::prelude::*;
use skirl_env::registry::{Resolved, set_resolver, spec};
use skirl_env::{AnyEnv, EnvContext, EnvError, EnvSpec, MultiAgentEnv};

use super::batched::BatchedEnv;
use super::border::with_python;
use super::fault::{describe, no_exit};
use super::multi_agent::PythonMultiAgentEnv;
use super::vector_env::PythonVectorEnv;
use crate::errors::{EnvError as EnvException, to_py_err};
use crate::shared::NativeSharedState;
use crate::value::{from_python, map_to_python};

/// The engine asks `skirl.env.registry` for every name that it does not know.
pub(crate) fn install_resolver() {
    set_resolver(|name| {
        with_python(|py| {
            lookup(py, name).map_err(|error| {
                let error = no_exit(py, error);
                if error.is_instance_of::<EnvException>(py) {
                    return EnvError::raised(describe(py, &error));
                }
                let message = format!("looking for environment `{name}` failed: {}", describe(py, &error));
                EnvError::foreign(message, error)
            })
        })
    });
}

fn lookup(py: Python<'_>, name: &str) -> PyResult<Resolved> {
    let answer = py.import("skirl.env.registry")?.call_method1("find", (name,))?;
    match answer.extract()? {
        (true, _) => Ok(Resolved::Spec(Box::new(python_spec(name.to_owned())))),
        (false, names) => Ok(Resolved::Unknown(names)),
    }
}

fn python_spec(name: String) -> EnvSpec {
    EnvSpec::any(move |context, num_envs, limit| {
        with_python(|py| {
            build(py, &name, context, num_envs, limit).map_err(|error| {
                let error = no_exit(py, error);
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
) -> PyResult<AnyEnv> {
    let config = map_to_python(py, &context.env_config)?;
    let shared: Vec<NativeSharedState> = (0..num_envs)
        .map(|index| NativeSharedState { shared: context.shared.for_env(context.first_env_index + index) })
        .collect();
    let made = py.import("skirl.env._build")?.call_method1("build", (name, config, num_envs, shared))?;
    let (kind, envs, make): (String, Vec<Bound<'_, PyAny>>, Py<PyAny>) = made.extract()?;
    match (kind.as_str(), envs.as_slice()) {
        ("batch", [env]) => Ok(AnyEnv::Single(Box::new(BatchedEnv::new(env, num_envs, limit)?))),
        ("several agents", envs) => several_agents(py, envs, &make).map(AnyEnv::Multi),
        _ => Ok(AnyEnv::Single(Box::new(PythonVectorEnv::new(&envs, make, limit)?))),
    }
}

fn several_agents(
    py: Python<'_>,
    envs: &[Bound<'_, PyAny>],
    make: &Py<PyAny>,
) -> PyResult<Vec<Box<dyn MultiAgentEnv>>> {
    let one = |(index, env)| -> PyResult<Box<dyn MultiAgentEnv>> {
        Ok(Box::new(PythonMultiAgentEnv::new(env, index, make.clone_ref(py))?))
    };
    envs.iter().enumerate().map(one).collect()
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

/// Names of the agents of an environment of the engine, which is made to ask it.
#[pyfunction]
pub(crate) fn agents(py: Python<'_>, name: &str, env_config: &Bound<'_, PyAny>) -> PyResult<Vec<String>> {
    let env_config = from_python(env_config, "env_config")?.as_object().cloned().unwrap_or_default();
    let made = skirl_env::make_multi(name, 1, &EnvContext::with_config(env_config));
    let made = made.map_err(|error| to_py_err(py, skirl::Error::MakeEnv(error)))?;
    Ok(made.iter().flat_map(|env| env.agents().to_vec()).collect())
}
