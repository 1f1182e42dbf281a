//! A progress bar with a small table under it, drawn in place.

use std::time::{Duration, Instant};

use skirl::config::StopCriteria;
use skirl::report::TrainResult;

use super::Progress;
use super::in_place::InPlace;
use super::row::{Start, cells, fraction};
use super::table::{bar, grid, terminal_width};

/// Redrawing takes longer than an iteration of a small network, so it is not done for each.
const INTERVAL: Duration = Duration::from_millis(50);
/// Iterations up to this long need no sign of life beside their results.
const PATIENCE: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(crate) struct LiveTable {
    place: InPlace,
    stop: StopCriteria,
    start: Start,
    drawn: Option<Instant>,
    last: Option<TrainResult>,
    widths: Vec<(&'static str, usize)>,
}

impl LiveTable {
    /// `waiting` says what is done before the first result, for example `iteration 1 of 4,000 steps`.
    pub(crate) fn new(stop: StopCriteria, waiting: String) -> Self {
        let place = InPlace::new(true);
        place.show_and_wait(&[], waiting, Duration::ZERO);
        Self { place, stop, start: Start::default(), drawn: None, last: None, widths: Vec::new() }
    }

    fn draw(&mut self, result: &TrainResult) {
        let lines = block(result, &self.stop, &self.start, &mut self.widths);
        let next = result.get_count("training_iteration").map_or(1, |iteration| iteration + 1);
        self.place.show_and_wait(&lines, format!("iteration {next}"), PATIENCE);
        self.drawn = Some(Instant::now());
    }
}

/// Bar and table of a result in the width of the terminal. `widths` remembers how wide the columns were.
pub(crate) fn block(
    result: &TrainResult,
    stop: &StopCriteria,
    start: &Start,
    widths: &mut Vec<(&'static str, usize)>,
) -> Vec<String> {
    // One column stays free: some terminals break a line that fills the last one.
    let width = terminal_width() - 1;
    let bar = (!stop.0.is_empty()).then(|| bar(fraction(result, stop, start), width));
    bar.into_iter().chain(grid(&cells(result, stop, start), width, widths)).collect()
}

impl Progress for LiveTable {
    fn result(&mut self, result: &TrainResult) {
        self.start.see(result);
        if self.drawn.is_none_or(|drawn| drawn.elapsed() >= INTERVAL) {
            self.draw(result);
        }
        self.last = Some(result.clone());
    }

    fn finish(&mut self) {
        let Some(last) = self.last.take() else { return self.place.clear() };
        self.start.end();
        self.place.show(&block(&last, &self.stop, &self.start, &mut self.widths));
        self.place.finish();
    }
}
