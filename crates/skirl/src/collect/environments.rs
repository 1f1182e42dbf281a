//! Making the environments of a run: environment 0 tells the spaces and is kept, so there is never one copy too many.

use serde_json::{Map, Value};
use skirl_env::registry::{self, AnyEnv, EnvContext};
use skirl_env::{EnvError, MultiAgentEnv, SharedState, Space, VectorEnv};

use super::shared_table::RemoteEnvironments;
use crate::contract::DEFAULT_AGENT_ID;
use crate::error::Error;

/// Which environments, and how many.
#[derive(Debug, Clone, PartialEq)]
pub struct EnvironmentSpec {
    /// Registered name.
    pub env: String,
    /// Arguments of its constructor.
    pub env_config: Map<String, Value>,
    /// Environments in all.
    pub num_envs: usize,
    /// Ranges that may be stepped at the same time.
    pub num_shards: usize,
    /// What they share.
    pub shared: SharedState,
}

/// Environments that are built, not yet reset.
pub enum Environments {
    /// One agent decides at every step; contiguous ranges with the index of their first environment.
    Single(Vec<(usize, Box<dyn VectorEnv>)>),
    /// As `Single`, in processes of their own.
    Remote(RemoteEnvironments),
    /// Any number of agents.
    Multi(Vec<Box<dyn MultiAgentEnv>>),
}

/// Spaces of one agent.
#[derive(Debug, Clone, PartialEq)]
pub struct AgentSpaces {
    /// Agent id; `default_agent` in single-agent environments.
    pub agent: String,
    /// What it sees.
    pub observation: Space,
    /// What it can do.
    pub action: Space,
}

impl Environments {
    /// Builds all environments of `spec`.
    ///
    /// # Errors
    /// An unknown name, wrong arguments, spaces that are no spaces, environments with different spaces.
    pub fn make(spec: &EnvironmentSpec) -> Result<Self, Error> {
        Self::build(spec)?.checked()
    }

    pub(super) fn checked(self) -> Result<Self, Error> {
        self.check_spaces()?;
        Ok(self)
    }

    fn build(spec: &EnvironmentSpec) -> Result<Self, Error> {
        let num_shards = if registry::spec(&spec.env)?.one_shard { 1 } else { spec.num_shards };
        let shards = num_shards.clamp(1, spec.num_envs.max(1));
        let mut single = Vec::new();
        for shard in 0..shards {
            let bound = |index: usize| index * spec.num_envs / shards;
            let (first, end) = (bound(shard), bound(shard + 1));
            let context = EnvContext {
                env_config: spec.env_config.clone(),
                num_envs: end - first,
                first_env_index: first,
                shared: spec.shared.for_env(first),
            };
            match registry::make_any(&spec.env, end - first, &context)? {
                AnyEnv::Single(env) => single.push((first, env)),
                AnyEnv::Multi(envs) if shards == 1 => return Ok(Self::Multi(envs)),
                AnyEnv::Multi(_) => return Self::make_multi(spec),
            }
        }
        Ok(Self::Single(single))
    }

    fn make_multi(spec: &EnvironmentSpec) -> Result<Self, Error> {
        let context = EnvContext {
            env_config: spec.env_config.clone(),
            num_envs: spec.num_envs,
            first_env_index: 0,
            shared: spec.shared.clone(),
        };
        match registry::make_any(&spec.env, spec.num_envs, &context)? {
            AnyEnv::Multi(envs) => Ok(Self::Multi(envs)),
            AnyEnv::Single(env) => Ok(Self::Single(vec![(0, env)])),
        }
    }

    /// What the first environment says of its spaces must be sound, and hold for all of them.
    fn check_spaces(&self) -> Result<(), Error> {
        let first = self.spaces();
        for agent in &first {
            agent.observation.validate().map_err(EnvError::from)?;
            agent.action.validate().map_err(EnvError::from)?;
        }
        let all: Vec<(usize, Vec<AgentSpaces>)> = match self {
            Self::Single(shards) => {
                shards.iter().map(|(index, env)| (*index, single_spaces(&**env))).collect()
            }
            Self::Remote(remote) => {
                remote.shards.iter().map(|shard| (shard.first_env(), vec![shard.spaces()])).collect()
            }
            Self::Multi(envs) => envs.iter().map(|env| multi_spaces(&**env)).enumerate().collect(),
        };
        match all.into_iter().find(|(_, spaces)| *spaces != first) {
            Some((env, other)) => {
                let (expected, found) = difference(&first, &other);
                Err(Error::OtherSpaces { env, expected, found })
            }
            None => Ok(()),
        }
    }

    /// Spaces of every agent, in the environment's order.
    pub fn spaces(&self) -> Vec<AgentSpaces> {
        match self {
            Self::Single(shards) => shards.first().map_or_else(Vec::new, |(_, env)| single_spaces(&**env)),
            Self::Remote(remote) => remote.shards.first().map_or_else(Vec::new, |shard| vec![shard.spaces()]),
            Self::Multi(envs) => envs.first().map_or_else(Vec::new, |env| multi_spaces(&**env)),
        }
    }

    /// Processes beside this one that step them.
    pub fn num_processes(&self) -> usize {
        match self {
            Self::Remote(remote) => remote.shards.len(),
            Self::Single(_) | Self::Multi(_) => 0,
        }
    }

    /// Whether several agents may act.
    pub fn is_multi_agent(&self) -> bool {
        matches!(self, Self::Multi(_))
    }
}

/// Where two environments differ first, in words: an agent's space, or the agents themselves.
pub(crate) fn difference(left: &[AgentSpaces], right: &[AgentSpaces]) -> (String, String) {
    let ids = |side: &[AgentSpaces]| side.iter().map(|spaces| spaces.agent.clone()).collect::<Vec<_>>();
    if ids(left) != ids(right) {
        return (format!("the agents {}", ids(left).join(", ")), ids(right).join(", "));
    }
    let spaces = |side: &AgentSpaces| [side.observation.clone(), side.action.clone()];
    for (left, right) in left.iter().zip(right) {
        for ((kind, mine), other) in ["observation", "action"].iter().zip(spaces(left)).zip(spaces(right)) {
            if mine != other {
                let (expected, found) = told_apart(&mine, &other);
                return (format!("the {kind} space of {}, {expected}", left.agent), found);
            }
        }
    }
    (String::new(), String::new())
}

/// Two spaces that differ as texts that differ.
pub(crate) fn told_apart(left: &Space, right: &Space) -> (String, String) {
    let short = (left.to_string(), right.to_string());
    if short.0 == short.1 { (format!("{left:#}"), format!("{right:#}")) } else { short }
}

fn single_spaces(env: &dyn VectorEnv) -> Vec<AgentSpaces> {
    vec![AgentSpaces {
        agent: DEFAULT_AGENT_ID.to_owned(),
        observation: env.observation_space().clone(),
        action: env.action_space().clone(),
    }]
}

fn multi_spaces(env: &dyn MultiAgentEnv) -> Vec<AgentSpaces> {
    let spaces = |(index, agent): (usize, &String)| AgentSpaces {
        agent: agent.clone(),
        observation: env.observation_space(index).clone(),
        action: env.action_space(index).clone(),
    };
    env.agents().iter().enumerate().map(spaces).collect()
}

impl std::fmt::Debug for Environments {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Single(shards) => f.debug_struct("Single").field("shards", &shards.len()).finish(),
            Self::Remote(remote) => f.debug_struct("Remote").field("shards", &remote.shards.len()).finish(),
            Self::Multi(envs) => f.debug_struct("Multi").field("envs", &envs.len()).finish(),
        }
    }
}
