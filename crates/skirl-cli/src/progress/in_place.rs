//! Lines that are drawn over each other at the lower end of the terminal.

use std::fmt::Write;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};

use crate::number::whole_duration;
use crate::output;

/// How often the sign of life moves.
const TICK: Duration = Duration::from_millis(100);

/// A block of lines that is drawn anew in place. Remarks are written above it while it lives.
#[derive(Debug)]
pub(crate) struct InPlace {
    bar: ProgressBar,
}

impl InPlace {
    /// With `ticks`, the sign of life of [`show_and_wait`](Self::show_and_wait) moves by itself.
    pub(crate) fn new(ticks: bool) -> Self {
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
        bar.set_style(style("{msg}"));
        if ticks {
            bar.enable_steady_tick(TICK);
        }
        output::draw_above(Some(bar.clone()));
        Self { bar }
    }

    /// Draws these lines instead of those before.
    pub(crate) fn show(&self, lines: &[String]) {
        self.bar.set_style(style("{msg}"));
        self.bar.set_message(lines.join("\n"));
    }

    /// The same, and under them, once nothing else came for `patience`, what is waited for, how long already, and a sign
    /// of life.
    pub(crate) fn show_and_wait(&self, lines: &[String], what: String, patience: Duration) {
        let line_break = if lines.is_empty() { "" } else { "\n" };
        let alive = move |state: &ProgressState, out: &mut dyn Write| {
            let elapsed = state.elapsed();
            if elapsed >= patience {
                let time = whole_duration(elapsed.as_secs());
                let _ = write!(out, "{line_break}{} {what}: {time}", turning(elapsed));
            }
        };
        self.bar.reset_elapsed();
        self.bar.set_style(style("{msg}{alive}").with_key("alive", alive));
        self.bar.set_message(lines.join("\n"));
    }

    /// Leaves the lines where they are.
    pub(crate) fn finish(&self) {
        output::draw_above(None);
        self.bar.set_style(style("{msg}"));
        self.bar.abandon();
    }

    /// Takes the lines away.
    pub(crate) fn clear(&self) {
        output::draw_above(None);
        self.bar.finish_and_clear();
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

/// A sign of life that every font has.
fn turning(elapsed: Duration) -> char {
    ['|', '/', '-', '\\'][(elapsed.as_millis() / TICK.as_millis()) as usize % 4]
}
