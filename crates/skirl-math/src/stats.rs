//! Statistics in f64 and in a fixed order: the same bytes however the data were produced, as long as they
//! come in the same order.

/// Count, mean and sum of squared deviations of a stream of numbers (Welford 1962; merged as in Chan, Golub,
/// LeVeque 1983).
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Moments {
    /// How many numbers.
    pub count: u64,
    /// Their mean; 0 if there are none.
    pub mean: f64,
    /// Sum of squared deviations from the mean.
    pub m2: f64,
}

impl Moments {
    /// Adds one number.
    pub fn push(&mut self, x: f64) {
        self.count += 1;
        let delta = x - self.mean;
        self.mean += delta / self.count as f64;
        self.m2 += delta * (x - self.mean);
    }

    /// Adds all numbers that `other` has seen. Merge in a fixed order (by environment): the last bits depend
    /// on it.
    pub fn merge(&mut self, other: &Self) {
        if other.count == 0 {
            return;
        }
        let (n_a, n_b) = (self.count as f64, other.count as f64);
        let delta = other.mean - self.mean;
        let total = n_a + n_b;
        self.mean += delta * (n_b / total);
        self.m2 += other.m2 + delta * delta * (n_a * n_b / total);
        self.count += other.count;
    }

    /// Variance with `n` in the denominator; 0 for fewer than one number.
    pub fn population_variance(&self) -> f64 {
        if self.count == 0 { 0.0 } else { self.m2 / self.count as f64 }
    }

    /// Variance with `n − 1` in the denominator; 0 for fewer than two numbers (never NaN).
    pub fn sample_variance(&self) -> f64 {
        if self.count < 2 { 0.0 } else { self.m2 / (self.count - 1) as f64 }
    }
}

/// One [`Moments`] per column of row-major data: what observation normalisation keeps. Public fields, so that
/// it can be saved.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ColumnMoments {
    /// Rows seen.
    pub count: u64,
    /// Mean of every column.
    pub mean: Vec<f64>,
    /// Sum of squared deviations of every column.
    pub m2: Vec<f64>,
}

impl ColumnMoments {
    /// No rows yet, `width` columns.
    pub fn new(width: usize) -> Self {
        Self { count: 0, mean: vec![0.0; width], m2: vec![0.0; width] }
    }

    /// Adds one row; elements past the width are not read.
    pub fn push_row(&mut self, row: &[f32]) {
        self.count += 1;
        let n = self.count as f64;
        for ((mean, m2), &x) in self.mean.iter_mut().zip(&mut self.m2).zip(row) {
            let x = f64::from(x);
            let delta = x - *mean;
            *mean += delta / n;
            *m2 += delta * (x - *mean);
        }
    }

    /// Adds all rows that `other` has seen. Merge in a fixed order.
    pub fn merge(&mut self, other: &Self) {
        if other.count == 0 {
            return;
        }
        let (n_a, n_b) = (self.count as f64, other.count as f64);
        let total = n_a + n_b;
        let columns = self.mean.iter_mut().zip(&mut self.m2).zip(other.mean.iter().zip(&other.m2));
        for ((mean, m2), (other_mean, other_m2)) in columns {
            let delta = other_mean - *mean;
            *mean += delta * (n_b / total);
            *m2 += other_m2 + delta * delta * (n_a * n_b / total);
        }
        self.count += other.count;
    }

    /// Variance of column `i` with `n` in the denominator; 1 before the first row, so that normalising by it
    /// changes nothing.
    pub fn variance(&self, i: usize) -> f64 {
        if self.count == 0 { 1.0 } else { self.m2[i] / self.count as f64 }
    }
}

/// Mean and standard deviation of a slice.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MeanStd {
    /// Mean.
    pub mean: f64,
    /// Standard deviation.
    pub std: f64,
}

/// Independent partial sums: a fixed number, so the result does not depend on the machine's vector width.
const LANES: usize = 8;

