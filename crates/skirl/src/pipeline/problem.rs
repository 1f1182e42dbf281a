//! What can be wrong with a pipeline before it runs, each with its fix.

use std::fmt;

use super::middleware::Half;

/// One finding about a pipeline, made when it is built.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PipelineProblem {
    /// The stages are there, in the wrong order.
    #[error(
        "`{reader}` reads `{slot}`, which `{writer}` writes, but `{writer}` comes after it: move `{writer}` before `{reader}`"
    )]
    Misplaced {
        /// The stage that reads too early.
        reader: String,
        /// The slot.
        slot: &'static str,
        /// The stage that writes it.
        writer: String,
    },
    /// The value comes only with a backward half that runs after the reader.
    #[error(
        "`{reader}` reads `{slot}` in its {reader_half}, but `{writer}` writes it later, in its {writer_half}: write it in an earlier half, or make the slot kept and give it an initial value"
    )]
    TooLate {
        /// The stage that reads.
        reader: String,
        /// The half that reads.
        reader_half: Half,
        /// The slot.
        slot: &'static str,
        /// The stage that writes it.
        writer: String,
        /// The half that writes it.
        writer_half: Half,
    },
    /// No stage writes the slot.
    #[error("nothing writes `{slot}`, which `{reader}` reads: {fix}")]
    Missing {
        /// The stage that reads.
        reader: String,
        /// The slot.
        slot: &'static str,
        /// The stage to add, where one is known.
        fix: String,
    },
    /// An earlier stage consumed the value.
    #[error(
        "`{reader}` reads `{slot}`, but `{taker}` takes it before: let `{taker}` read it, or move `{reader}` before `{taker}`"
    )]
    Taken {
        /// The stage that reads.
        reader: String,
        /// The slot.
        slot: &'static str,
        /// The stage that consumed it.
        taker: String,
    },
    /// The value is not there in every iteration.
    #[error("`{reader}` needs `{slot}`, but {why}: declare it optional in `{reader}`")]
    MaybeEmpty {
        /// The stage that reads.
        reader: String,
        /// The slot.
        slot: &'static str,
        /// Why it may be empty.
        why: String,
    },
    /// A kept slot is read before anything gives it a first value.
    #[error(
        "kept slot `{slot}` has no value when `{reader}` reads it in the first iteration: give it one with `slots.initial(…)` in a `declare`, or `PipelineBuilder::provides` and `Context::with`"
    )]
    NoInitial {
        /// The stage that reads.
        reader: String,
        /// The slot.
        slot: &'static str,
    },
    /// Two slots of one name differ in type or life.
    #[error("two slots are named `{slot}`: {first}, and {second}: share one constant, or rename one")]
    Clash {
        /// The name.
        slot: &'static str,
        /// Who declares the first, and what it is.
        first: String,
        /// Who declares the second, and what it is.
        second: String,
    },
    /// Two stages of one name.
    #[error("two stages are named `{name}`: rename one with `Stage::new(…).named(…)`")]
    DuplicateStage {
        /// The name.
        name: String,
    },
    /// One half declares one slot twice.
    #[error(
        "`{stage}` declares `{slot}` twice in its {half} ({first} and {second}): declare it once; `updates` reads and writes"
    )]
    DeclaredTwice {
        /// The stage.
        stage: String,
        /// The half.
        half: Half,
        /// The slot.
        slot: &'static str,
        /// The first declaration.
        first: &'static str,
        /// The second one.
        second: &'static str,
    },
    /// An initial value for a slot that is emptied every iteration.
    #[error(
        "`{stage}` gives `{slot}` an initial value, but the slot lives one iteration: make it `Slot::kept`"
    )]
    InitialNotKept {
        /// The stage.
        stage: String,
        /// The slot.
        slot: &'static str,
    },
    /// Two initial values for one slot.
    #[error("`{first}` and `{second}` both give `{slot}` an initial value: let one of them own it")]
    TwoInitials {
        /// The slot.
        slot: &'static str,
        /// The first stage.
        first: String,
        /// The second stage.
        second: String,
    },
    /// A retry cannot bring back a consumed value.
    #[error(
        "`{stage}` is retried on errors and takes `{slot}`, which a second try would not find: use `reads`, or another policy"
    )]
    RetriesTaken {
        /// The stage.
        stage: String,
        /// The slot.
        slot: &'static str,
    },
    /// A wrapper looks at a slot that no stage has.
    #[error(
        "wrapper `{wrapper}` looks at `{slot}`, which no stage declares: remove it from the wrapper, or add its stage"
    )]
    Unwatched {
        /// The wrapper.
        wrapper: String,
        /// The slot.
        slot: &'static str,
    },
    /// A kept slot that the caller promised is not in the context.
    #[error(
        "kept slot `{slot}` is to be provided from outside, but the context has no value for it: `Context::with` gives one"
    )]
    NotProvided {
        /// The slot.
        slot: &'static str,
    },
    /// Nothing to run.
    #[error("the pipeline has no stage: add one with `PipelineBuilder::with`")]
    NoStages,
    /// Warning: a value is overwritten unread.
    #[error(
        "`{second}` overwrites `{slot}` before anything reads what `{first}` wrote: remove one, or use `updates`"
    )]
    Overwritten {
        /// The slot.
        slot: &'static str,
        /// The stage whose value is lost.
        first: String,
        /// The stage that overwrites it.
        second: String,
    },
    /// Warning: a retry may repeat half an update.
    #[error(
        "`{stage}` is retried on errors and updates `{slot}` in place: a second try starts from what the first left"
    )]
    RetriesUpdate {
        /// The stage.
        stage: String,
        /// The slot.
        slot: &'static str,
    },
}

impl PipelineProblem {
    /// A warning does not keep a pipeline from being built.
    #[must_use]
    pub fn is_warning(&self) -> bool {
        matches!(self, Self::Overwritten { .. } | Self::RetriesUpdate { .. })
    }
}

/// All errors of a pipeline, found in one go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PipelineErrors {
    problems: Vec<PipelineProblem>,
}

impl PipelineErrors {
    /// `Err` with all errors if there is one, else the warnings.
    pub(super) fn sort_out(problems: Vec<PipelineProblem>) -> Result<Vec<PipelineProblem>, Self> {
        let (warnings, problems): (Vec<_>, Vec<_>) =
            problems.into_iter().partition(PipelineProblem::is_warning);
        if problems.is_empty() { Ok(warnings) } else { Err(Self { problems }) }
    }

    /// The errors, in the order of the stages.
    #[must_use]
    pub fn problems(&self) -> &[PipelineProblem] {
        &self.problems
    }
}

impl fmt::Display for PipelineErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plural = if self.problems.len() == 1 { "error" } else { "errors" };
        write!(f, "{} {plural} in the pipeline:", self.problems.len())?;
        self.problems.iter().try_for_each(|problem| write!(f, "\n  - {problem}"))
    }
}

impl std::error::Error for PipelineErrors {}
