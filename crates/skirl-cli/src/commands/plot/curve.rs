//! From the points of several runs to one curve.

use skirl_draw::Sample;

use crate::args::{AfterEnd, Spread};

/// Points of one run, by x.
type Points = [(f64, f64)];

/// Each value as the mean of the `window` around it, of fewer at the ends. Nothing moves along x.
pub(super) fn smoothed(points: &Points, window: usize) -> Vec<(f64, f64)> {
    let (before, after) = ((window - 1) / 2, window / 2);
    let mean = |index: usize| {
        let around = &points[index.saturating_sub(before)..(index + after + 1).min(points.len())];
        around.iter().map(|(_, y)| y).sum::<f64>() / around.len() as f64
    };
    points.iter().enumerate().map(|(index, (x, _))| (*x, mean(index))).collect()
}

/// Median and spread of the runs at every x of any of them, from where all have begun to where the first ends (or the
/// last, with values held). Between its points a run is a straight line.
pub(super) fn together(runs: &[Vec<(f64, f64)>], spread: Spread, after_end: AfterEnd) -> Vec<Sample> {
    let first = |run: &Vec<(f64, f64)>| run.first().map_or(f64::INFINITY, |(x, _)| *x);
    let last = |run: &Vec<(f64, f64)>| run.last().map_or(f64::NEG_INFINITY, |(x, _)| *x);
    let start = runs.iter().map(first).fold(f64::NEG_INFINITY, f64::max);
    let end = match after_end {
        AfterEnd::Cut => runs.iter().map(last).fold(f64::INFINITY, f64::min),
        AfterEnd::Hold => runs.iter().map(last).fold(f64::NEG_INFINITY, f64::max),
    };
    let mut xs: Vec<f64> =
        runs.iter().flatten().map(|(x, _)| *x).filter(|x| (start..=end).contains(x)).collect();
    xs.sort_by(f64::total_cmp);
    xs.dedup();
    xs.into_iter()
        .map(|x| sample(x, runs.iter().filter_map(|run| value_at(run, x)).collect(), spread))
        .collect()
}

fn sample(x: f64, mut values: Vec<f64>, spread: Spread) -> Sample {
    values.sort_by(f64::total_cmp);
    let middle = quantile(&values, 0.5);
    let (low, high) = match spread {
        Spread::MinMax => (quantile(&values, 0.0), quantile(&values, 1.0)),
        Spread::Quartiles => (quantile(&values, 0.25), quantile(&values, 0.75)),
        Spread::None => (middle, middle),
    };
    Sample { x, middle, low, high }
}

/// The value of a run at `x`; after its end, its last one.
fn value_at(points: &Points, x: f64) -> Option<f64> {
    let after = points.partition_point(|(at, _)| *at < x);
    let Some((right, y)) = points.get(after).copied() else { return points.last().map(|(_, y)| *y) };
    let Some((left, before)) = after.checked_sub(1).map(|index| points[index]) else { return Some(y) };
    Some(if right == x { y } else { before + (y - before) * (x - left) / (right - left) })
}

/// A quantile of sorted values, with straight lines between them (as NumPy's default).
fn quantile(sorted: &[f64], share: f64) -> f64 {
    let place = share * sorted.len().saturating_sub(1) as f64;
    let (below, above) = (place.floor() as usize, place.ceil() as usize);
    match (sorted.get(below), sorted.get(above)) {
        (Some(below), Some(above)) => below + (above - below) * place.fract(),
        _ => f64::NAN,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Some runs with different numbers of results at different steps.
    fn runs() -> Vec<Vec<(f64, f64)>> {
        let run = |seed: u32| {
            let value = |index: u32| f64::from((index * 7919 + seed * 104_729) % 1_000);
            (1..40 + seed * 5).map(|index| (f64::from(index * (90 + seed)), value(index))).collect()
        };
        (0..5).map(run).collect()
    }

    /// Straight lines between points, by looking at every pair of neighbours.
    fn line(run: &[(f64, f64)], x: f64) -> f64 {
        for pair in run.windows(2) {
            let ((left, below), (right, above)) = (pair[0], pair[1]);
            if left <= x && x <= right {
                let share = (x - left) / (right - left);
                return below * (1.0 - share) + above * share;
            }
        }
        run[run.len() - 1].1
    }

    #[test]
    fn median_and_spread_are_those_of_the_runs_at_every_x() {
        let runs = runs();
        for (spread, after_end) in [
            (Spread::MinMax, AfterEnd::Cut),
            (Spread::Quartiles, AfterEnd::Hold),
            (Spread::None, AfterEnd::Cut),
        ] {
            let samples = together(&runs, spread, after_end);
            let ends = runs.iter().map(|run| run[run.len() - 1].0);
            let end = match after_end {
                AfterEnd::Cut => ends.fold(f64::INFINITY, f64::min),
                AfterEnd::Hold => ends.fold(0.0, f64::max),
            };
            assert_eq!(samples.last().map(|sample| sample.x), Some(end));
            assert_eq!(samples.first().map(|sample| sample.x), Some(94.0), "where all runs have begun");
            for sample in &samples {
                let mut values: Vec<f64> = runs.iter().map(|run| line(run, sample.x)).collect();
                values.sort_by(f64::total_cmp);
                // Of five values the middle one; the quartiles are the ones beside it.
                let (low, high) = match spread {
                    Spread::MinMax => (values[0], values[4]),
                    Spread::Quartiles => (values[1], values[3]),
                    Spread::None => (values[2], values[2]),
                };
                let expected = [values[2], low, high];
                for (found, expected) in [sample.middle, sample.low, sample.high].into_iter().zip(expected) {
                    assert!((found - expected).abs() < 1e-9, "{sample:?}, expected {expected:?}");
                }
            }
        }
    }

    #[test]
    fn an_even_number_of_runs_has_its_median_in_the_middle() {
        let runs: Vec<Vec<(f64, f64)>> = [1.0, 2.0, 4.0, 8.0].map(|y| vec![(1.0, y)]).to_vec();
        let samples = together(&runs, Spread::Quartiles, AfterEnd::Cut);
        assert_eq!(samples, [Sample { x: 1.0, middle: 3.0, low: 1.75, high: 5.0 }]);
    }

    #[test]
    fn smoothing_is_a_mean_of_neighbours_and_moves_nothing() {
        let points: Vec<(f64, f64)> =
            (0..9).map(|index| (f64::from(index), f64::from(index * index))).collect();
        assert_eq!(smoothed(&points, 1), points);
        let smooth = smoothed(&points, 3);
        assert_eq!(smooth[4], (4.0, (9.0 + 16.0 + 25.0) / 3.0));
        assert_eq!(smooth[0], (0.0, 0.5));
        assert_eq!(smoothed(&points, 100)[0].1, points.iter().map(|(_, y)| y).sum::<f64>() / 9.0);
    }
}
