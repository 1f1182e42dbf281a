//! Wrappers: code around every half of every stage.

use std::fmt;

use super::context::Entry;
use super::declaration::{Access, AccessKind, Declaration};
use super::error::PipelineError;
use super::middleware::{Flow, Half, Middleware};
use super::slot::{Life, Slot};
use super::view::{Moment, View};

/// Code that runs around every half of every stage: timing, guards, tracing.
///
/// ```
/// # use skirl::pipeline::{Flow, Next, PipelineError, Wrapper};
/// struct Trace(Vec<String>);
/// impl Wrapper for Trace {
///     fn name(&self) -> &str { "trace" }
///     fn around(&mut self, next: &mut Next<'_, '_>) -> Result<Flow, PipelineError> {
///         self.0.push(format!("{} {}", next.stage(), next.half()));
///         next.run()
///     }
/// }
/// # let _ = Trace(vec![]);
/// ```
pub trait Wrapper: Send {
    /// The name in errors.
    fn name(&self) -> &str;

    /// The slots it looks at through [`Next::get`]; a slot that no stage has is an error when the pipeline is built.
    fn declare(&self, slots: &mut Declaration) {
        let _ = slots;
    }

    /// Runs the half with `next.run()` and returns its outcome, or another one. Inside the error policy: with
    /// [`OnError::Retry`](super::OnError::Retry) each try passes here.
    fn around(&mut self, next: &mut Next<'_, '_>) -> Result<Flow, PipelineError>;
}

/// What a wrapper is around: the wrappers further in, and the half itself.
pub struct Next<'n, 'c> {
    pub(super) wrappers: &'n mut [Box<dyn Wrapper>],
    pub(super) call: &'n mut HalfCall<'c>,
}

impl Next<'_, '_> {
    /// Runs it.
    pub fn run(&mut self) -> Result<Flow, PipelineError> {
        match self.wrappers.split_first_mut() {
            Some((outer, wrappers)) => outer.around(&mut Next { wrappers, call: self.call }),
            None => self.call.run(),
        }
    }

    /// The stage's name.
    #[must_use]
    pub fn stage(&self) -> &str {
        self.call.stage
    }

    /// The half.
    #[must_use]
    pub fn half(&self) -> Half {
        self.call.moment.half
    }

    /// The iteration, counted from 1.
    #[must_use]
    pub fn iteration(&self) -> u64 {
        self.call.moment.iteration
    }

    /// A slot's present value, whoever wrote it.
    #[must_use]
    pub fn get<T: Send + 'static>(&self, slot: Slot<T>) -> Option<&T> {
        self.call.entries.iter().find(|entry| entry.info.is(slot))?.get()
    }

    /// This half declares that it writes or updates the slot.
    #[must_use]
    pub fn writes<T>(&self, slot: Slot<T>) -> bool {
        self.call.accesses.iter().any(|access| access.info.name == slot.name() && access.kind.puts())
    }
}

impl fmt::Debug for Next<'_, '_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Next({}, {})", self.stage(), self.half())
    }
}

/// One try of one half of one stage.
pub(super) struct HalfCall<'c> {
    pub(super) middleware: &'c mut dyn Middleware,
    pub(super) stage: &'c str,
    pub(super) moment: Moment,
    pub(super) accesses: &'c [Access],
    pub(super) entries: &'c mut [Entry],
}

impl HalfCall<'_> {
    fn run(&mut self) -> Result<Flow, PipelineError> {
        let mut view = View {
            stage: self.stage,
            moment: self.moment,
            accesses: self.accesses,
            entries: &mut *self.entries,
        };
        let flow = match self.moment.half {
            Half::Forward => self.middleware.forward(&mut view),
            Half::Backward => self.middleware.backward(&mut view),
        }?;
        self.settle()?;
        Ok(flow)
    }

    /// Holds the half to its declaration: what it writes is there, what it takes is gone.
    fn settle(&mut self) -> Result<(), PipelineError> {
        for access in self.accesses {
            let entry = &mut self.entries[access.index];
            let kept_word = match access.kind {
                AccessKind::Writes => entry.cell.is_full() && entry.stamp == self.moment.stamp,
                AccessKind::Updates => entry.cell.is_full(),
                AccessKind::Takes | AccessKind::TakesOptional => {
                    entry.cell.clear();
                    true
                }
                _ => true,
            };
            if !kept_word {
                let (stage, half, slot) = (self.stage.to_owned(), self.moment.half, access.info.name);
                return Err(PipelineError::NotWritten { stage, half, slot });
            }
        }
        Ok(())
    }

    /// A failed try leaves nothing of this iteration behind that a later stage could take for good.
    pub(super) fn drop_written(&mut self) {
        for access in self.accesses.iter().filter(|access| access.kind.only_writes()) {
            let entry = &mut self.entries[access.index];
            if entry.info.life == Life::Iteration && entry.stamp == self.moment.stamp {
                entry.cell.clear();
            }
        }
    }
}
