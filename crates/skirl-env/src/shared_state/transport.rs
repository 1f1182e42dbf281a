//! Where shared state lives: in this process, or wherever another transport keeps it.

use std::fmt::Debug;
use std::sync::{Arc, Mutex, PoisonError};

use super::{Change, SharedStateError, SharedValues};

/// The way to where shared state lives. Arguments and results are plain data that can be serialised.
pub trait SharedTransport: Debug + Send + Sync {
    /// Everything as it is now.
    ///
    /// # Errors
    /// The other end does not answer.
    fn read(&self) -> Result<Arc<SharedValues>, SharedStateError>;

    /// Makes all changes, in this order and at once, or none of them ([`SharedValues::apply`] says how).
    ///
    /// # Errors
    /// Changes that cannot be made; the other end does not answer.
    fn apply(&self, changes: Vec<Change>) -> Result<(), SharedStateError>;

    /// Replaces everything.
    ///
    /// # Errors
    /// The other end does not answer.
    fn replace(&self, values: SharedValues) -> Result<(), SharedStateError>;
}

/// Shared state in the memory of this process.
#[derive(Debug, Default)]
pub struct InProcess {
    values: Mutex<Arc<SharedValues>>,
}

impl SharedTransport for InProcess {
    fn read(&self) -> Result<Arc<SharedValues>, SharedStateError> {
        Ok(Arc::clone(&self.values.lock().unwrap_or_else(PoisonError::into_inner)))
    }

    fn apply(&self, changes: Vec<Change>) -> Result<(), SharedStateError> {
        let mut values = self.values.lock().unwrap_or_else(PoisonError::into_inner);
        // Copied only if somebody still reads the old values.
        Arc::make_mut(&mut values).apply(changes)
    }

    fn replace(&self, values: SharedValues) -> Result<(), SharedStateError> {
        *self.values.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(values);
        Ok(())
    }
}
