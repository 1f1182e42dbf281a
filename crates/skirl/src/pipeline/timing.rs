//! Time per stage.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::error::PipelineError;
use super::middleware::{Flow, Half};
use super::wrapper::{Next, Wrapper};

/// Measures the wall-clock time of every stage, both halves. Make a [`reader`](Self::reader) before you hand it over.
///
/// Wrappers further in are measured with the stage, so wrap with the timing last to leave them out.
#[derive(Debug, Default)]
pub struct Timing {
    stages: TimingReader,
}

/// Reads what a [`Timing`] has measured so far, from anywhere.
#[derive(Debug, Clone, Default)]
pub struct TimingReader {
    stages: Arc<Mutex<Vec<StageTime>>>,
}

/// The time that one stage has taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StageTime {
    /// The stage.
    pub stage: String,
    /// Forward halves run, retries included.
    pub calls: u64,
    /// In the forward half, in total.
    pub forward: Duration,
    /// In the backward half, in total.
    pub backward: Duration,
}

impl StageTime {
    /// Seconds in both halves, in total.
    #[must_use]
    pub fn total_s(&self) -> f64 {
        (self.forward + self.backward).as_secs_f64()
    }

    /// Seconds per call, both halves.
    #[must_use]
    pub fn mean_s(&self) -> f64 {
        self.total_s() / self.calls.max(1) as f64
    }
}

impl Timing {
    /// A timing with nothing measured.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A reader on the same figures.
    #[must_use]
    pub fn reader(&self) -> TimingReader {
        self.stages.clone()
    }
}

impl TimingReader {
    /// The stages in the order of their first call.
    #[must_use]
    pub fn stages(&self) -> Vec<StageTime> {
        self.lock().clone()
    }

    /// Forgets all figures: for times per interval.
    pub fn reset(&self) {
        self.lock().clear();
    }

    fn add(&self, stage: &str, half: Half, time: Duration) {
        let mut stages = self.lock();
        let position = stages.iter().position(|known| known.stage == stage).unwrap_or_else(|| {
            let (stage, zero) = (stage.to_owned(), Duration::ZERO);
            stages.push(StageTime { stage, calls: 0, forward: zero, backward: zero });
            stages.len() - 1
        });
        let entry = &mut stages[position];
        match half {
            Half::Forward => {
                entry.calls += 1;
                entry.forward += time;
            }
            Half::Backward => entry.backward += time,
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<StageTime>> {
        // Figures stay figures after a panic elsewhere.
        self.stages.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Wrapper for Timing {
    fn name(&self) -> &'static str {
        "timing"
    }

    fn around(&mut self, next: &mut Next<'_, '_>) -> Result<Flow, PipelineError> {
        let start = Instant::now();
        let result = next.run();
        self.stages.add(next.stage(), next.half(), start.elapsed());
        result
    }
}
