//! Which middleware writes which slot: the table behind the advice for a missing stage.

use std::collections::BTreeMap;

use super::slot::Slot;

/// Known writers of slots. Parts that ship middlewares add theirs, so that a pipeline without one can name it.
///
/// ```
/// # use skirl::pipeline::{KnownWriters, Slot};
/// # const ADVANTAGES: Slot<Vec<f32>> = Slot::iteration("advantages");
/// let writers = KnownWriters::new().add(ADVANTAGES, "gae").add(ADVANTAGES, "vtrace");
/// # let _ = writers;
/// ```
#[derive(Debug, Clone, Default)]
pub struct KnownWriters {
    by_slot: BTreeMap<&'static str, Vec<String>>,
}

impl KnownWriters {
    /// An empty table.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The same table with one more writer.
    #[must_use]
    pub fn add<T>(mut self, slot: Slot<T>, writer: impl Into<String>) -> Self {
        self.by_slot.entry(slot.name()).or_default().push(writer.into());
        self
    }

    pub(super) fn extend(&mut self, other: Self) {
        for (slot, writers) in other.by_slot {
            self.by_slot.entry(slot).or_default().extend(writers);
        }
    }

    pub(super) fn advice(&self, slot: &str, reader: &str) -> String {
        let names: Vec<_> =
            self.by_slot.get(slot).into_iter().flatten().map(|name| format!("`{name}`")).collect();
        if names.is_empty() {
            return format!(
                "add a middleware that writes it before `{reader}`, or provide it from outside with `PipelineBuilder::provides`"
            );
        }
        format!("add {} before `{reader}`", names.join(" or "))
    }
}
