//! Environments by name.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, PoisonError, RwLock};

use serde_json::{Map, Value};

use crate::builtin::builtin_envs;
use crate::env::Env;
use crate::error::EnvError;
use crate::multi_agent::{MultiAgentEnv, SingleAsMulti};
use crate::shared_state::SharedState;
use crate::space::Space;
use crate::vector::{VectorEnv, Vectorized};
use crate::vector_of_one::VectorOfOne;
use crate::wrappers::{MultiTimeLimit, OrderEnforcing, TimeLimit};

/// What a constructor of environments is told.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct EnvContext {
    /// The user's `env_config`: keyword arguments of the environment, and `max_episode_steps`.
    pub env_config: Map<String, Value>,
    /// How many environments are built together.
    pub num_envs: usize,
    /// Index of the first of them among all environments of the run.
    pub first_env_index: usize,
    /// State that all environments of the run share, with the user's loop: see [`crate::shared_state`]. Environments that
    /// are built together to step as one need [`SharedState::for_env`] for each.
    pub shared: SharedState,
}

impl EnvContext {
    /// One environment without configuration.
    pub fn single() -> EnvContext {
        EnvContext { num_envs: 1, ..EnvContext::default() }
    }

    /// One environment with this configuration.
    pub fn with_config(env_config: Map<String, Value>) -> EnvContext {
        EnvContext { env_config, ..EnvContext::single() }
    }
}

/// Environments in the form that fits them.
#[derive(Debug)]
pub enum AnyEnv {
    /// One agent each.
    Single(Box<dyn VectorEnv>),
    /// Several agents each.
    Multi(Vec<Box<dyn MultiAgentEnv>>),
}

type SingleConstructor = Arc<dyn Fn(&EnvContext) -> Result<Box<dyn Env>, EnvError> + Send + Sync>;
type VectorConstructor =
    Arc<dyn Fn(&EnvContext, usize, Option<u32>) -> Result<Box<dyn VectorEnv>, EnvError> + Send + Sync>;
type MultiConstructor = Arc<dyn Fn(&EnvContext) -> Result<Box<dyn MultiAgentEnv>, EnvError> + Send + Sync>;
type AnyConstructor = Arc<dyn Fn(&EnvContext, usize, Option<u32>) -> Result<AnyEnv, EnvError> + Send + Sync>;

#[derive(Clone)]
enum Constructor {
    Single {
        one: SingleConstructor,
        many: Option<VectorConstructor>,
    },
    Multi(MultiConstructor),
    /// Only what it makes tells whether there are several agents.
    Any(AnyConstructor),
}

/// Everything the registry knows about an environment.
#[derive(Clone)]
pub struct EnvSpec {
    /// One sentence.
    pub description: String,
    /// Steps after which an episode is truncated.
    pub max_episode_steps: Option<u32>,
    /// Mean return at which the environment counts as solved.
    pub reward_threshold: Option<f64>,
    /// Keys that `env_config` may hold; `None`: the constructor looks at them itself.
    pub config_keys: Option<Vec<String>>,
    /// Left out of listings unless asked for (probes).
    pub hidden: bool,
    /// All environments of a run step together on one thread: several threads would wait for each other.
    pub one_shard: bool,
    constructor: Constructor,
}

impl std::fmt::Debug for EnvSpec {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("EnvSpec").field("description", &self.description).finish_non_exhaustive()
    }
}

