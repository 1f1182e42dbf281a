//! What can go wrong while a pipeline runs. What can go wrong when it is built is in `problem`.

use std::error::Error;
use std::fmt;

use super::middleware::Half;

/// An error of a running pipeline.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PipelineError {
    /// A stage failed; says which, where and after how many tries.
    #[error(transparent)]
    Stage(Box<StageError>),
    /// A middleware touched a slot in a way that it did not declare. Never skipped nor retried: the code is wrong.
    #[error(
        "`{stage}` may not {operation} slot `{slot}` in its {half}: it declares {declared}. Add {fix} to its `declare`"
    )]
    NotDeclared {
        /// The stage that asked.
        stage: String,
        /// The half it was in.
        half: Half,
        /// The slot it asked for.
        slot: &'static str,
        /// What it tried: `get`, `put`, …
        operation: &'static str,
        /// What it declared for this slot in this half.
        declared: &'static str,
        /// The declaration that would allow it.
        fix: String,
    },
    /// A slot holds no value when it is needed.
    #[error("slot `{slot}` is empty in the {half} of `{stage}`: {fix}")]
    Empty {
        /// The stage that asked.
        stage: String,
        /// The half it was in.
        half: Half,
        /// The empty slot.
        slot: &'static str,
        /// Why, and what to do.
        fix: &'static str,
    },
    /// A stage declares `writes` and returned without a value. Never skipped nor retried.
    #[error(
        "`{stage}` declares that its {half} writes slot `{slot}`, but left it empty: put a value on every path, or declare `may_write`"
    )]
    NotWritten {
        /// The stage.
        stage: String,
        /// The half that returned.
        half: Half,
        /// The slot without a value.
        slot: &'static str,
    },
    /// A slot that the caller provides has no value for this iteration.
    #[error(
        "slot `{slot}` is provided from outside, but has no value for iteration {iteration}: call `task.context_mut().put(…)` before each iteration"
    )]
    NotProvided {
        /// The slot.
        slot: &'static str,
        /// The iteration that could not start.
        iteration: u64,
    },
    /// A value that is not finite, found by [`FiniteGuard`](super::FiniteGuard).
    #[error("`{stage}` wrote a value that is not finite into slot `{slot}`: {found}")]
    NotFinite {
        /// The stage that wrote it.
        stage: String,
        /// The slot.
        slot: &'static str,
        /// Which element, and what it is.
        found: String,
    },
    /// Saved state that does not fit this pipeline.
    #[error("saved state of the pipeline: {0}")]
    State(String),
    /// A middleware's own error.
    #[error(transparent)]
    Failed(Box<dyn Error + Send + Sync>),
}

impl PipelineError {
    /// Wraps a middleware's own error: `file.read(…).map_err(PipelineError::failed)?`.
    pub fn failed(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Failed(error.into())
    }

    /// The stage at fault, where the error belongs to one.
    #[must_use]
    pub fn stage(&self) -> Option<&str> {
        match self {
            Self::Stage(error) => Some(&error.stage),
            Self::NotDeclared { stage, .. }
            | Self::Empty { stage, .. }
            | Self::NotWritten { stage, .. }
            | Self::NotFinite { stage, .. } => Some(stage),
            Self::NotProvided { .. } | Self::State(_) | Self::Failed(_) => None,
        }
    }

    /// A wrong declaration would be wrong again: no error policy hides it.
    pub(super) fn is_contract(&self) -> bool {
        matches!(self, Self::NotDeclared { .. } | Self::NotWritten { .. })
    }
}

/// A stage's failure, with its place.
#[derive(Debug)]
pub struct StageError {
    /// The stage that failed.
    pub stage: String,
    /// The half that failed.
    pub half: Half,
    /// The iteration, counted from 1.
    pub iteration: u64,
    /// How often the half was tried.
    pub tries: u32,
    /// What went wrong.
    pub error: PipelineError,
    /// Errors of other stages' backward halves while this one was unwound.
    pub unwinding: Vec<PipelineError>,
}

impl fmt::Display for StageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "iteration {}, stage `{}`, {}", self.iteration, self.stage, self.half)?;
        if self.tries > 1 {
            write!(f, ", after {} tries", self.tries)?;
        }
        write!(f, ": {}", self.error)?;
        self.unwinding.iter().try_for_each(|error| write!(f, "; and while unwinding: {error}"))
    }
}

impl Error for StageError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.error)
    }
}
