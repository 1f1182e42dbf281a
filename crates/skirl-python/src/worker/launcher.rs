//! The end that trains: which environments get processes of their own, and what those are started with.

use pyo3::prelude::*;
use skirl::Error;
use skirl::collect::launch::{LaunchOrder, set_launcher};
use skirl_env::{EnvError, registry};
use skirl_process::{Launch, WorkerCommand};

use crate::env::with_python;
use crate::value::map_to_python;

/// Environments written in Python, with one agent, get a process for each environment runner.
pub(crate) fn install_launcher() {
    set_launcher(Box::new(|order| {
        // What is wrong with the name is said by whoever makes the environments.
        let spec = registry::spec(&order.spec.env).ok()?;
        if !spec.one_shard || stays(order) {
            return None;
        }
        // Where it cannot be made, whoever makes it in earnest says why.
        if with_python(|py| has_several_agents(py, order)).unwrap_or(false) {
            return None;
        }
        Some(prepare(order).and_then(|launch| skirl_process::launch(&launch, order)))
    }));
}

/// Callbacks that see episodes have to be where the environments are.
fn stays(order: LaunchOrder<'_>) -> bool {
    order.episode_hooks
}

/// Environments with several agents are stepped in this process.
fn has_several_agents(py: Python<'_>, order: LaunchOrder<'_>) -> PyResult<bool> {
    let env_config = map_to_python(py, &order.spec.env_config)?;
    let build = py.import("skirl.env._build")?;
    build.call_method1("makes_several_agents", (&order.spec.env, env_config))?.extract()
}

fn prepare(order: LaunchOrder<'_>) -> Result<Launch, Error> {
    let name = &order.spec.env;
    with_python(|py| launch_of(py, name)).map_err(|error| {
        Error::MakeEnv(EnvError::foreign(
            format!("environment `{name}` could not be sent to the environment runners: {error}"),
            error,
        ))
    })
}

fn launch_of(py: Python<'_>, name: &str) -> PyResult<Launch> {
    let worker = py.import("skirl._worker")?;
    let constructors: Vec<u8> = worker.call_method1("constructors", (name,))?.extract()?;
    let (args, env): (Vec<String>, Vec<(String, String)>) = worker.call_method0("command")?.extract()?;
    let mut args = args.into_iter().map(Into::into);
    let program = args.next().unwrap_or_default();
    let env = env.into_iter().map(|(name, value)| (name.into(), value.into())).collect();
    Ok(Launch { command: WorkerCommand { program, args: args.collect(), env }, constructors })
}
