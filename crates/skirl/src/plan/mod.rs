//! The plan: what will run, with every size computed. Frozen, and printable before the first step.
//!
//! Flows in: a configuration and the spaces of environment 0. Flows out: [`Plan`], from which the parts are built.

mod batch;
mod explain;
mod init;
pub(crate) mod memory;
mod modules;
mod tuned;

pub use batch::BatchPlan;
pub use modules::{ModulePlan, NetworkOptions, build_optimizer, build_policy, distribution_for};
pub use tuned::{tuned_config, tuned_configs};

use std::collections::BTreeMap;

use skirl_env::SharedState;

use crate::collect::{AgentSpaces, EnvironmentSpec, Environments};
use crate::config::{AlgorithmConfig, CommonConfig};
use crate::contract::ModuleId;
use crate::error::Error;

/// Agent id and module id, in the order of the environment's agents.
pub type Mapping = Vec<(String, ModuleId)>;

/// Everything that is known before the first step.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Algorithm.
    pub algorithm: &'static str,
    /// Environments.
    pub environment: EnvironmentSpec,
    /// Threads.
    pub num_threads: usize,
    /// Seed of the run, if it is chosen already.
    pub seed: Option<u64>,
    /// Spaces of each agent.
    pub agents: Vec<AgentSpaces>,
    /// Module of each agent, in the order of `agents`.
    pub mapping: Mapping,
    /// Networks.
    pub modules: BTreeMap<ModuleId, ModulePlan>,
    /// Batch arithmetic.
    pub batch: BatchPlan,
    /// Stages, one line each.
    pub stages: Vec<String>,
    /// Least bytes of weights, optimizer state and the rows of one iteration.
    pub memory: usize,
    /// A tuned configuration that ships for this environment, when another one was chosen.
    pub tuned: Option<String>,
}

/// The environments of a configuration.
pub fn environment_spec(common: &CommonConfig) -> Result<EnvironmentSpec, Error> {
    let env = common.environment.env.clone().ok_or_else(|| Error::Misfit {
        what: "environment.env".to_owned(),
        expected: "the name of an environment".to_owned(),
        found: "nothing".to_owned(),
        remedy: "Set it, for example --env=CartPole-v1; `skirl envs` lists what there is".to_owned(),
    })?;
    Ok(EnvironmentSpec {
        env,
        env_config: common.environment.env_config.clone(),
        num_envs: common.env_runners.total_envs(),
        num_shards: common.resources.threads_beside(0),
        shared: SharedState::new(),
    })
}

/// Builds environment 0's spaces into a plan without keeping the environments: what `skirl explain` shows.
pub fn explain(config: &dyn AlgorithmConfig) -> Result<Plan, Error> {
    config.validate()?;
    let mut spec = environment_spec(config.common())?;
    let num_envs = std::mem::replace(&mut spec.num_envs, 1);
    let first = Environments::make(&spec)?;
    spec.num_envs = num_envs;
    let common = config.common();
    let processes = first.processes_wanted(&spec.env, common.env_runners.num_env_runners)?;
    let mut plan = crate::algo::plan(config, spec, first.spaces())?;
    plan.num_threads = common.resources.threads_beside(processes);
    Ok(plan)
}

/// Modules and the mapping of agents to them, checked against the spaces. `options_of` gives a module's own network options.
pub fn plan_modules(
    common: &CommonConfig,
    agents: &[AgentSpaces],
    options_of: &dyn Fn(&str) -> Result<NetworkOptions, Error>,
) -> Result<(Mapping, BTreeMap<ModuleId, ModulePlan>), Error> {
    let mut mapping = Vec::new();
    let mut modules: BTreeMap<ModuleId, ModulePlan> = BTreeMap::new();
    for agent in agents {
        let id = module_for(common, &agent.agent)?;
        mapping.push((agent.agent.clone(), id.clone()));
        match modules.get(&id) {
            Some(known) => known.check_spaces(&id, agent)?,
            None => {
                let trained = common.multi_agent.is_trained(&id);
                let module = ModulePlan::new(&options_of(&id)?, agent, trained)?;
                modules.insert(id, module);
            }
        }
    }
    Ok((mapping, modules))
}

/// The module that acts for an agent.
pub fn module_for(common: &CommonConfig, agent: &str) -> Result<ModuleId, Error> {
    common.multi_agent.policy_for(agent).map(str::to_owned).ok_or_else(|| Error::Misfit {
        what: format!("the policy of agent '{agent}'"),
        expected: "an entry in multi_agent.policy_mapping".to_owned(),
        found: "none that matches".to_owned(),
        remedy: "Add the agent, a pattern, or '*' to multi_agent.policy_mapping".to_owned(),
    })
}
