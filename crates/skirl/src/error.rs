//! The errors of a run. Each says what was expected, what was found, where, and what to do.

use skirl_env::EnvError;
use skirl_nn::NnError;

use crate::pipeline::PipelineError;

/// Whatever can go wrong between a configuration and its results.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The configuration does not hold.
    #[error(transparent)]
    Config(#[from] crate::config::ConfigErrors),
    /// An environment failed.
    #[error("environment {env} failed at its step {env_step} of this run: {source}")]
    Env {
        /// Index of the environment in the run.
        env: usize,
        /// Its step, counted over the run.
        env_step: u64,
        /// What it said.
        source: EnvError,
    },
    /// The process of an environment runner failed, and was not replaced.
    #[error("{}env_runner {runner}: {}", whose(*.in_evaluation), with_others(message, *.others))]
    EnvRunner {
        /// Which one, counted from 1.
        runner: usize,
        /// It is one of evaluation's.
        in_evaluation: bool,
        /// What happened, first of all.
        message: String,
        /// How many others failed as well.
        others: usize,
    },
    /// An environment could not be changed.
    #[error("environment {env}: {source}")]
    ForeachEnv {
        /// Index of the environment in the run.
        env: usize,
        /// What it said.
        source: EnvError,
    },
    /// Shared state failed.
    #[error(transparent)]
    SharedState(#[from] skirl_env::shared_state::SharedStateError),
    /// An environment could not be made.
    #[error(transparent)]
    MakeEnv(#[from] EnvError),
    /// Environments of one run that are not alike.
    #[error(
        "environment {env} is another one than environment 0: expected {expected}, found {found}. All environments of a run \
         need the same agents and spaces, whatever their index"
    )]
    OtherSpaces {
        /// Index of the environment in the run.
        env: usize,
        /// What environment 0 has.
        expected: String,
        /// What this one has.
        found: String,
    },
    /// An environment returned NaN or an infinity.
    #[error(
        "environment {env} returned {value} at its step {env_step} of this run in {field}, where a finite number was \
         expected; nothing of this rollout was trained on. Correct the environment (skirl's checker names the first \
         step that goes wrong), or end the episode before the value overflows"
    )]
    NonFinite {
        /// Index of the environment in the run.
        env: usize,
        /// Its step, counted over the run.
        env_step: u64,
        /// Where the value stands.
        field: String,
        /// The value.
        value: f64,
    },
    /// An agent was truncated without a last observation to bootstrap from.
    #[error(
        "environment {env} truncated an agent at its step {env_step} of this run without giving it a final observation; \
         expected one, because the value of what follows is estimated from it. Return the observation together with \
         truncated, or report terminated"
    )]
    TruncatedWithoutObservation {
        /// Index of the environment in the run.
        env: usize,
        /// Its step, counted over the run.
        env_step: u64,
    },
    /// Evaluation waits for episodes that do not end.
    #[error(
        "evaluation waits for {missing} more episodes, but no environment ended one within {steps} steps: expected \
         episodes that end. Give the environment a time limit (env_config.max_episode_steps), or set \
         evaluation_duration_unit to timesteps"
    )]
    EndlessEpisode {
        /// Steps of each environment so far.
        steps: u64,
        /// Episodes still missing.
        missing: usize,
    },
    /// No distribution serves this action space.
    #[error(
        "this action space cannot be served: {found}; expected Discrete, MultiDiscrete, MultiBinary or a float Box. \
         Wrap the environment so that its actions are one of these"
    )]
    ActionSpace {
        /// The space, as Gymnasium writes it.
        found: String,
    },
    /// The learner met NaN or an infinity.
    #[error(
        "{what} of module '{module}' became {value} after {updates} updates; training stopped before the weights were \
         published. Lower training.lr or set training.grad_clip"
    )]
    Diverged {
        /// Loss or gradient norm.
        what: &'static str,
        /// Module.
        module: String,
        /// The value.
        value: f64,
        /// Minibatch updates made so far.
        updates: u64,
    },
    /// A user's callbacks failed.
    #[error(transparent)]
    Callback(Box<crate::callbacks::CallbackError>),
    /// A user's evaluation function failed.
    #[error(
        "the evaluation function '{name}' failed: {source}. Correct it, or set \
         evaluation.custom_evaluation_function to none"
    )]
    OwnEvaluation {
        /// The name under which it is registered.
        name: String,
        /// What it returned.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The network refused its input.
    #[error(transparent)]
    Nn(#[from] NnError),
    /// The pipeline stopped with an error.
    #[error("{0}")]
    Pipeline(String),
    /// The run was asked to stop.
    #[error("stopped: {reason}")]
    Stopped {
        /// Who asked, and why.
        reason: String,
    },
    /// A run ended with an error, and its last good state was saved, or could not be.
    #[error("{source}. {saved}")]
    RunFailed {
        /// Why it ended.
        source: Box<Self>,
        /// Where the state was saved, or why it was not: a sentence.
        saved: String,
    },
    /// A checkpoint could not be written or read.
    #[error(transparent)]
    Checkpoint(#[from] crate::checkpoint::CheckpointError),
    /// A result could not be written.
    #[error(transparent)]
    Report(#[from] crate::report::ReportError),
    /// Saved runner state does not fit this run.
    #[error(
        "saved environment state does not fit: expected {expected}, found {found}; resume with the configuration that wrote the checkpoint"
    )]
    RunnerState {
        /// What this run has.
        expected: String,
        /// What the checkpoint holds.
        found: String,
    },
    /// Threads could not be started.
    #[error("could not start {num_threads} threads: {reason}; set resources.num_threads to less")]
    Threads {
        /// Asked for.
        num_threads: usize,
        /// The system's reason.
        reason: String,
    },
    /// A state or checkpoint that does not fit the run.
    #[error("{what}: expected {expected}, found {found}. {remedy}")]
    Mismatch {
        /// The thing that does not fit.
        what: String,
        /// What this run has.
        expected: String,
        /// What was given.
        found: String,
        /// What to do.
        remedy: String,
    },
    /// A configuration that is sound by itself and does not fit its environment, or what this program has registered.
    #[error("{what}: expected {expected}, found {found}. {remedy}")]
    Misfit {
        /// The option, or what it is about.
        what: String,
        /// What the environment has, or what would fit.
        expected: String,
        /// What was given.
        found: String,
        /// What to do.
        remedy: String,
    },
    /// A call was given something that this run does not have.
    #[error("{what}: expected {expected}, found {found}. {remedy}")]
    Argument {
        /// What was asked for.
        what: String,
        /// What there is.
        expected: String,
        /// What was given.
        found: String,
        /// What to do.
        remedy: String,
    },
    /// An observation to act on that is none of the policy's observation space.
    #[error("the observation to act on: expected {expected}, found {found}. {remedy}")]
    Observation {
        /// What the policy sees.
        expected: String,
        /// What was given.
        found: String,
        /// What to do.
        remedy: &'static str,
    },
    /// Pictures of an environment that has none.
    #[error(
        "`{env}` cannot be rendered: expected an environment that draws itself, but its `draw` gives no picture. Implement \
         `draw` (docs/environments.md), or evaluate without rendering"
    )]
    NotDrawable {
        /// Name of the environment.
        env: String,
    },
    /// A bug of skirl.
    #[error("internal error: {0}. This is a bug in skirl: please report it with the command that led here")]
    Internal(String),
}

