//! Ctrl-C and SIGTERM: the first lets the stage finish and the state be saved, the second ends the process at once.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use skirl::run::RunStop;

use crate::exit::ExitStatus;
use crate::output;

/// Raised by the first signal.
#[derive(Debug, Clone, Default)]
pub(crate) struct Interrupt {
    is_raised: Arc<AtomicBool>,
    /// The run to stop, once it is there.
    run: Arc<OnceLock<RunStop>>,
}

impl Interrupt {
    /// Listens from now on. Where a handler is set already (tests in one process), the flag simply stays down.
    pub(crate) fn listen() -> Self {
        let interrupt = Self::default();
        let raised = interrupt.clone();
        let _ = ctrlc::set_handler(move || raised.raise());
        interrupt
    }

    fn raise(&self) {
        if self.is_raised.swap(true, Ordering::AcqRel) {
            output::remark(&format!("{}ended without saving; what was saved before stays", after_echo()));
            std::process::exit(i32::from(ExitStatus::Interrupted.code()));
        }
        output::remark(&format!(
            "{}stopping: finishing what is under way, then saving; Ctrl-C again ends at once",
            after_echo()
        ));
        if let Some(run) = self.run.get() {
            run.stop();
        }
    }

    /// Stops this run, at once if a signal came before.
    pub(crate) fn stops(&self, run: RunStop) {
        let run = self.run.get_or_init(|| run);
        if self.is_raised() {
            run.stop();
        }
    }

    pub(crate) fn is_raised(&self) -> bool {
        self.is_raised.load(Ordering::Acquire)
    }
}

/// A terminal has just shown ^C in the middle of a line.
fn after_echo() -> &'static str {
    if output::is_interactive() { "\n" } else { "" }
}
