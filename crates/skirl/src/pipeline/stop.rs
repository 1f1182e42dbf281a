//! Stop requests from outside: another thread, a signal handler, another task.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Asks a [`Task`](super::Task) to stop. Cheap to clone; honoured between stages, so a running half is never cut.
///
/// The request stays until [`clear`](Self::clear).
#[derive(Debug, Clone, Default)]
pub struct StopHandle {
    flag: Arc<AtomicBool>,
    reason: Arc<Mutex<Option<String>>>,
}

impl StopHandle {
    /// A handle on a flag that something else raises, such as a signal handler.
    #[must_use]
    pub fn watching(flag: Arc<AtomicBool>) -> Self {
        Self { flag, reason: Arc::default() }
    }

    /// Asks for a stop. The first reason is the one recorded.
    pub fn stop(&self, reason: impl Into<String>) {
        self.lock().get_or_insert_with(|| reason.into());
        self.flag.store(true, Ordering::Release);
    }

    /// True once a stop was asked for.
    #[must_use]
    pub fn is_raised(&self) -> bool {
        self.flag.load(Ordering::Acquire)
    }

    /// The recorded reason, `None` while no stop was asked for.
    #[must_use]
    pub fn reason(&self) -> Option<String> {
        self.is_raised().then(|| self.lock().clone().unwrap_or_else(|| "stop flag raised".to_owned()))
    }

    /// The flag itself, for signal handlers, which may do no more than store `true`.
    #[must_use]
    pub fn flag(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.flag)
    }

    /// Withdraws the request, so that the task can run on.
    pub fn clear(&self) {
        let mut reason = self.lock();
        *reason = None;
        self.flag.store(false, Ordering::Release);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<String>> {
        // A panic elsewhere cannot leave an Option<String> half-written.
        self.reason.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
