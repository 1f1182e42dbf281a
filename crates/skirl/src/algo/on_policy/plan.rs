//! From a configuration and spaces to a plan.

use super::UpdateRule;
use crate::collect::{AgentSpaces, EnvironmentSpec};
use crate::config::{BatchMode, ConfigOf, Training};
use crate::error::Error;
use crate::plan::memory::bytes_of_rows;
use crate::plan::{BatchPlan, ModulePlan, NetworkOptions, Plan, plan_modules};

/// Resolves every size; errors where the spaces cannot be served.
pub fn plan<R: UpdateRule>(
    config: &ConfigOf<R::Training>,
    environment: EnvironmentSpec,
    agents: Vec<AgentSpaces>,
) -> Result<Plan, Error> {
    let options_of = |module: &str| {
        let own = config.for_policy(module)?;
        Ok(NetworkOptions { critic: own.training.update().value_network, rl_module: own.common.rl_module })
    };
    let (mapping, modules) = plan_modules(&config.common, &agents, &options_of)?;
    let batch = batch(config);
    let optimizer_copies = 3; // gradient and Adam's two moments
    let weights = modules.values().map(|module: &ModulePlan| module.bytes_of_weights(optimizer_copies));
    // With several modules a step may be a row of one of them only: at least the narrowest.
    let rows = modules.values().map(|module| bytes_of_rows(&batch, module)).min().unwrap_or(0);
    let memory = weights.fold(rows, usize::saturating_add);
    Ok(Plan {
        algorithm: R::Training::ALGORITHM,
        tuned: crate::plan::tuned_config(R::Training::ALGORITHM, &environment.env),
        num_threads: config.common.resources.num_threads,
        seed: config.common.debugging.seed,
        stages: R::STAGES.iter().map(|&line| line.to_owned()).collect(),
        environment,
        agents,
        mapping,
        modules,
        batch,
        memory,
    })
}

fn batch<T: Training>(config: &ConfigOf<T>) -> BatchPlan {
    let (runners, training) = (&config.common.env_runners, config.training.update());
    let (num_envs, fragment_length) =
        (runners.total_envs(), runners.fragment_length(training.train_batch_size));
    let whole_episodes = runners.batch_mode == BatchMode::CompleteEpisodes;
    let rows =
        if whole_episodes { training.train_batch_size } else { num_envs.saturating_mul(fragment_length) };
    BatchPlan {
        num_envs,
        fragment_length,
        rows,
        whole_episodes,
        train_batch_size: training.train_batch_size,
        minibatch_size: training.minibatch_size.unwrap_or(rows),
        num_epochs: training.num_epochs,
        is_copied: training.shuffle || training.num_epochs != 1,
    }
}