impl EnvSpec {
    /// A single-agent environment.
    pub fn single<E: Env + 'static>(
        build: impl Fn(&EnvContext) -> Result<E, EnvError> + Send + Sync + 'static,
    ) -> EnvSpec {
        let one: SingleConstructor = Arc::new(move |context| Ok(Box::new(build(context)?)));
        EnvSpec::new(Constructor::Single { one, many: None })
    }

    /// A multi-agent environment.
    pub fn multi<E: MultiAgentEnv + 'static>(
        build: impl Fn(&EnvContext) -> Result<E, EnvError> + Send + Sync + 'static,
    ) -> EnvSpec {
        EnvSpec::new(Constructor::Multi(Arc::new(move |context| Ok(Box::new(build(context)?)))))
    }

    fn new(constructor: Constructor) -> EnvSpec {
        EnvSpec {
            description: String::new(),
            max_episode_steps: None,
            reward_threshold: None,
            config_keys: None,
            hidden: false,
            one_shard: false,
            constructor,
        }
    }

    /// Single-agent environments that are made many at a time: `build(context, num_envs, max_episode_steps)`.
    pub fn vector(
        build: impl Fn(&EnvContext, usize, Option<u32>) -> Result<Box<dyn VectorEnv>, EnvError>
        + Send
        + Sync
        + 'static,
    ) -> EnvSpec {
        let many: VectorConstructor = Arc::new(build);
        let same = Arc::clone(&many);
        // The time limit is the caller's: it wraps what it gets.
        let one: SingleConstructor =
            Arc::new(move |context| Ok(Box::new(VectorOfOne::new(same(context, 1, None)?))));
        EnvSpec::new(Constructor::Single { one, many: Some(many) })
    }

    /// Environments of which only the constructor knows whether they have one agent or several: `build(context, num_envs,
    /// max_episode_steps)`. It applies the time limit to environments with one agent; to the others it is applied here.
    pub fn any(
        build: impl Fn(&EnvContext, usize, Option<u32>) -> Result<AnyEnv, EnvError> + Send + Sync + 'static,
    ) -> EnvSpec {
        EnvSpec::new(Constructor::Any(Arc::new(build)))
    }

    /// Adds a faster form of many environments: `build(context, num_envs, max_episode_steps)`.
    pub fn with_vector<V: VectorEnv + 'static>(
        mut self,
        build: impl Fn(&EnvContext, usize, Option<u32>) -> Result<V, EnvError> + Send + Sync + 'static,
    ) -> EnvSpec {
        if let Constructor::Single { many, .. } = &mut self.constructor {
            *many = Some(Arc::new(move |context, num_envs, limit| {
                Ok(Box::new(build(context, num_envs, limit)?))
            }));
        }
        self
    }

    /// One sentence on what it is.
    pub fn description(mut self, description: &str) -> EnvSpec {
        description.clone_into(&mut self.description);
        self
    }

    /// Truncates episodes after so many steps.
    pub fn max_episode_steps(mut self, steps: u32) -> EnvSpec {
        self.max_episode_steps = Some(steps);
        self
    }

    /// Mean return at which the environment counts as solved.
    pub fn reward_threshold(mut self, threshold: f64) -> EnvSpec {
        self.reward_threshold = Some(threshold);
        self
    }

    /// The keys that `env_config` may hold; others become errors with suggestions.
    pub fn config_keys(mut self, keys: &[&str]) -> EnvSpec {
        self.config_keys = Some(keys.iter().map(|&key| key.to_owned()).collect());
        self
    }

    /// Leaves it out of listings.
    pub fn hidden(mut self) -> EnvSpec {
        self.hidden = true;
        self
    }

    /// Has one thread step all environments of a run.
    pub fn one_shard(mut self) -> EnvSpec {
        self.one_shard = true;
        self
    }

    /// Whether it is known to have several agents before it is made; [`EnvSpec::any`] is not.
    pub fn is_multi_agent(&self) -> bool {
        matches!(self.constructor, Constructor::Multi(_))
    }
}

/// An environment in a listing.
#[derive(Debug, Clone, PartialEq)]
pub struct EnvInfo {
    /// Its name.
    pub name: String,
    /// One sentence.
    pub description: String,
    /// Agents with their observation and action spaces; one agent, `default_agent`, for single-agent environments.
    pub agents: Vec<(String, Space, Space)>,
    /// Whether it is a multi-agent environment.
    pub multi_agent: bool,
    /// Steps after which an episode is truncated.
    pub max_episode_steps: Option<u32>,
    /// Mean return at which the environment counts as solved.
    pub reward_threshold: Option<f64>,
}

static REGISTRY: RwLock<Option<BTreeMap<String, EnvSpec>>> = RwLock::new(None);

fn with_registry<T>(use_it: impl FnOnce(&mut BTreeMap<String, EnvSpec>) -> T) -> T {
    // A panic elsewhere cannot leave the map half changed: every change is one insertion.
    let mut registry = REGISTRY.write().unwrap_or_else(PoisonError::into_inner);
    use_it(registry.get_or_insert_with(builtin_envs))
}

/// Registers an environment, replacing one of the same name.
pub fn register(name: &str, spec: EnvSpec) -> Result<(), EnvError> {
    let problem = if name.is_empty() {
        "it is empty"
    } else if name.chars().any(|c| c.is_whitespace() || c.is_control()) {
        "it holds white space"
    } else {
        with_registry(|registry| registry.insert(name.to_owned(), spec));
        return Ok(());
    };
    Err(EnvError::BadName { name: name.to_owned(), problem: problem.to_owned() })
}

