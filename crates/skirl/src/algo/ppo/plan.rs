//! From a PPO configuration and spaces to a plan.

use super::pipeline::STAGES;
use crate::collect::{AgentSpaces, EnvironmentSpec};
use crate::config::PpoConfig;
use crate::error::Error;
use crate::plan::{BatchPlan, ModulePlan, Plan, plan_modules};

/// Resolves every size; errors where the spaces cannot be served.
pub fn plan(
    config: &PpoConfig,
    environment: EnvironmentSpec,
    agents: Vec<AgentSpaces>,
) -> Result<Plan, Error> {
    let options_of =
        |module: &str| config.for_policy(module).map(|own| own.common.rl_module).map_err(Error::from);
    let (mapping, modules) = plan_modules(&config.common, &agents, &options_of)?;
    let batch = batch(config);
    let optimizer_copies = 3; // gradient and Adam's two moments
    let memory =
        modules.values().map(|module: &ModulePlan| module.memory(batch.rows, optimizer_copies)).sum();
    Ok(Plan {
        algorithm: "PPO",
        tuned: crate::plan::tuned_config("ppo", &environment.env),
        num_threads: config.common.resources.num_threads,
        seed: config.common.debugging.seed,
        stages: STAGES.iter().map(|&line| line.to_owned()).collect(),
        environment,
        agents,
        mapping,
        modules,
        batch,
        memory,
    })
}

fn batch(config: &PpoConfig) -> BatchPlan {
    let num_envs = config.common.env_runners.total_envs();
    let fragment_length = config.common.env_runners.fragment_length(config.training.train_batch_size);
    BatchPlan {
        num_envs,
        fragment_length,
        rows: num_envs * fragment_length,
        train_batch_size: config.training.train_batch_size,
        minibatch_size: config.training.minibatch_size,
        num_epochs: config.training.num_epochs,
    }
}