/// Sums `f(x)` over a slice in f64 in a fixed order: eight interleaved partial sums, then a fixed tree.
fn sum_by(xs: &[f32], f: impl Fn(f64) -> f64) -> f64 {
    let mut s = [0.0f64; LANES];
    let (chunks, rest) = xs.as_chunks::<LANES>();
    for chunk in chunks {
        for (s, &x) in s.iter_mut().zip(chunk) {
            *s += f(f64::from(x));
        }
    }
    for (s, &x) in s.iter_mut().zip(rest) {
        *s += f(f64::from(x));
    }
    fold(s)
}

/// The same over the pairs of two slices, as many as the shorter has.
fn sum_pairs_by(xs: &[f32], ys: &[f32], f: impl Fn(f64, f64) -> f64) -> f64 {
    let mut s = [0.0f64; LANES];
    let len = xs.len().min(ys.len());
    let ((x_chunks, x_rest), (y_chunks, y_rest)) =
        (xs[..len].as_chunks::<LANES>(), ys[..len].as_chunks::<LANES>());
    for (xs, ys) in x_chunks.iter().zip(y_chunks) {
        for ((s, &x), &y) in s.iter_mut().zip(xs).zip(ys) {
            *s += f(f64::from(x), f64::from(y));
        }
    }
    for ((s, &x), &y) in s.iter_mut().zip(x_rest).zip(y_rest) {
        *s += f(f64::from(x), f64::from(y));
    }
    fold(s)
}

fn fold(s: [f64; LANES]) -> f64 {
    ((s[0] + s[4]) + (s[2] + s[6])) + ((s[1] + s[5]) + (s[3] + s[7]))
}

/// Sum in f64, in a fixed order.
pub fn sum(xs: &[f32]) -> f64 {
    sum_by(xs, |x| x)
}

/// Mean in f64, in a fixed order; `None` of an empty slice.
pub fn mean(xs: &[f32]) -> Option<f64> {
    (!xs.is_empty()).then(|| sum(xs) / xs.len() as f64)
}

/// Count, mean and squared deviations of a slice: two passes, in f64, in a fixed order.
pub fn moments(xs: &[f32]) -> Moments {
    let mean = mean(xs).unwrap_or(0.0);
    Moments { count: xs.len() as u64, mean, m2: sum_by(xs, |x| (x - mean) * (x - mean)) }
}

/// How a deviation becomes a denominator.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Denominator {
    /// `max(population deviation, floor)`: RLlib's advantage standardisation, floor 1e-4.
    Floor(f64),
    /// `sample deviation + epsilon`: SB3's and CleanRL's, epsilon 1e-8. The deviation of a single number is
    /// taken as 0, not NaN.
    Add(f64),
}

/// Subtracts the mean and divides by the deviation, in place; returns what was used. An empty slice stays as
/// it is. A slice of equal numbers becomes zeros.
pub fn standardize(xs: &mut [f32], denominator: Denominator) -> MeanStd {
    let m = moments(xs);
    let std = match denominator {
        Denominator::Floor(floor) => m.population_variance().sqrt().max(floor),
        Denominator::Add(epsilon) => m.sample_variance().sqrt() + epsilon,
    };
    let (mean, scale) = (m.mean, 1.0 / std);
    for x in xs {
        *x = ((f64::from(*x) - mean) * scale) as f32;
    }
    MeanStd { mean, std }
}

/// `1 − Var(target − prediction) / Var(target)`: 1 is perfect, 0 no better than the mean, negative worse.
/// `None` when the targets do not vary or there are none: the ratio has no meaning then.
pub fn explained_variance(targets: &[f32], predictions: &[f32]) -> Option<f64> {
    let n = targets.len().min(predictions.len()) as f64;
    let mean = sum_pairs_by(targets, predictions, |t, p| t - p) / n;
    let residual = sum_pairs_by(targets, predictions, |t, p| (t - p - mean) * (t - p - mean)) / n;
    let variance = moments(targets).population_variance();
    (variance > 0.0).then(|| 1.0 - residual / variance)
}
