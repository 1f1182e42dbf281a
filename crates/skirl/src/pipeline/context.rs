//! The context: one cell per slot, renewed every iteration.

use std::any::Any;
use std::fmt;

use serde_json::Value;

use super::error::PipelineError;
use super::slot::{Codec, Life, Slot, SlotInfo};

/// The values that a task's middlewares share, one cell per slot.
///
/// A middleware never sees the context itself, only a [`View`](super::View) of the slots that it declared. From
/// outside, the owner of a [`Task`](super::Task) may read any value between iterations and provide inputs.
///
/// ```
/// # use skirl::pipeline::{Context, Slot};
/// const ENV_STEPS: Slot<u64> = Slot::kept("env_steps");
/// let context = Context::new().with(ENV_STEPS, 4000);
/// assert_eq!(context.get(ENV_STEPS), Some(&4000));
/// ```
#[derive(Default)]
pub struct Context {
    pub(super) entries: Vec<Entry>,
}

impl Context {
    /// An empty context.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The same context with a value: an input, or a kept value to start from in place of the declared one.
    #[must_use]
    pub fn with<T: Send + 'static>(mut self, slot: Slot<T>, value: T) -> Self {
        self.put(slot, value);
        self
    }

    /// Provides a value. It is there for the whole of the next iteration, whatever the slot's life.
    pub fn put<T: Send + 'static>(&mut self, slot: Slot<T>, value: T) {
        let position = self.position(slot).unwrap_or_else(|| {
            self.entries.push(Entry::new(slot));
            self.entries.len() - 1
        });
        let entry = &mut self.entries[position];
        entry.put(value);
        entry.provided = true;
    }

    /// The value of a slot, if it has one: a kept one, or one that the last iteration left.
    #[must_use]
    pub fn get<T: Send + 'static>(&self, slot: Slot<T>) -> Option<&T> {
        self.entries[self.position(slot)?].get()
    }

    /// Takes a value out: the cheap way to hand an iteration's result to the caller.
    pub fn take<T: Send + 'static>(&mut self, slot: Slot<T>) -> Option<T> {
        let position = self.position(slot)?;
        self.entries[position].take()
    }

    fn position<T: 'static>(&self, slot: Slot<T>) -> Option<usize> {
        self.entries.iter().position(|entry| entry.info.is(slot))
    }

    /// Empties the cells that live one iteration, except those provided since the last renewal.
    pub(super) fn renew(&mut self) {
        for entry in &mut self.entries {
            if entry.info.life == Life::Iteration && !entry.provided {
                entry.cell.clear();
            }
            entry.provided = false;
        }
    }
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let filled = self.entries.iter().map(|e| (e.info.name, e.cell.is_full()));
        f.debug_map().entries(filled).finish()
    }
}

/// A slot's cell in a context.
pub(super) struct Entry {
    pub(super) info: SlotInfo,
    pub(super) cell: Box<dyn Cell>,
    /// The half-stage that last put a value, as counted by the task; tells fresh values from older ones.
    pub(super) stamp: u64,
    /// Put from outside since the last renewal.
    pub(super) provided: bool,
}

impl Entry {
    pub(super) fn new<T: Send + 'static>(slot: Slot<T>) -> Self {
        let cell = Box::new(TypedCell::<T> { value: None, codec: slot.codec() });
        Self { info: slot.info(), cell, stamp: 0, provided: false }
    }

    pub(super) fn get<T: 'static>(&self) -> Option<&T> {
        typed(&*self.cell)?.value.as_ref()
    }

    pub(super) fn get_mut<T: 'static>(&mut self) -> Option<&mut T> {
        typed_mut(&mut *self.cell)?.value.as_mut()
    }

    pub(super) fn take<T: 'static>(&mut self) -> Option<T> {
        typed_mut(&mut *self.cell)?.value.take()
    }

    /// Callers have matched `T` with the entry's type id, so the cell is a `TypedCell<T>`.
    pub(super) fn put<T: 'static>(&mut self, value: T) {
        if let Some(cell) = typed_mut(&mut *self.cell) {
            cell.value = Some(value);
        }
    }
}

/// Storage of one value, type erased. The only place of this room that knows `Any`.
pub(super) trait Cell: Any + Send {
    fn is_full(&self) -> bool;
    fn clear(&mut self);
    /// The value as JSON: `None` when the slot is not saved or is empty.
    fn save(&self) -> Option<Result<Value, serde_json::Error>>;
    fn load(&mut self, value: &Value) -> Result<(), PipelineError>;
}

struct TypedCell<T> {
    value: Option<T>,
    codec: Option<Codec<T>>,
}

impl<T: Send + 'static> Cell for TypedCell<T> {
    fn is_full(&self) -> bool {
        self.value.is_some()
    }

    fn clear(&mut self) {
        self.value = None;
    }

    fn save(&self) -> Option<Result<Value, serde_json::Error>> {
        Some((self.codec?.save)(self.value.as_ref()?))
    }

    fn load(&mut self, value: &Value) -> Result<(), PipelineError> {
        if let Some(codec) = self.codec {
            self.value = Some((codec.load)(value).map_err(PipelineError::failed)?);
        }
        Ok(())
    }
}

fn typed<T: 'static>(cell: &dyn Cell) -> Option<&TypedCell<T>> {
    (cell as &dyn Any).downcast_ref()
}

fn typed_mut<T: 'static>(cell: &mut dyn Cell) -> Option<&mut TypedCell<T>> {
    (cell as &mut dyn Any).downcast_mut()
}
