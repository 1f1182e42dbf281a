//! Errors of environments, with what was expected, what was found, where, and what to do.

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;

use crate::dtype::DType;
use crate::space::SpaceError;

/// Where an error happened; the parts that are not known yet are `None`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Place {
    /// Index of the environment among those stepped together.
    pub env: Option<usize>,
    /// Step of that environment since it was built, counted from 1.
    pub env_step: Option<u64>,
}

impl fmt::Display for Place {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.env, self.env_step) {
            (Some(env), Some(step)) => write!(formatter, " (environment {env}, env_step {step})"),
            (Some(env), None) => write!(formatter, " (environment {env})"),
            (None, Some(step)) => write!(formatter, " (env_step {step})"),
            (None, None) => Ok(()),
        }
    }
}

/// An error of another kind of code, kept whole. Equal to its clones only.
#[derive(Debug, Clone)]
pub struct ForeignError(Arc<dyn StdError + Send + Sync>);

impl ForeignError {
    /// The error as the type `E` that it was made of.
    pub fn downcast_ref<E: StdError + 'static>(&self) -> Option<&E> {
        self.0.downcast_ref()
    }
}

impl fmt::Display for ForeignError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

impl StdError for ForeignError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source()
    }
}

impl PartialEq for ForeignError {
    fn eq(&self, other: &ForeignError) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

/// What can go wrong with an environment.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum EnvError {
    /// The reward is NaN or infinite.
    #[error(
        "reward is {value}, expected a finite number, after action {action}{place}; check `step` for divisions by zero and overflow"
    )]
    NonFiniteReward {
        /// The reward.
        value: f64,
        /// The action that led to it, as text.
        action: String,
        /// Where.
        place: Place,
    },
    /// An observation holds NaN or an infinity.
    #[error(
        "observation{field} is {value} at index {index}, expected a finite number{place}; check what the environment writes there"
    )]
    NonFiniteObservation {
        /// Which leaf, as ` "camera"`, empty for a plain space.
        field: String,
        /// Index inside the leaf.
        index: usize,
        /// The value.
        value: f64,
        /// Where.
        place: Place,
    },
    /// A value does not have the space's shape.
    #[error("{field} has shape {found}, expected {expected} as its space says{place}")]
    WrongShape {
        /// What was written or read.
        field: String,
        /// The space's shape.
        expected: String,
        /// The shape found.
        found: String,
        /// Where.
        place: Place,
    },
    /// A value has another element type than its space.
    #[error(
        "{field} has dtype {found}, expected {expected} as its space says{place}; convert it, or change the space"
    )]
    WrongDType {
        /// What was written or read.
        field: String,
        /// The space's type.
        expected: DType,
        /// The type found.
        found: DType,
        /// Where.
        place: Place,
    },
    /// An action outside the action space.
    #[error("action {found} is outside the action space: expected {expected}{place}")]
    InvalidAction {
        /// The action, as text.
        found: String,
        /// What is legal.
        expected: String,
        /// Where.
        place: Place,
    },
    /// `step` was called on an environment that was never reset.
    #[error("step was called before reset{place}; call reset first")]
    StepBeforeReset {
        /// Where.
        place: Place,
    },
    /// `step` was called after the episode had ended.
    #[error(
        "step was called although the episode had already ended{place}; call reset after terminated or truncated"
    )]
    StepAfterEnd {
        /// Where.
        place: Place,
    },
    /// An agent that has ended was given something.
    #[error(
        "agent {agent} was given {what} although it had already ended in this episode{place}: nobody acts on it or learns from it. Leave agents out of everything after the step that ended them, until the next reset; where one shall go on, do not set its terminated or truncated"
    )]
    AgentAfterEnd {
        /// The agent's id.
        agent: String,
        /// What it was given.
        what: String,
        /// Where.
        place: Place,
    },
    /// The environment's own code failed.
    #[error("the environment failed: {message}{place}")]
    Raised {
        /// Its own words.
        message: String,
        /// Where.
        place: Place,
    },
    /// Code behind a border failed: another language, another process.
    #[error("{message}{place}")]
    Foreign {
        /// What happened, in words.
        message: String,
        /// Where.
        place: Place,
        /// The other side's own error.
        source: ForeignError,
    },
    /// No environment of that name.
    #[error("there is no environment named `{name}`{}", suggest(.suggestions))]
    UnknownEnv {
        /// The name asked for.
        name: String,
        /// Similar names, best first.
        suggestions: Vec<String>,
    },
    /// The environment exists, but not in the form asked for.
    #[error("environment `{name}` is {found}, expected {expected}")]
    WrongKind {
        /// The name asked for.
        name: String,
        /// What it is.
        found: &'static str,
        /// What was asked for.
        expected: &'static str,
    },
    /// A name that cannot be registered.
    #[error("environment name `{name}` cannot be registered: {problem}")]
    BadName {
        /// The name.
        name: String,
        /// Why not.
        problem: String,
    },
    /// A wrong entry of `env_config`.
    #[error("env_config of {env}: `{key}` {problem}{hint}")]
    BadConfig {
        /// Name of the environment.
        env: String,
        /// The entry.
        key: String,
        /// What is wrong with it.
        problem: String,
        /// What to do, starting with a separator, or empty.
        hint: String,
    },
    /// The environment cannot save or restore its state.
    #[error(
        "{env} cannot save and restore its state; its episodes restart on resume (implement save_state and restore_state)"
    )]
    NoState {
        /// What it is.
        env: String,
    },
    /// The environment has no tasks.
    #[error(
        "{env} has no tasks; implement set_task and get_task (in a wrapper: inner_mut), or change it by its type with downcast_mut"
    )]
    NoTask {
        /// What it is.
        env: String,
    },
    /// Environments that are no objects of their own.
    #[error(
        "{envs} steps its environments as one block of numbers: there is none that could be reached alone, by a task or by its type. Give it its parameters in env_config, or register an environment of your own (Env, or VectorEnv with set_task)"
    )]
    NoSingleEnv {
        /// What they are.
        envs: String,
    },
    /// The environment is of another type than the one asked for.
    #[error(
        "the environment is not a {expected}, nor does it wrap one: it is {found}; ask for the type whose constructor is registered (a wrapper of your own needs inner_mut)"
    )]
    OtherType {
        /// The type asked for.
        expected: &'static str,
        /// What is there.
        found: String,
    },
    /// Somebody asked the run to end while the environment was stepped: not its fault.
    #[error("interrupted")]
    Interrupted {
        /// That request, as it arrived.
        source: ForeignError,
    },
    /// Shared state failed.
    #[error(transparent)]
    SharedState(#[from] crate::shared_state::SharedStateError),
    /// A saved state does not belong to this environment.
    #[error(
        "saved environment state: `{field}` is {found}, expected {expected}; the state belongs to another environment or number of environments"
    )]
    BadState {
        /// The entry.
        field: String,
        /// What it should be.
        expected: String,
        /// What it is.
        found: String,
    },
    /// Something is wrong with a space.
    #[error(transparent)]
    Space(#[from] SpaceError),
}