/// Registers a single-agent environment: `register_env("Corridor-v0", || Corridor::default())`.
pub fn register_env<E: Env + 'static>(
    name: &str,
    build: impl Fn() -> E + Send + Sync + 'static,
) -> Result<(), EnvError> {
    register(name, EnvSpec::single(move |_| Ok(build())).config_keys(&[]))
}

/// Registers a single-agent environment that reads its `env_config`.
pub fn register_env_with<E: Env + 'static>(
    name: &str,
    build: impl Fn(&EnvContext) -> Result<E, EnvError> + Send + Sync + 'static,
) -> Result<(), EnvError> {
    register(name, EnvSpec::single(build))
}

/// Registers a multi-agent environment.
pub fn register_multi_agent_env<E: MultiAgentEnv + 'static>(
    name: &str,
    build: impl Fn(&EnvContext) -> Result<E, EnvError> + Send + Sync + 'static,
) -> Result<(), EnvError> {
    register(name, EnvSpec::multi(build))
}

/// What a [resolver](set_resolver) says of a name.
#[derive(Debug)]
pub enum Resolved {
    /// The environment of that name.
    Spec(Box<EnvSpec>),
    /// It has none of that name, but these: some may be similar.
    Unknown(Vec<String>),
}

type Resolver = Arc<dyn Fn(&str) -> Result<Resolved, EnvError> + Send + Sync>;

static RESOLVER: RwLock<Option<Resolver>> = RwLock::new(None);

/// Asks `resolve` for every name that is not registered. One resolver at a time: a second one takes the place of the first.
///
/// This is how environments of another language come in: they need not be registered one by one.
pub fn set_resolver(resolve: impl Fn(&str) -> Result<Resolved, EnvError> + Send + Sync + 'static) {
    *RESOLVER.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(resolve));
}

/// What is registered under `name`, or found by the resolver; unknown names get suggestions.
pub fn spec(name: &str) -> Result<EnvSpec, EnvError> {
    if let Some(spec) = with_registry(|registry| registry.get(name).cloned()) {
        return Ok(spec);
    }
    // No lock is held while foreign code runs: it may register environments itself.
    let resolver = RESOLVER.read().unwrap_or_else(PoisonError::into_inner).clone();
    let others = match resolver.map(|resolve| resolve(name)).transpose()? {
        Some(Resolved::Spec(spec)) => return Ok(*spec),
        Some(Resolved::Unknown(names)) => names,
        None => Vec::new(),
    };
    let known: BTreeSet<String> = names(true).into_iter().chain(others).collect();
    let suggestions = crate::suggest::similar_env_names(name, known.iter().map(String::as_str));
    Err(EnvError::UnknownEnv { name: name.to_owned(), suggestions })
}

/// All registered names, sorted; hidden ones (probes) only if asked for.
pub fn names(with_hidden: bool) -> Vec<String> {
    with_registry(|registry| {
        registry
            .iter()
            .filter(|(_, spec)| with_hidden || !spec.hidden)
            .map(|(name, _)| name.clone())
            .collect()
    })
}

/// Name, spaces and limits of an environment (built once to learn its spaces).
pub fn info(name: &str) -> Result<EnvInfo, EnvError> {
    let spec = spec(name)?;
    let (multi_agent, env) = make_one_of_any(name, &spec, &EnvContext::single())?;
    let agents = env.agents().iter().enumerate();
    Ok(EnvInfo {
        name: name.to_owned(),
        agents: agents
            .map(|(agent, name)| {
                (name.clone(), env.observation_space(agent).clone(), env.action_space(agent).clone())
            })
            .collect(),
        multi_agent,
        description: spec.description,
        max_episode_steps: spec.max_episode_steps,
        reward_threshold: spec.reward_threshold,
    })
}

/// One single-agent environment with its time limit: `make("CartPole-v1")`.
pub fn make(name: &str) -> Result<Box<dyn Env>, EnvError> {
    make_with(name, &EnvContext::single())
}

/// One single-agent environment with its time limit and configuration.
pub fn make_with(name: &str, context: &EnvContext) -> Result<Box<dyn Env>, EnvError> {
    let spec = spec(name)?;
    let limit = crate::env_config::check(name, &spec, context)?;
    let env: Box<dyn Env> = match &spec.constructor {
        Constructor::Single { one, .. } => one(context)?,
        Constructor::Any(any) => Box::new(VectorOfOne::new(single(name, any(context, 1, None)?)?)),
        Constructor::Multi(_) => return Err(several_agents(name)),
    };
    Ok(match limit {
        Some(limit) => Box::new(OrderEnforcing::new(TimeLimit::new(env, limit))),
        None => Box::new(OrderEnforcing::new(env)),
    })
}

