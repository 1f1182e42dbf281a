//! A progress bar with a small table under it, drawn in place.

use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use skirl::config::StopCriteria;
use skirl::report::TrainResult;

use super::Progress;
use super::row::{Start, cells, fraction};
use super::table::{grid, terminal_width};

/// Resolution of the bar.
const LENGTH: u64 = 1000;
/// Redrawing takes longer than an iteration of a small network, so it is not done for each.
const INTERVAL: Duration = Duration::from_millis(50);

#[derive(Debug)]
pub(crate) struct LiveTable {
    bar: ProgressBar,
    stop: StopCriteria,
    start: Start,
    drawn: Option<Instant>,
    last: Option<TrainResult>,
    widths: Vec<(&'static str, usize)>,
}

impl LiveTable {
    pub(crate) fn new(stop: StopCriteria) -> Self {
        let bar = new_bar(&stop);
        Self { bar, stop, start: Start::default(), drawn: None, last: None, widths: Vec::new() }
    }

    fn draw(&mut self, result: &TrainResult) {
        let cells = cells(result, &self.stop, &self.start);
        // One column stays free: some terminals break a line that fills the last one.
        let lines = grid(&cells, terminal_width() - 1, &mut self.widths);
        self.bar.set_position((fraction(result, &self.stop, &self.start) * LENGTH as f64) as u64);
        self.bar.set_message(lines.join("\n"));
        self.drawn = Some(Instant::now());
    }
}

fn new_bar(stop: &StopCriteria) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(Some(LENGTH), ProgressDrawTarget::stderr());
    // Colours follow NO_COLOR and the terminal's abilities.
    let template = if stop.0.is_empty() { "{msg}" } else { "{wide_bar:.cyan} {percent:>3}%\n{msg}" };
    bar.set_style(ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar
}

impl Progress for LiveTable {
    fn result(&mut self, result: &TrainResult) {
        self.start.see(result);
        if self.drawn.is_none_or(|drawn| drawn.elapsed() >= INTERVAL) {
            self.draw(result);
        }
        self.last = Some(result.clone());
    }

    fn begin_anew(&mut self) {
        // Hidden first: a bar that is dropped would move up and wipe lines that are no longer its own.
        self.bar.set_draw_target(ProgressDrawTarget::hidden());
        self.bar = new_bar(&self.stop);
        self.drawn = None;
    }

    fn finish(&mut self) {
        let Some(last) = self.last.take() else { return self.bar.finish_and_clear() };
        self.draw(&last);
        self.bar.abandon();
    }
}
