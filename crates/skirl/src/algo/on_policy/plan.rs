//! From a configuration and spaces to a plan.

use super::UpdateRule;
use crate::collect::{AgentSpaces, EnvironmentSpec};
use crate::config::{BatchMode, ConfigOf, Training};
use crate::error::Error;
use crate::plan::memory::rows_of;
use crate::plan::{BatchPlan, ModulePlan, NetworkOptions, Plan, plan_modules};

/// Resolves every size; errors where the spaces cannot be served.
pub fn plan<R: UpdateRule>(
    config: &ConfigOf<R::Training>,
    environment: EnvironmentSpec,
    agents: Vec<AgentSpaces>,
) -> Result<Plan, Error> {
    agents.iter().try_for_each(|agent| not_empty(&environment.env, agent))?;
    let options_of = |module: &str| {
        let own = config.for_policy(module)?;
        Ok(NetworkOptions { critic: own.training.update().value_network, rl_module: own.common.rl_module })
    };
    let (mapping, modules) = plan_modules(&config.common, &agents, &options_of)?;
    let batch = batch(config);
    let optimizer_copies = 3; // gradient and Adam's two moments
    let weights = modules.values().map(|module: &ModulePlan| module.bytes_of_weights(optimizer_copies));
    let memory = weights.fold(rows_of(&batch, &modules), usize::saturating_add);
    Ok(Plan {
        algorithm: R::Training::ALGORITHM,
        tuned: crate::plan::tuned_config(R::Training::ALGORITHM, &environment.env),
        num_threads: config.common.resources.threads_beside(0),
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

/// A network has an input and an output.
fn not_empty(env: &str, agent: &AgentSpaces) -> Result<(), Error> {
    let empty = [("observation", &agent.observation), ("action", &agent.action)];
    let Some((name, space)) =
        empty.into_iter().find(|(_, space)| space.leaves().iter().all(|leaf| leaf.size() == 0))
    else {
        return Ok(());
    };
    Err(Error::Misfit {
        what: format!("the {name} space of environment {env}, agent '{}'", agent.agent),
        expected: "at least one number".to_owned(),
        found: space.to_string(),
        remedy: "Give the space a shape without 0; an environment that shows nothing can show a constant"
            .to_owned(),
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
