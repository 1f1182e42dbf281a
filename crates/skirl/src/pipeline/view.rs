//! What a middleware sees of the context: the slots it declared for this half.

use std::fmt;

use super::context::Entry;
use super::declaration::{Access, AccessKind};
use super::error::PipelineError;
use super::middleware::Half;
use super::slot::Slot;

/// The declared slots of one half of one middleware, in one iteration.
///
/// Every access to a slot, or in a way, that was not declared is [`PipelineError::NotDeclared`].
pub struct View<'a> {
    pub(super) stage: &'a str,
    pub(super) moment: Moment,
    pub(super) accesses: &'a [Access],
    pub(super) entries: &'a mut [Entry],
}

/// When a half runs.
#[derive(Debug, Clone, Copy)]
pub(super) struct Moment {
    pub(super) half: Half,
    pub(super) iteration: u64,
    /// Counts half-stages over the task's life, tries included.
    pub(super) stamp: u64,
    pub(super) unwinding: bool,
}

impl<'a> View<'a> {
    /// The value of a slot declared with `reads`, `updates` or `takes`, or one that this half has just put.
    pub fn get<T: Send + 'static>(&self, slot: Slot<T>) -> Result<&T, PipelineError> {
        self.get_optional(slot)?.ok_or_else(|| self.empty(slot))
    }

    /// As [`get`](Self::get), `None` where the slot is empty: for `reads_optional`.
    pub fn get_optional<T: Send + 'static>(&self, slot: Slot<T>) -> Result<Option<&T>, PipelineError> {
        let access = self.access(slot, Operation::Get)?;
        let entry = &self.entries[access.index];
        Ok(entry.get().filter(|_| self.visible(access, entry)))
    }

    /// The value of a slot declared with `updates`, or one that this half has just put, to change in place.
    pub fn get_mut<T: Send + 'static>(&mut self, slot: Slot<T>) -> Result<&mut T, PipelineError> {
        let index = self.changeable(slot)?;
        let empty = self.empty_parts(slot);
        self.entries[index].get_mut().ok_or_else(|| empty.into_error())
    }

    /// One value to read and another to change, at the same time.
    pub fn read_and_update<A, B>(
        &mut self,
        read: Slot<A>,
        update: Slot<B>,
    ) -> Result<(&A, &mut B), PipelineError>
    where
        A: Send + 'static,
        B: Send + 'static,
    {
        self.get(read)?;
        let from = self.access(read, Operation::Get)?.index;
        let to = self.changeable(update)?;
        let (no_read, no_update) = (self.empty_parts(read), self.empty_parts(update));
        match self.entries.get_disjoint_mut([from, to]) {
            Ok([from, to]) => Ok((
                from.get().ok_or_else(|| no_read.into_error())?,
                to.get_mut().ok_or_else(|| no_update.into_error())?,
            )),
            Err(_) => Err(PipelineError::failed(format!("slot `{}` is both read and updated", read.name()))),
        }
    }

    /// Takes the value of a slot declared with `takes`, or with `updates` (put one back before returning).
    pub fn take<T: Send + 'static>(&mut self, slot: Slot<T>) -> Result<T, PipelineError> {
        let empty = self.empty_parts(slot);
        self.take_optional(slot)?.ok_or_else(|| empty.into_error())
    }

    /// As [`take`](Self::take), `None` where the slot is empty: for `takes_optional`.
    pub fn take_optional<T: Send + 'static>(&mut self, slot: Slot<T>) -> Result<Option<T>, PipelineError> {
        let index = self.access(slot, Operation::Take)?.index;
        Ok(self.entries[index].take())
    }

    /// Puts a value into a slot declared with `writes`, `may_write` or `updates`; an older value is dropped.
    pub fn put<T: Send + 'static>(&mut self, slot: Slot<T>, value: T) -> Result<(), PipelineError> {
        let index = self.access(slot, Operation::Put)?.index;
        let entry = &mut self.entries[index];
        entry.put(value);
        entry.stamp = self.moment.stamp;
        Ok(())
    }

    /// The iteration that is running, counted from 1 over the task's life.
    #[must_use]
    pub fn iteration(&self) -> u64 {
        self.moment.iteration
    }

    /// The stage's name in this pipeline.
    #[must_use]
    pub fn stage(&self) -> &str {
        self.stage
    }

    /// True in a backward half that runs because of a stop or an error: later stages may not have run.
    #[must_use]
    pub fn unwinding(&self) -> bool {
        self.moment.unwinding
    }

    fn access<T: Send + 'static>(
        &self,
        slot: Slot<T>,
        operation: Operation,
    ) -> Result<&Access, PipelineError> {
        let access = self.accesses.iter().find(|access| access.info.is(slot));
        match access {
            Some(access) if operation.allowed(access.kind) => Ok(access),
            other => Err(self.refusal(slot.name(), operation, other.map(|access| access.kind))),
        }
    }

    /// A slot declared `writes` shows only what this half has put: anything older would be an undeclared read.
    fn visible(&self, access: &Access, entry: &Entry) -> bool {
        access.kind.sees_earlier() || entry.stamp == self.moment.stamp
    }

    fn changeable<T: Send + 'static>(&self, slot: Slot<T>) -> Result<usize, PipelineError> {
        let access = self.access(slot, Operation::GetMut)?;
        if self.visible(access, &self.entries[access.index]) {
            return Ok(access.index);
        }
        Err(self.empty(slot))
    }

    #[cold]
    fn refusal(
        &self,
        slot: &'static str,
        operation: Operation,
        declared: Option<AccessKind>,
    ) -> PipelineError {
        let method = operation.remedy(declared).method();
        let half = if self.moment.half == Half::Backward { "slots.backward()" } else { "slots" };
        PipelineError::NotDeclared {
            stage: self.stage.to_owned(),
            half: self.moment.half,
            slot,
            operation: operation.verb(),
            declared: declared.map_or("nothing about it", AccessKind::method),
            fix: format!("`{half}.{method}(…)`"),
        }
    }

    #[cold]
    fn empty<T>(&self, slot: Slot<T>) -> PipelineError {
        self.empty_parts(slot).into_error()
    }

    fn empty_parts<T>(&self, slot: Slot<T>) -> EmptySlot<'a> {
        // Borrowed from the stage only, so that the entries can be borrowed mutably beside it.
        EmptySlot { stage: self.stage, half: self.moment.half, slot: slot.name() }
    }
}

