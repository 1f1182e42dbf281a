//! The end that trains: which environments get processes of their own, and what those are started with.

use pyo3::exceptions::PyException;
use pyo3::prelude::*;
use skirl::Error;
use skirl::callbacks::HookSet;
use skirl::collect::launch::{LaunchOrder, set_launcher};
use skirl_env::{EnvError, registry};
use skirl_process::{Launch, WorkerCommand};

use crate::callbacks::travelling;
use crate::engine_thread::interruption;
use crate::env::with_python;
use crate::value::map_to_python;

/// Environments written in Python, with one agent, get a process for each environment runner. Callbacks that watch them have
/// to be able to go there.
pub(crate) fn install_launcher() {
    set_launcher(Box::new(|order| {
        // What is wrong with the name is said by whoever makes the environments.
        let spec = registry::spec(&order.spec.env).ok()?;
        let here = !spec.one_shard || spec.is_multi_agent();
        let watch = order.callbacks.wants_any(HookSet::ENVIRONMENT);
        let dispatcher = watch.then(|| with_python(|py| travelling(py, order.callbacks)));
        if here || dispatcher.as_ref().is_some_and(Option::is_none) {
            return None;
        }
        match with_python(|py| has_several_agents(py, order)) {
            Ok(true) => return None,
            Err(error) if !with_python(|py| error.is_instance_of::<PyException>(py)) => {
                return Some(Err(Error::MakeEnv(EnvError::interrupted(error))));
            }
            // Where it cannot be made, whoever makes it in earnest says why.
            Ok(false) | Err(_) => {}
        }
        let launched =
            prepare(order, dispatcher.flatten()).and_then(|launch| skirl_process::launch(&launch, order));
        match launched {
            // Only what it makes has told, and only there.
            Err(Error::EnvRunner { message, .. }) if says_several_agents(&message, order) => None,
            launched => Some(launched),
        }
    }));
}

fn says_several_agents(message: &str, order: LaunchOrder<'_>) -> bool {
    message.contains(&registry::several_agents(&order.spec.env).to_string())
}

/// Environments with several agents are stepped in this process.
fn has_several_agents(py: Python<'_>, order: LaunchOrder<'_>) -> PyResult<bool> {
    let env_config = map_to_python(py, &order.spec.env_config)?;
    let build = py.import("skirl.env._build")?;
    build.call_method1("makes_several_agents", (&order.spec.env, env_config))?.extract()
}

fn prepare(order: LaunchOrder<'_>, dispatcher: Option<Py<PyAny>>) -> Result<Launch, Error> {
    let name = &order.spec.env;
    with_python(|py| launch_of(py, name, dispatcher)).map_err(|error| {
        Error::MakeEnv(EnvError::foreign(
            format!("environment `{name}` could not be sent to the environment runners: {error}"),
            error,
        ))
    })
}

fn launch_of(py: Python<'_>, name: &str, dispatcher: Option<Py<PyAny>>) -> PyResult<Launch> {
    let worker = py.import("skirl._worker")?;
    let constructors: Vec<u8> = worker.call_method1("constructors", (name, dispatcher))?.extract()?;
    let (args, env): (Vec<String>, Vec<(String, String)>) = worker.call_method0("command")?.extract()?;
    let mut args = args.into_iter().map(Into::into);
    let program = args.next().unwrap_or_default();
    let env = env.into_iter().map(|(name, value)| (name.into(), value.into())).collect();
    let command = WorkerCommand { program, args: args.collect(), env };
    Ok(Launch { command, interrupted: interruption(), constructors })
}
