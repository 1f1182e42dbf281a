//! Where text goes: results to stdout, remarks and errors to stderr.

use std::io::{ErrorKind, IsTerminal, Write};
use std::sync::atomic::{AtomicBool, Ordering};

/// Whether somebody who read stdout through a pipe has gone.
static READER_GONE: AtomicBool = AtomicBool::new(false);

/// Whether a person watches a terminal that can draw in place: both streams are one, and it is not a dumb one.
pub(crate) fn is_interactive() -> bool {
    let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
    !dumb && std::io::stdout().is_terminal() && std::io::stderr().is_terminal()
}

/// A line of results. A reader that has gone is remembered, not an error: `head` reads no more than it wants.
pub(crate) fn line(text: &str) {
    let mut stdout = std::io::stdout().lock();
    let written = writeln!(stdout, "{text}").and_then(|()| stdout.flush());
    if written.is_err_and(|error| error.kind() == ErrorKind::BrokenPipe) {
        READER_GONE.store(true, Ordering::Relaxed);
    }
}

/// Whether nobody reads [`line`]s any more.
pub(crate) fn reader_is_gone() -> bool {
    READER_GONE.load(Ordering::Relaxed)
}

/// A remark beside the results.
pub(crate) fn remark(text: &str) {
    // Without a stderr there is nowhere to complain.
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}