impl fmt::Debug for View<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let slots = self.accesses.iter().map(|access| (access.kind.method(), access.info.name));
        f.debug_map().entries(slots).finish()
    }
}

#[derive(Clone, Copy)]
struct EmptySlot<'a> {
    stage: &'a str,
    half: Half,
    slot: &'static str,
}

impl EmptySlot<'_> {
    #[cold]
    fn into_error(self) -> PipelineError {
        PipelineError::Empty {
            stage: self.stage.to_owned(),
            half: self.half,
            slot: self.slot,
            fix: "use `get_optional` or `take_optional` where it may be empty, and put before you get",
        }
    }
}

#[derive(Clone, Copy)]
enum Operation {
    Get,
    GetMut,
    Take,
    Put,
}

impl Operation {
    fn allowed(self, kind: AccessKind) -> bool {
        match self {
            Self::Get => true,
            Self::GetMut | Self::Put => kind.puts(),
            Self::Take => kind.consumes() || kind == AccessKind::Updates,
        }
    }

    fn verb(self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::GetMut => "change",
            Self::Take => "take",
            Self::Put => "put",
        }
    }

    /// The declaration that allows the operation, given what is declared already.
    fn remedy(self, declared: Option<AccessKind>) -> AccessKind {
        match (self, declared) {
            (Self::Get, _) => AccessKind::Reads,
            (Self::Take, Some(AccessKind::ReadsOptional)) => AccessKind::TakesOptional,
            (Self::Take, _) => AccessKind::Takes,
            (Self::Put, None) => AccessKind::Writes,
            (Self::Put | Self::GetMut, _) => AccessKind::Updates,
        }
    }
}
