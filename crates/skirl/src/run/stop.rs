//! Asking a run to stop from outside, as a signal handler does.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::pipeline::StopHandle;

/// Asks a [`Run`](super::Run) to save and end, from any thread. Cheap to clone.
///
/// A short iteration is finished. A long one (the one before took a second or more) ends after the stage under way; the
/// run then goes back to the end of the iteration before, of which it holds the state, so that a resumed run makes the
/// same bytes as one that was never stopped.
#[derive(Debug, Clone, Default)]
pub struct RunStop {
    is_asked: Arc<AtomicBool>,
    /// Cuts the iteration under way; none while it must be finished.
    cut: Arc<Mutex<Option<StopHandle>>>,
}

impl RunStop {
    /// Asks for a stop.
    pub fn stop(&self) {
        self.is_asked.store(true, Ordering::Release);
        if let Some(handle) = &*self.lock() {
            handle.stop("interrupted");
        }
    }

    /// Whether a stop was asked for.
    #[must_use]
    pub fn is_asked(&self) -> bool {
        self.is_asked.load(Ordering::Acquire)
    }

    /// The request was honoured: a later call of the same run starts without it.
    pub(super) fn clear(&self) {
        self.is_asked.store(false, Ordering::Release);
    }

    /// From now on a request cuts the iteration, or no longer does.
    pub(super) fn allow_cut(&self, handle: Option<StopHandle>) {
        *self.lock() = handle;
    }

    fn lock(&self) -> MutexGuard<'_, Option<StopHandle>> {
        // A panic elsewhere cannot leave the handle half-written.
        self.cut.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