fn whose(in_evaluation: bool) -> &'static str {
    if in_evaluation { "evaluation's " } else { "" }
}

/// The message, of which the first line says what happened and the others may be a traceback, with the number of others.
fn with_others(message: &str, others: usize) -> String {
    let same = match others {
        0 => return message.to_owned(),
        1 => " (+1 runner failed the same way)".to_owned(),
        _ => format!(" (+{others} runners failed the same way)"),
    };
    let (first, rest) = message.split_at(message.find('\n').unwrap_or(message.len()));
    format!("{first}{same}{rest}")
}

impl From<PipelineError> for Error {
    /// Takes out the error of the stage that failed, where it was one of ours.
    fn from(error: PipelineError) -> Self {
        match error {
            PipelineError::Stage(stage) => Self::from(stage.error),
            PipelineError::Failed(inner) => match inner.downcast::<Self>() {
                Ok(error) => *error,
                Err(other) => Self::Pipeline(other.to_string()),
            },
            other => Self::Pipeline(other.to_string()),
        }
    }
}

impl Error {
    /// What went wrong first: the error itself, or the one that ended the run.
    #[must_use]
    pub fn cause(&self) -> &Self {
        match self {
            Self::RunFailed { source, .. } => source.cause(),
            other => other,
        }
    }

    /// The error of the first environment runner, where `others` more failed.
    #[must_use]
    pub fn with_others(self, more: usize) -> Self {
        match self {
            Self::EnvRunner { runner, in_evaluation, message, others } => {
                Self::EnvRunner { runner, in_evaluation, message, others: others + more }
            }
            other => other,
        }
    }

    pub(crate) fn env(env: usize, env_step: u64, source: EnvError) -> Self {
        Self::Env { env, env_step, source }
    }

    pub(crate) fn non_finite_observation(env: usize, env_step: u64, element: usize, value: f32) -> Self {
        Self::NonFinite {
            env,
            env_step,
            field: format!("observation[{element}] (flattened)"),
            value: value.into(),
        }
    }

    pub(crate) fn non_finite_reward(env: usize, env_step: u64, value: f64) -> Self {
        Self::NonFinite { env, env_step, field: "reward".to_owned(), value }
    }
}
