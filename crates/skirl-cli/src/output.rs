//! Where text goes: results to stdout, remarks and errors to stderr.

use std::io::{ErrorKind, IsTerminal, Write};

/// Whether a person watches: both streams are a terminal.
pub(crate) fn is_interactive() -> bool {
    std::io::stdout().is_terminal() && std::io::stderr().is_terminal()
}

/// A line of results. When the reader of a pipe has gone, there is nothing left to say: the process ends quietly, as other
/// commands do.
pub(crate) fn line(text: &str) {
    let mut stdout = std::io::stdout().lock();
    let written = writeln!(stdout, "{text}").and_then(|()| stdout.flush());
    if written.is_err_and(|error| error.kind() == ErrorKind::BrokenPipe) {
        std::process::exit(0);
    }
}

/// A remark beside the results.
pub(crate) fn remark(text: &str) {
    // Without a stderr there is nowhere to complain.
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}
