//! Ctrl-C and SIGTERM: the first lets the iteration finish and the state be saved, the second ends the process at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::exit::ExitStatus;
use crate::output;

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
                output::remark(&format!("{}ended without saving; what was saved before stays", after_echo()));
                std::process::exit(i32::from(ExitStatus::Interrupted.code()));
            }
            output::remark(&format!(
                "{}stopping: this iteration is finished, then the state is saved; Ctrl-C again ends at once",
                after_echo()
            ));
        });
        Self(flag)
    }

    pub(crate) fn is_raised(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

/// A terminal has just shown ^C in the middle of a line.
fn after_echo() -> &'static str {
    if output::is_interactive() { "\n" } else { "" }
}
