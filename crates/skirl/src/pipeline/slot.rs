//! Slots: the typed names under which middlewares hand values to each other.

use std::any::{TypeId, type_name};
use std::fmt;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// How long a slot's value lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Life {
    /// Gone when the next iteration starts.
    Iteration,
    /// Stays until it is overwritten or taken, for any number of iterations.
    Kept,
}

/// A typed name in the context. Define slots as constants and share the constant; the type goes with the name.
///
/// ```
/// use skirl::pipeline::Slot;
/// pub const SAMPLE: Slot<Vec<f32>> = Slot::iteration("sample");
/// pub const ENV_STEPS: Slot<u64> = Slot::kept("env_steps");
/// ```
pub struct Slot<T> {
    name: &'static str,
    life: Life,
    codec: Option<Codec<T>>,
}

/// How a kept value goes to a checkpoint and back.
pub(super) struct Codec<T> {
    pub(super) save: fn(&T) -> Result<Value, serde_json::Error>,
    pub(super) load: fn(&Value) -> Result<T, serde_json::Error>,
}

impl<T: Send + 'static> Slot<T> {
    /// A slot whose value is renewed (emptied) at the start of every iteration.
    #[must_use]
    pub const fn iteration(name: &'static str) -> Self {
        Self { name, life: Life::Iteration, codec: None }
    }

    /// A kept slot that is left out of checkpoints: for values that are rebuilt, such as caches and handles.
    #[must_use]
    pub const fn kept_unsaved(name: &'static str) -> Self {
        Self { name, life: Life::Kept, codec: None }
    }

    pub(super) fn info(self) -> SlotInfo {
        SlotInfo {
            name: self.name,
            life: self.life,
            saved: self.codec.is_some(),
            type_id: TypeId::of::<T>(),
            type_name: type_name::<T>(),
        }
    }
}

impl<T: Serialize + DeserializeOwned + Send + 'static> Slot<T> {
    /// A slot that survives every renewal and is part of [`Task::save_state`](super::Task::save_state). Meant for
    /// counters and small values; keep large data in the middleware that owns it.
    #[must_use]
    pub const fn kept(name: &'static str) -> Self {
        Self { name, life: Life::Kept, codec: Some(Codec { save: save::<T>, load: load::<T> }) }
    }
}

impl<T> Slot<T> {
    /// The slot's name, unique in a pipeline.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// How long its value lives.
    #[must_use]
    pub const fn life(&self) -> Life {
        self.life
    }

    pub(super) const fn codec(&self) -> Option<Codec<T>> {
        self.codec
    }
}

// By hand: a derive would ask for `T: Clone` although no T is stored.
impl<T> Clone for Slot<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Slot<T> {}

impl<T> fmt::Debug for Slot<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Slot<{}>({:?}, {:?})", type_name::<T>(), self.name, self.life)
    }
}

impl<T> Clone for Codec<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Codec<T> {}

/// What is known of a slot once its type parameter is erased.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SlotInfo {
    pub(super) name: &'static str,
    pub(super) life: Life,
    pub(super) saved: bool,
    pub(super) type_id: TypeId,
    pub(super) type_name: &'static str,
}

impl SlotInfo {
    /// Type first: two integers decide almost every comparison on the hot path.
    pub(super) fn is<T: 'static>(&self, slot: Slot<T>) -> bool {
        self.type_id == TypeId::of::<T>() && self.name == slot.name
    }

    pub(super) fn describe(&self) -> String {
        let life = match (self.life, self.saved) {
            (Life::Iteration, _) => "one iteration",
            (Life::Kept, true) => "kept",
            (Life::Kept, false) => "kept, unsaved",
        };
        format!("{} ({life})", self.type_name)
    }
}

fn save<T: Serialize>(value: &T) -> Result<Value, serde_json::Error> {
    serde_json::to_value(value)
}

fn load<T: DeserializeOwned>(value: &Value) -> Result<T, serde_json::Error> {
    T::deserialize(value)
}
