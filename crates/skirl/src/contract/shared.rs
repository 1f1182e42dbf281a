//! Parts that a pipeline's stages share with whoever saves, evaluates or inspects them.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A part with several owners. Stages run one after the other, so the lock is never waited for.
#[derive(Debug)]
pub struct Shared<T>(Arc<Mutex<T>>);

impl<T> Shared<T> {
    /// Shares `value`.
    pub fn new(value: T) -> Self {
        Self(Arc::new(Mutex::new(value)))
    }

    /// The value; a panic elsewhere while it was held does not make it unreachable.
    pub fn lock(&self) -> MutexGuard<'_, T> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Clone for Shared<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}
