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
