//! Plain lines for pipes and log files.

use std::time::{Duration, Instant};

use skirl::config::StopCriteria;
use skirl::report::TrainResult;

use super::Progress;
use super::row::{Start, cells};
use super::table::remember;
use crate::output;

/// The first result is shown at once, later ones at most this often: a fast run makes hundreds of results a second.
const INTERVAL: Duration = Duration::from_millis(500);
/// A long run's log grows slowly: the interval becomes this share of the time so far, up to [`LONGEST`].
const SHARE: f64 = 0.02;
const LONGEST: Duration = Duration::from_secs(30);

#[derive(Debug)]
pub(crate) struct PlainLines {
    stop: StopCriteria,
    start: Start,
    begun: Instant,
    shown: Option<Instant>,
    pending: Option<TrainResult>,
    widths: Vec<(&'static str, usize)>,
    /// Before each line: of which run it is, where there are several.
    prefix: String,
}

impl PlainLines {
    pub(crate) fn new(stop: StopCriteria) -> Self {
        Self::of(stop, Start::default(), String::new())
    }

    /// Of a run that started before, or beside others.
    pub(crate) fn of(stop: StopCriteria, start: Start, prefix: String) -> Self {
        Self { stop, start, prefix, begun: Instant::now(), shown: None, pending: None, widths: Vec::new() }
    }

    fn show(&mut self, result: &TrainResult) {
        let cells = cells(result, &self.stop, &self.start).into_iter().map(|(name, value)| {
            let width = remember(&mut self.widths, name, value.chars().count());
            format!("{name} {value:>width$}")
        });
        let line = cells.collect::<Vec<_>>().join("  ");
        output::line(&format!("{}{line}", self.prefix));
        self.shown = Some(Instant::now());
    }
}

/// Time between two lines of a run that has lasted this long.
fn interval(elapsed: Duration) -> Duration {
    elapsed.mul_f64(SHARE).clamp(INTERVAL, LONGEST)
}

impl Progress for PlainLines {
    fn result(&mut self, result: &TrainResult) {
        self.start.see(result);
        let interval = interval(self.begun.elapsed());
        if self.shown.is_none_or(|shown| shown.elapsed() >= interval) {
            self.pending = None;
            self.show(result);
        } else {
            self.pending = Some(result.clone());
        }
    }

    fn finish(&mut self) {
        self.start.end();
        if let Some(last) = self.pending.take() {
            self.show(&last);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_become_rarer() {
        let seconds = Duration::from_secs;
        assert_eq!(interval(seconds(0)), INTERVAL);
        assert_eq!(interval(seconds(600)), seconds(12));
        assert_eq!(interval(seconds(86_400)), LONGEST);
    }
}
