//! Running mean and standard deviation of observations (RLlib: `observation_filter = "MeanStdFilter"`).
//!
//! The statistics in use are frozen during a rollout, so that every row of it was normalised alike and the learner's
//! first forward equals the one that acted. What the rollout saw is gathered for each environment apart and merged in
//! the order of the environments at its end: the same bytes for any number of threads.

use serde::{Deserialize, Serialize};
use skirl_math::stats::Moments;

/// Standard deviations below this count as 1, so that a constant input stays finite.
const STD_MIN: f64 = 1e-4;

/// Normaliser of module inputs of width `D`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Normalizer {
    moments: Vec<Moments>,
    /// Outputs are clipped into `[-clip, clip]`.
    clip: f32,
    #[serde(skip)]
    frozen: Vec<(f32, f32)>,
}

impl Normalizer {
    /// No data yet: inputs pass unchanged (but clipped).
    pub fn new(width: usize, clip: f32) -> Self {
        let mut normalizer = Self { moments: vec![Moments::default(); width], clip, frozen: Vec::new() };
        normalizer.freeze();
        normalizer
    }

    /// Observations seen.
    pub fn count(&self) -> u64 {
        self.moments.first().map_or(0, Moments::count)
    }

    /// Takes the gathered statistics into use.
    pub fn freeze(&mut self) {
        self.frozen = self
            .moments
            .iter()
            .map(|moments| {
                let std = moments.variance().sqrt();
                let usable = moments.count() > 1 && std > STD_MIN;
                let mean = if moments.count() > 0 { moments.mean() } else { 0.0 };
                (mean as f32, if usable { (1.0 / std) as f32 } else { 1.0 })
            })
            .collect();
    }

    /// Normalises one row in place with the frozen statistics.
    pub fn apply(&self, row: &mut [f32]) {
        for (value, &(mean, inverse_std)) in row.iter_mut().zip(&self.frozen) {
            *value = ((*value - mean) * inverse_std).clamp(-self.clip, self.clip);
        }
    }

    /// Merges what one environment saw; call in the order of the environments, then [`freeze`](Self::freeze).
    pub fn merge(&mut self, seen: &[Moments]) {
        for (moments, other) in self.moments.iter_mut().zip(seen) {
            moments.merge(other);
        }
    }

    /// Empty statistics for one environment's share of a rollout.
    pub fn gather(width: usize) -> Vec<Moments> {
        vec![Moments::default(); width]
    }

    /// The running statistics, one for each input component.
    pub fn moments(&self) -> &[Moments] {
        &self.moments
    }

    /// Replaces the statistics (a restored checkpoint) and takes them into use.
    pub fn set_moments(&mut self, moments: Vec<Moments>) {
        self.moments = moments;
        self.freeze();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statistics_are_frozen_until_told() {
        let mut normalizer = Normalizer::new(1, 10.0);
        let mut seen = Normalizer::gather(1);
        for value in [1.0, 3.0] {
            seen[0].push(value);
        }
        normalizer.merge(&seen);
        let mut row = [3.0];
        normalizer.apply(&mut row);
        assert_eq!(row, [3.0]);
        normalizer.freeze();
        normalizer.apply(&mut row);
        assert!((row[0] - 1.0).abs() < 0.5, "{row:?}");
    }
}
