//! What a middleware says about the slots it touches.

use std::fmt;

use super::context::Entry;
use super::middleware::Half;
use super::slot::Slot;

/// Collects what the two halves of a middleware read and write.
///
/// Calls describe the forward half; those after [`backward`](Self::backward) describe the backward half:
///
/// ```
/// # use skirl::pipeline::{Declaration, Slot};
/// # const BATCH: Slot<Vec<f32>> = Slot::iteration("batch");
/// # const TD_ERRORS: Slot<Vec<f32>> = Slot::iteration("td_errors");
/// fn declare(slots: &mut Declaration) {
///     slots.writes(BATCH); // sample a batch, let the learner run,
///     slots.backward().reads(TD_ERRORS); // then write the priorities back
/// }
/// # declare(&mut Declaration::default());
/// ```
#[derive(Debug, Default)]
pub struct Declaration {
    pub(super) forward: Vec<Access>,
    pub(super) backward: Vec<Access>,
    pub(super) initials: Vec<Entry>,
    in_backward: bool,
}

impl Declaration {
    /// Needs the slot's value.
    pub fn reads<T: Send + 'static>(&mut self, slot: Slot<T>) -> &mut Self {
        self.add(slot, AccessKind::Reads)
    }

    /// Reads the slot where it has a value.
    pub fn reads_optional<T: Send + 'static>(&mut self, slot: Slot<T>) -> &mut Self {
        self.add(slot, AccessKind::ReadsOptional)
    }

    /// Puts a value on every path that returns normally.
    pub fn writes<T: Send + 'static>(&mut self, slot: Slot<T>) -> &mut Self {
        self.add(slot, AccessKind::Writes)
    }

    /// Puts a value in some iterations; later stages must read it as optional.
    pub fn may_write<T: Send + 'static>(&mut self, slot: Slot<T>) -> &mut Self {
        self.add(slot, AccessKind::MayWrite)
    }

    /// Needs the value and changes it.
    pub fn updates<T: Send + 'static>(&mut self, slot: Slot<T>) -> &mut Self {
        self.add(slot, AccessKind::Updates)
    }

    /// Needs the value and consumes it: later stages find the slot empty.
    pub fn takes<T: Send + 'static>(&mut self, slot: Slot<T>) -> &mut Self {
        self.add(slot, AccessKind::Takes)
    }

    /// Consumes the value where there is one.
    pub fn takes_optional<T: Send + 'static>(&mut self, slot: Slot<T>) -> &mut Self {
        self.add(slot, AccessKind::TakesOptional)
    }

    /// The value that a kept slot starts from, unless the task's context brings one.
    pub fn initial<T: Send + 'static>(&mut self, slot: Slot<T>, value: T) -> &mut Self {
        let mut entry = Entry::new(slot);
        entry.put(value);
        self.initials.push(entry);
        self
    }

    /// What is declared from here on belongs to the backward half.
    pub fn backward(&mut self) -> &mut Self {
        self.in_backward = true;
        self
    }

    fn add<T: Send + 'static>(&mut self, slot: Slot<T>, kind: AccessKind) -> &mut Self {
        let half = if self.in_backward { &mut self.backward } else { &mut self.forward };
        half.push(Access { kind, index: usize::MAX, empty: Some(Entry::new(slot)), info: slot.info() });
        self
    }

    pub(super) fn half(&self, half: Half) -> &[Access] {
        match half {
            Half::Forward => &self.forward,
            Half::Backward => &self.backward,
        }
    }
}

/// One slot in one half of a middleware.
#[derive(Debug)]
pub(super) struct Access {
    pub(super) info: super::slot::SlotInfo,
    pub(super) kind: AccessKind,
    /// The slot's place in the context, set when the pipeline is built.
    pub(super) index: usize,
    /// An empty cell of the slot's type; the first access to a slot gives the context its cell.
    pub(super) empty: Option<Entry>,
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Entry").field(&self.info).finish()
    }
}

/// How a half touches a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AccessKind {
    Reads,
    ReadsOptional,
    Writes,
    MayWrite,
    Updates,
    Takes,
    TakesOptional,
}

impl AccessKind {
    /// The method of [`Declaration`] that declares it.
    pub(super) const fn method(self) -> &'static str {
        match self {
            Self::Reads => "reads",
            Self::ReadsOptional => "reads_optional",
            Self::Writes => "writes",
            Self::MayWrite => "may_write",
            Self::Updates => "updates",
            Self::Takes => "takes",
            Self::TakesOptional => "takes_optional",
        }
    }

    /// The value must be there before the half runs.
    pub(super) const fn needs_value(self) -> bool {
        matches!(self, Self::Reads | Self::Updates | Self::Takes)
    }

    /// Looks at a value that an earlier half left.
    pub(super) const fn sees_earlier(self) -> bool {
        !self.only_writes()
    }

    pub(super) const fn only_writes(self) -> bool {
        matches!(self, Self::Writes | Self::MayWrite)
    }

    pub(super) const fn puts(self) -> bool {
        matches!(self, Self::Writes | Self::MayWrite | Self::Updates)
    }

    pub(super) const fn consumes(self) -> bool {
        matches!(self, Self::Takes | Self::TakesOptional)
    }

    pub(super) const fn optional(self) -> bool {
        matches!(self, Self::ReadsOptional | Self::MayWrite | Self::TakesOptional)
    }
}
