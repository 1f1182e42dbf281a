//! Ctrl-C and SIGTERM: the first lets the iteration finish and the state be saved, the second ends the process at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::exit::ExitStatus;

/// Raised by the first signal.
#[derive(Debug, Clone)]
pub(crate) struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    /// Listens from now on. Where a handler is set already (tests in one process), the flag simply stays down.
    pub(crate) fn listen() -> Self {
        let flag = Arc::new(AtomicBool::new(false));
        let raised = Arc::clone(&flag);
        let _ = ctrlc::set_handler(move || {
            if raised.swap(true, Ordering::AcqRel) {
                std::process::exit(i32::from(ExitStatus::Interrupted.code()));
            }
        });
        Self(flag)
    }

    pub(crate) fn is_raised(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}
