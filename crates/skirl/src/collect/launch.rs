//! Who starts processes for environments that need some: the Python package, for environments written in Python.
//!
//! The engine knows no process. A program that can start some says so once, with [`set_launcher`].

use std::sync::OnceLock;

use skirl_env::registry;

use super::environments::{EnvironmentSpec, Environments};
use super::shared_table::RemoteEnvironments;
use crate::callbacks::CallbackList;
use crate::config::AlgorithmConfig;
use crate::error::Error;

/// What a launcher is asked for.
#[derive(Debug, Clone, Copy)]
pub struct LaunchOrder<'a> {
    /// The whole configuration, with its seed.
    pub config: &'a dyn AlgorithmConfig,
    /// The environments.
    pub spec: &'a EnvironmentSpec,
    /// Processes that they are spread over.
    pub num_runners: usize,
    /// They are evaluation's.
    pub in_evaluation: bool,
    /// Callbacks. Those that watch environments or episodes have to be where the environments are.
    pub callbacks: &'a CallbackList,
}

/// Processes for the environments of an order, one for each environment runner; `None` for environments that are stepped in
/// this process.
pub type Launcher = dyn Fn(LaunchOrder<'_>) -> Option<Result<RemoteEnvironments, Error>> + Send + Sync;

static LAUNCHER: OnceLock<Box<Launcher>> = OnceLock::new();

/// Asks `launcher` from now on, for all algorithms of this process. Only the first call counts.
pub fn set_launcher(launcher: Box<Launcher>) {
    LAUNCHER.get_or_init(|| launcher);
}

impl Environments {
    /// Environments in processes of their own, where the order asks for some and somebody can start them, else in this one.
    ///
    /// # Errors
    /// As [`make`](Self::make); a process that cannot be started.
    pub fn launch(order: LaunchOrder<'_>) -> Result<Self, Error> {
        let launcher = LAUNCHER.get().filter(|_| order.num_runners > 0);
        match launcher.and_then(|launch| launch(order)) {
            Some(remote) => Self::Remote(remote?).checked(),
            None => Self::make(order.spec),
        }
    }

    /// Processes that environments like these, made here to be looked at, would get in a run of `num_runners` runners, if none
    /// of its callbacks has to be where they are.
    ///
    /// # Errors
    /// An unknown name.
    pub(crate) fn processes_wanted(&self, env: &str, num_runners: usize) -> Result<usize, Error> {
        let apart = LAUNCHER.get().is_some() && registry::spec(env)?.one_shard && !self.is_multi_agent();
        Ok(if apart { num_runners } else { 0 })
    }
}
