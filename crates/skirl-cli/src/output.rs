//! Where text goes: results to stdout, remarks and errors to stderr.

use std::io::{ErrorKind, IsTerminal, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use console::style;
use indicatif::ProgressBar;

/// Whether somebody who read stdout through a pipe has gone.
static READER_GONE: AtomicBool = AtomicBool::new(false);
/// What is drawn in place at the lower end of the terminal: remarks go above it.
static DRAWN: Mutex<Option<ProgressBar>> = Mutex::new(None);

/// Whether a person watches a terminal that can draw in place: both streams are one, and it is not a dumb one.
pub(crate) fn is_interactive() -> bool {
    !console::is_dumb() && std::io::stdout().is_terminal() && std::io::stderr().is_terminal()
}

/// Characters that a line on stdout may have: those of the terminal but the last column, in which some terminals break the
/// line already; any number in a pipe.
pub(crate) fn line_width() -> usize {
    let size = if std::io::stdout().is_terminal() { console::Term::stdout().size_checked() } else { None };
    size.map_or(usize::MAX, |(_, columns)| usize::from(columns).saturating_sub(1))
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

/// The same, found out without writing: for whoever may have nothing to say for a long time.
pub(crate) fn reader_has_left() -> bool {
    #[cfg(unix)]
    {
        use rustix::event::{PollFd, PollFlags, Timespec, poll};
        let stdout = std::io::stdout();
        // Nothing is asked for: errors and hang-ups are reported all the same.
        let mut watched = [PollFd::new(&stdout, PollFlags::empty())];
        let looked = poll(&mut watched, Some(&Timespec { tv_sec: 0, tv_nsec: 0 }));
        if looked.is_ok() && watched[0].revents().intersects(PollFlags::ERR | PollFlags::HUP) {
            return true;
        }
    }
    reader_is_gone()
}

/// A remark beside the results.
pub(crate) fn remark(text: &str) {
    // Without a stderr there is nowhere to complain.
    let write = || drop(writeln!(std::io::stderr().lock(), "{text}"));
    let drawn = DRAWN.lock().unwrap_or_else(PoisonError::into_inner).clone();
    match drawn {
        Some(drawn) => drawn.suspend(write),
        None => write(),
    }
}

/// A remark that something may not be as the user thinks.
pub(crate) fn warning(text: &str) {
    remark(&format!("{} {text}", style("warning:").bold().for_stderr()));
}

/// Why the command ends without success.
pub(crate) fn error(text: &str) {
    remark(&format!("{} {text}", style("error:").red().bold().for_stderr()));
}

/// From now on remarks are written above what this draws; `None`: nothing is drawn any more.
pub(crate) fn draw_above(drawn: Option<ProgressBar>) {
    *DRAWN.lock().unwrap_or_else(PoisonError::into_inner) = drawn;
}
