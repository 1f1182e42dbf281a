//! Counts per second.

use std::time::Duration;

use crate::report::TrainResult;

/// Rate of a counter, over this iteration and since the process began or resumed (RLlib's
/// `throughput_since_last_reduce` and `throughput_since_last_restore`).
///
/// The caller measures the time (with a monotonic clock), so that this holds no clock. It is not part of a checkpoint.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Throughput {
    since_last_reduce: Interval,
    since_last_restore: Interval,
}

#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Interval {
    count: u64,
    seconds: f64,
}

impl Interval {
    fn add(&mut self, count: u64, elapsed: Duration) {
        self.count = self.count.saturating_add(count);
        self.seconds += elapsed.as_secs_f64();
    }

    fn rate(self) -> Option<f64> {
        (self.seconds > 0.0).then(|| self.count as f64 / self.seconds)
    }
}

impl Throughput {
    /// No counts yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// `count` more events took `elapsed`.
    pub fn add(&mut self, count: u64, elapsed: Duration) {
        self.since_last_reduce.add(count, elapsed);
        self.since_last_restore.add(count, elapsed);
    }

    /// Starts the rate of this iteration afresh.
    pub fn begin_iteration(&mut self) {
        self.since_last_reduce = Interval::default();
    }

    /// Events per second of this iteration; `None` before any time has passed.
    pub fn since_last_reduce(&self) -> Option<f64> {
        self.since_last_reduce.rate()
    }

    /// Events per second since the process began or resumed.
    pub fn since_last_restore(&self) -> Option<f64> {
        self.since_last_restore.rate()
    }

    /// Writes both rates below `path` (`env_runners/num_env_steps_sampled_lifetime_throughput`).
    pub fn report_into(&self, result: &mut TrainResult, path: &str) {
        result.set(&format!("{path}/throughput_since_last_reduce"), self.since_last_reduce());
        result.set(&format!("{path}/throughput_since_last_restore"), self.since_last_restore());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_of_the_iteration_and_of_the_run() {
        let mut throughput = Throughput::new();
        assert_eq!(throughput.since_last_reduce(), None);
        throughput.add(100, Duration::from_secs(1));
        throughput.begin_iteration();
        throughput.add(300, Duration::from_secs(1));
        assert_eq!(throughput.since_last_reduce(), Some(300.0));
        assert_eq!(throughput.since_last_restore(), Some(200.0));
    }
}
