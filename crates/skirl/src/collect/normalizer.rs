//! Running mean and standard deviation of observations (RLlib: `observation_filter = "MeanStdFilter"`).
//!
//! The statistics in use are frozen during a rollout, so that its rows were normalised alike and the learner's first
//! forward equals the one that acted. (An observation that waits for its action when a rollout ends keeps the form in
//! which that rollout saw it.) What the rollout saw is gathered for each environment apart and merged in
//! the order of the environments at its end: the same bytes for any number of threads.

use skirl_math::stats::ColumnMoments;

/// Standard deviations below this count as 1, so that a constant input stays finite.
const STD_MIN: f64 = 1e-4;

/// Normaliser of module inputs of width `D`.
#[derive(Debug, Clone, PartialEq)]
pub struct Normalizer {
    moments: ColumnMoments,
    /// Outputs are clipped into `[-clip, clip]`.
    clip: f32,
    /// Mean and 1/deviation in use.
    frozen: Vec<(f32, f32)>,
}

impl Normalizer {
    /// No data yet: inputs pass unchanged (but clipped).
    pub fn new(width: usize, clip: f32) -> Self {
        let mut normalizer = Self { moments: ColumnMoments::new(width), clip, frozen: Vec::new() };
        normalizer.freeze();
        normalizer
    }

    /// Takes the gathered statistics into use.
    pub fn freeze(&mut self) {
        self.frozen = (0..self.moments.mean.len())
            .map(|column| {
                let std = self.moments.variance(column).sqrt();
                let usable = self.moments.count > 1 && std > STD_MIN;
                (self.moments.mean[column] as f32, if usable { (1.0 / std) as f32 } else { 1.0 })
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
    pub fn merge(&mut self, seen: &ColumnMoments) {
        self.moments.merge(seen);
    }

    /// The running statistics.
    pub fn moments(&self) -> &ColumnMoments {
        &self.moments
    }

    /// Replaces the statistics (a restored checkpoint) and takes them into use.
    pub fn set_moments(&mut self, moments: ColumnMoments) {
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
        let mut seen = ColumnMoments::new(1);
        seen.push_row(&[1.0]);
        seen.push_row(&[3.0]);
        normalizer.merge(&seen);
        let mut row = [3.0];
        normalizer.apply(&mut row);
        assert_eq!(row, [3.0]);
        normalizer.freeze();
        normalizer.apply(&mut row);
        assert!((row[0] - 1.0).abs() < 1e-6, "{row:?}");
    }
}
