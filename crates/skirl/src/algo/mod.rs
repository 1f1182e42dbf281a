//! The algorithms: each a folder with its loss, plan, stages and pipeline. The only place that may use many rooms.

pub mod ppo;

use std::sync::Arc;

use crate::callbacks::CallbackList;
use crate::collect::{AgentSpaces, EnvRunner, EnvironmentSpec, Environments};
use crate::config::{AlgorithmConfig, PpoConfig};
use crate::contract::LearnerGroup;
use crate::contract::shared::Shared;
use crate::error::Error;
use crate::pipeline::{Task, TimingReader};
use crate::plan::Plan;
use crate::publish::WeightBoard;
use crate::workers::Workers;

/// A running algorithm taken apart.
pub struct Parts {
    /// The pipeline with its context.
    pub task: Task,
    /// Collects for training.
    pub runner: Shared<EnvRunner>,
    /// Trains.
    pub learners: Box<dyn LearnerGroup>,
    /// Newest weights.
    pub board: WeightBoard,
    /// Time spent in each stage.
    pub timing: TimingReader,
}

impl std::fmt::Debug for Parts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Parts").field("pipeline", &self.task.pipeline().to_string()).finish_non_exhaustive()
    }
}

/// The plan of a configuration for environments with these spaces.
pub fn plan(
    config: &dyn AlgorithmConfig,
    spec: EnvironmentSpec,
    agents: Vec<AgentSpaces>,
) -> Result<Plan, Error> {
    match config.as_any().downcast_ref::<PpoConfig>() {
        Some(config) => ppo::plan(config, spec, agents),
        None => Err(unknown(config)),
    }
}

/// Builds what the plan says.
pub fn build(
    config: &dyn AlgorithmConfig,
    plan: &Plan,
    environments: Environments,
    workers: &Arc<Workers>,
    callbacks: &CallbackList,
    seed: u64,
) -> Result<Parts, Error> {
    match config.as_any().downcast_ref::<PpoConfig>() {
        Some(config) => ppo::build(config, plan, environments, workers, callbacks, seed),
        None => Err(unknown(config)),
    }
}

fn unknown(config: &dyn AlgorithmConfig) -> Error {
    Error::Internal(format!("no algorithm takes a configuration of {}", config.algorithm()))
}
