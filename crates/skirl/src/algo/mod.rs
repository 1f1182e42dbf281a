//! The algorithms: each a folder with its update rule and its list of stages, over the parts in `on_policy/`. The only place that may use many rooms.

pub mod a2c;
pub mod on_policy;
pub mod pg;
pub mod ppo;

use std::sync::Arc;

use crate::callbacks::CallbackList;
use crate::collect::{AgentSpaces, EnvRunner, EnvironmentSpec, Environments};
use crate::config::{A2cConfig, AlgorithmConfig, PgConfig, PpoConfig};
use crate::contract::LearnerGroup;
use crate::contract::shared::Shared;
use crate::error::Error;
use crate::pipeline::{Task, TimingReader};
use crate::plan::Plan;
use crate::publish::WeightBoard;
use crate::workers::Workers;

/// What an algorithm is built from, beside its configuration.
pub struct BuildFrom<'a> {
    /// Sizes and modules.
    pub plan: &'a Plan,
    /// Environments of training, not yet reset.
    pub environments: Environments,
    /// Threads.
    pub workers: &'a Arc<Workers>,
    /// The user's own code.
    pub callbacks: &'a CallbackList,
    /// Seed of the run.
    pub seed: u64,
}

impl std::fmt::Debug for BuildFrom<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BuildFrom")
            .field("plan", &self.plan)
            .field("seed", &self.seed)
            .finish_non_exhaustive()
    }
}

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
    match Served::of(config)? {
        Served::Ppo(config) => on_policy::plan::<ppo::PpoRule>(config, spec, agents),
        Served::A2c(config) => on_policy::plan::<a2c::A2cRule>(config, spec, agents),
        Served::Pg(config) => on_policy::plan::<pg::PgRule>(config, spec, agents),
    }
}

/// Builds what the plan says.
pub fn build(config: &dyn AlgorithmConfig, from: BuildFrom<'_>) -> Result<Parts, Error> {
    match Served::of(config)? {
        Served::Ppo(config) => ppo::build(config, from),
        Served::A2c(config) => a2c::build(config, from),
        Served::Pg(config) => pg::build(config, from),
    }
}

/// A configuration with its type.
enum Served<'a> {
    Ppo(&'a PpoConfig),
    A2c(&'a A2cConfig),
    Pg(&'a PgConfig),
}

impl<'a> Served<'a> {
    fn of(config: &'a dyn AlgorithmConfig) -> Result<Self, Error> {
        let any = config.as_any();
        let ppo = any.downcast_ref().map(Self::Ppo);
        let served = ppo.or_else(|| any.downcast_ref().map(Self::A2c));
        served.or_else(|| any.downcast_ref().map(Self::Pg)).ok_or_else(|| {
            Error::Internal(format!("no algorithm takes a configuration of {}", config.algorithm()))
        })
    }
}