/// `num_envs` single-agent environments that step together, with their time limit.
pub fn make_vec(name: &str, num_envs: usize, context: &EnvContext) -> Result<Box<dyn VectorEnv>, EnvError> {
    let spec = spec(name)?;
    let limit = crate::env_config::check(name, &spec, context)?;
    let one = match &spec.constructor {
        Constructor::Single { many: Some(many), .. } => return many(context, num_envs, limit),
        Constructor::Single { one, .. } => one,
        Constructor::Any(any) => return single(name, any(context, num_envs, limit)?),
        Constructor::Multi(_) => return Err(several_agents(name)),
    };
    let envs: Result<Vec<_>, _> = contexts(context, num_envs).map(|context| one(&context)).collect();
    Ok(Box::new(Vectorized::with_time_limit(envs?, limit)?))
}

fn single(name: &str, made: AnyEnv) -> Result<Box<dyn VectorEnv>, EnvError> {
    match made {
        AnyEnv::Single(envs) => Ok(envs),
        AnyEnv::Multi(_) => Err(several_agents(name)),
    }
}

/// `num_envs` multi-agent environments; a single-agent environment becomes one with one agent.
pub fn make_multi(
    name: &str,
    num_envs: usize,
    context: &EnvContext,
) -> Result<Vec<Box<dyn MultiAgentEnv>>, EnvError> {
    let spec = spec(name)?;
    contexts(context, num_envs)
        .map(|context| make_one_of_any(name, &spec, &context).map(|(_, env)| env))
        .collect()
}

/// `num_envs` environments in the form that fits them.
pub fn make_any(name: &str, num_envs: usize, context: &EnvContext) -> Result<AnyEnv, EnvError> {
    let spec = spec(name)?;
    if spec.is_multi_agent() {
        return make_multi(name, num_envs, context).map(AnyEnv::Multi);
    }
    let Constructor::Any(any) = &spec.constructor else {
        return make_vec(name, num_envs, context).map(AnyEnv::Single);
    };
    let limit = crate::env_config::check(name, &spec, context)?;
    Ok(match any(context, num_envs, limit)? {
        AnyEnv::Multi(envs) => AnyEnv::Multi(envs.into_iter().map(|env| limited(env, limit)).collect()),
        single @ AnyEnv::Single(_) => single,
    })
}

/// One environment with several agents, or one that acts as such; and whether it has several.
fn make_one_of_any(
    name: &str,
    spec: &EnvSpec,
    context: &EnvContext,
) -> Result<(bool, Box<dyn MultiAgentEnv>), EnvError> {
    let limit = crate::env_config::check(name, spec, context)?;
    let env: Box<dyn Env> = match &spec.constructor {
        Constructor::Multi(build) => return Ok((true, limited(build(context)?, limit))),
        Constructor::Single { .. } => make_with(name, context)?,
        Constructor::Any(any) => match any(context, 1, limit)? {
            AnyEnv::Single(envs) => Box::new(OrderEnforcing::new(VectorOfOne::new(envs))),
            AnyEnv::Multi(mut envs) => match envs.pop() {
                Some(env) => return Ok((true, limited(env, limit))),
                None => return Err(EnvError::raised(format!("no environment `{name}` was made"))),
            },
        },
    };
    Ok((false, Box::new(SingleAsMulti::new(env))))
}

fn limited(env: Box<dyn MultiAgentEnv>, limit: Option<u32>) -> Box<dyn MultiAgentEnv> {
    match limit {
        Some(limit) => Box::new(MultiTimeLimit::new(env, limit)),
        None => env,
    }
}

fn contexts(context: &EnvContext, num_envs: usize) -> impl Iterator<Item = EnvContext> + '_ {
    (0..num_envs).map(|index| EnvContext {
        num_envs: 1,
        first_env_index: context.first_env_index + index,
        shared: context.shared.for_env(context.first_env_index + index),
        ..context.clone()
    })
}

/// The error where an environment with several agents is asked for as one with one agent.
#[must_use]
pub fn several_agents(name: &str) -> EnvError {
    EnvError::WrongKind {
        name: name.to_owned(),
        found: "a multi-agent environment",
        expected: "a single-agent environment",
    }
}
