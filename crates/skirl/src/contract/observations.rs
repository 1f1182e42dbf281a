//! The column of observations. It is by far the largest one of a table, so its memory may be somebody else's: where
//! processes that step environments have written their rows into memory that they share, nothing is copied out of it.

use std::fmt;
use std::ops::{Deref, DerefMut};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Memory that is lent for one table. It belongs to whoever holds the value alone: nobody else reads it or writes to it
/// meanwhile. It goes back when the value is dropped.
pub trait LentMemory: fmt::Debug + Send + Sync {
    /// All of it; always as long.
    fn as_slice(&self) -> &[f32];

    /// All of it.
    fn as_mut_slice(&mut self) -> &mut [f32];
}

/// Module inputs, row after row: a vector, or memory that somebody lends. A copy is always a vector.
pub struct Observations(Memory);

enum Memory {
    Own(Vec<f32>),
    /// As many numbers as are in use, from the front.
    Lent(Box<dyn LentMemory>, usize),
}

impl Observations {
    /// All numbers of `memory`.
    pub fn lent(memory: Box<dyn LentMemory>) -> Self {
        let len = memory.as_slice().len();
        Self(Memory::Lent(memory, len))
    }

    /// Whether the memory is somebody else's.
    pub fn is_lent(&self) -> bool {
        matches!(self.0, Memory::Lent(..))
    }

    /// Numbers for which there is memory.
    pub fn capacity(&self) -> usize {
        match &self.0 {
            Memory::Own(values) => values.capacity(),
            Memory::Lent(memory, _) => memory.as_slice().len(),
        }
    }

    /// Drops what comes after the first `len` numbers.
    pub fn truncate(&mut self, len: usize) {
        match &mut self.0 {
            Memory::Own(values) => values.truncate(len),
            Memory::Lent(_, used) => *used = len.min(*used),
        }
    }

    /// Makes it `len` numbers long; new ones are 0. Lent memory does not grow: it is copied into a vector then.
    pub fn resize(&mut self, len: usize) {
        if self.is_lent() && len > self.len() {
            self.0 = Memory::Own(self.to_vec());
        }
        match &mut self.0 {
            Memory::Own(values) => lengthen(values, len),
            Memory::Lent(_, used) => *used = len,
        }
    }

    /// A vector of them: copied where the memory is lent.
    pub fn into_vec(self) -> Vec<f32> {
        match self.0 {
            Memory::Own(values) => values,
            Memory::Lent(memory, len) => memory.as_slice()[..len].to_vec(),
        }
    }

    /// Memory that the next table can have, with anything in it. Lent memory goes back instead, and nothing is left.
    pub fn into_spare(self) -> Vec<f32> {
        match self.0 {
            Memory::Own(values) => values,
            Memory::Lent(..) => Vec::new(),
        }
    }
}

/// As `resize` with zeros; memory that is new comes zeroed from the system instead of being written here.
pub(super) fn lengthen(column: &mut Vec<f32>, len: usize) {
    if column.capacity() == 0 { *column = vec![0.0; len] } else { column.resize(len, 0.0) }
}

impl Deref for Observations {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        match &self.0 {
            Memory::Own(values) => values,
            Memory::Lent(memory, len) => &memory.as_slice()[..*len],
        }
    }
}

impl DerefMut for Observations {
    fn deref_mut(&mut self) -> &mut [f32] {
        match &mut self.0 {
            Memory::Own(values) => values,
            Memory::Lent(memory, len) => &mut memory.as_mut_slice()[..*len],
        }
    }
}

impl Default for Observations {
    fn default() -> Self {
        Vec::new().into()
    }
}

impl From<Vec<f32>> for Observations {
    fn from(values: Vec<f32>) -> Self {
        Self(Memory::Own(values))
    }
}

impl Clone for Observations {
    fn clone(&self) -> Self {
        self.to_vec().into()
    }
}

impl PartialEq for Observations {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl fmt::Debug for Observations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}

impl Serialize for Observations {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        (**self).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Observations {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Vec::deserialize(deserializer).map(Self::from)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    /// Counts how many were given back.
    #[derive(Debug)]
    struct Lender(Vec<f32>, Arc<AtomicUsize>);

    impl LentMemory for Lender {
        fn as_slice(&self) -> &[f32] {
            &self.0
        }

        fn as_mut_slice(&mut self) -> &mut [f32] {
            &mut self.0
        }
    }

    impl Drop for Lender {
        fn drop(&mut self) {
            self.1.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn lent_memory_is_used_in_place_and_goes_back_once() {
        let back = Arc::new(AtomicUsize::new(0));
        let lend = || Observations::lent(Box::new(Lender(vec![1.0, 2.0, 3.0, 4.0], Arc::clone(&back))));
        let mut lent = lend();
        let memory = lent.as_ptr();
        lent[1] = 5.0;
        lent.truncate(3);
        assert_eq!((lent.as_ptr(), &lent[..], lent.capacity()), (memory, &[1.0, 5.0, 3.0][..], 4));
        let copy = lent.clone();
        assert!(lent.is_lent() && !copy.is_lent() && copy == lent);
        let saved = serde_json::to_string(&lent).unwrap();
        assert_eq!(
            (saved.as_str(), serde_json::from_str::<Observations>(&saved).unwrap()),
            ("[1.0,5.0,3.0]", copy)
        );
        assert_eq!(back.load(Ordering::Relaxed), 0);
        assert!(lent.into_spare().is_empty());
        assert_eq!(back.load(Ordering::Relaxed), 1);
        assert_eq!(lend().into_vec(), [1.0, 2.0, 3.0, 4.0]);
        // What was cut off does not come back.
        let mut grown = lend();
        grown.truncate(1);
        grown.resize(3);
        assert_eq!((&grown[..], grown.is_lent()), (&[1.0, 0.0, 0.0][..], false));
        assert_eq!(back.load(Ordering::Relaxed), 3);
    }
}