fn suggest(suggestions: &[String]) -> String {
    if suggestions.is_empty() {
        return "; `skirl envs` lists them, `register_env` adds one".to_owned();
    }
    let names: Vec<String> = suggestions.iter().map(|name| format!("`{name}`")).collect();
    format!("; did you mean {}?", names.join(" or "))
}

impl EnvError {
    /// An error in the environment's own words.
    pub fn raised(message: impl Into<String>) -> EnvError {
        EnvError::Raised { message: message.into(), place: Place::default() }
    }

    /// An error of code behind a border, told in `message`, with that side's own error kept beside it.
    pub fn foreign(message: impl Into<String>, source: impl StdError + Send + Sync + 'static) -> EnvError {
        let source = ForeignError(Arc::new(source));
        EnvError::Foreign { message: message.into(), place: Place::default(), source }
    }

    /// A request to end, which met an environment by chance.
    pub fn interrupted(source: impl StdError + Send + Sync + 'static) -> EnvError {
        EnvError::Interrupted { source: ForeignError(Arc::new(source)) }
    }

    /// An action that the space does not hold.
    pub fn invalid_action(found: impl fmt::Display, expected: impl Into<String>) -> EnvError {
        EnvError::InvalidAction {
            found: found.to_string(),
            expected: expected.into(),
            place: Place::default(),
        }
    }

    /// Where it happened, for the variants that know a place.
    pub fn place(&self) -> Option<Place> {
        self.clone().place_mut().copied()
    }

    /// Adds the environment's index if it is not known yet.
    #[must_use]
    pub fn at_env(mut self, env: usize) -> EnvError {
        if let Some(place) = self.place_mut() {
            place.env.get_or_insert(env);
        }
        self
    }

    /// Adds the environment's step if it is not known yet.
    #[must_use]
    pub fn at_step(mut self, env_step: u64) -> EnvError {
        if let Some(place) = self.place_mut() {
            place.env_step.get_or_insert(env_step);
        }
        self
    }

    fn place_mut(&mut self) -> Option<&mut Place> {
        match self {
            EnvError::NonFiniteReward { place, .. }
            | EnvError::NonFiniteObservation { place, .. }
            | EnvError::WrongShape { place, .. }
            | EnvError::WrongDType { place, .. }
            | EnvError::InvalidAction { place, .. }
            | EnvError::StepBeforeReset { place }
            | EnvError::StepAfterEnd { place }
            | EnvError::AgentAfterEnd { place, .. }
            | EnvError::Raised { place, .. }
            | EnvError::Foreign { place, .. } => Some(place),
            _ => None,
        }
    }
}
