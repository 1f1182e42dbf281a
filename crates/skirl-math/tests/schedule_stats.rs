//! Schedules, running moments, explained variance, standardisation.

use skirl_math::rng::StreamKey;
use skirl_math::schedule::{Point, Schedule, ScheduleError};
use skirl_math::stats::{
    ColumnMoments, Denominator, Moments, explained_variance, mean, moments, standardize, sum,
};

fn points(list: &[(u64, f64)]) -> Vec<Point> {
    list.iter().map(|&(env_steps, value)| Point { env_steps, value }).collect()
}

#[test]
fn schedules_interpolate_and_hold() {
    let s = Schedule::piecewise_linear(points(&[(0, 1.0), (10, 0.5), (20, 0.5), (1 << 60, 0.0)])).unwrap();
    for (t, want) in [(0, 1.0), (1, 0.95), (5, 0.75), (10, 0.5), (15, 0.5), (20, 0.5)] {
        assert!((s.value(t) - want).abs() < 1e-12, "{t}");
    }
    assert_eq!((s.value(1 << 60), s.value(u64::MAX)), (0.0, 0.0));
    assert!(!s.is_constant());
    let c = Schedule::constant(3e-4).unwrap();
    assert_eq!((c.value(0), c.value(u64::MAX), c.is_constant()), (3e-4, 3e-4, true));
}

#[test]
fn bad_schedules_are_refused() {
    let refuse = |list: &[(u64, f64)]| Schedule::piecewise_linear(points(list)).unwrap_err();
    assert_eq!(refuse(&[(0, 1.0)]), ScheduleError::TooFewPoints { found: 1 });
    assert_eq!(refuse(&[(1, 1.0), (2, 0.0)]), ScheduleError::FirstNotZero { found: 1 });
    let backwards = refuse(&[(0, 1.0), (9, 0.0), (9, 0.0)]);
    assert_eq!(backwards, ScheduleError::NotIncreasing { index: 2, previous: 9, found: 9 });
    assert!(matches!(refuse(&[(0, 1.0), (9, f64::NAN)]), ScheduleError::NotFinite { index: 1, .. }));
    assert!(Schedule::constant(f64::INFINITY).is_err());
    assert!(backwards.to_string().contains("point 2"), "{backwards}");
}

fn data(n: usize) -> Vec<f32> {
    let mut stream = StreamKey::root(1).stream();
    (0..n).map(|_| 1000.0 + stream.normal() as f32).collect()
}

fn two_pass(xs: &[f32]) -> (f64, f64) {
    let mean = xs.iter().map(|&x| f64::from(x)).sum::<f64>() / xs.len() as f64;
    (mean, xs.iter().map(|&x| (f64::from(x) - mean).powi(2)).sum())
}

#[test]
fn moments_pushed_merged_and_at_once_agree() {
    for n in [1usize, 2, 7, 8, 9, 1000] {
        let xs = data(n);
        let (mean, m2) = two_pass(&xs);
        let mut pushed = Moments::default();
        for &x in &xs {
            pushed.push(f64::from(x));
        }
        let (mut merged, mut part) = (Moments::default(), Moments::default());
        for chunk in xs.chunks(3) {
            part = Moments::default();
            for &x in chunk {
                part.push(f64::from(x));
            }
            merged.merge(&part);
        }
        part.merge(&Moments::default());
        for m in [pushed, merged, moments(&xs)] {
            assert_eq!(m.count, n as u64);
            assert!((m.mean - mean).abs() < 1e-9 && (m.m2 - m2).abs() < 1e-7 * n as f64, "{m:?}");
        }
    }
    let none = Moments::default();
    assert_eq!((none.population_variance(), none.sample_variance()), (0.0, 0.0));
    assert_eq!((mean(&[]), sum(&[])), (None, 0.0));
}

#[test]
fn column_moments_agree_with_scalar_ones() {
    let xs = data(90);
    let (mut whole, mut merged) = (ColumnMoments::new(3), ColumnMoments::new(3));
    assert_eq!(whole.variance(0), 1.0);
    for block in xs.chunks(21) {
        let mut part = ColumnMoments::new(3);
        for row in block.chunks(3) {
            part.push_row(row);
            whole.push_row(row);
        }
        merged.merge(&part);
    }
    for i in 0..3 {
        let column: Vec<f32> = xs.iter().skip(i).step_by(3).copied().collect();
        let (mean, m2) = two_pass(&column);
        for m in [&whole, &merged] {
            assert!((m.mean[i] - mean).abs() < 1e-9 && (m.variance(i) - m2 / 30.0).abs() < 1e-9);
        }
    }
}

#[test]
fn standardised_numbers_have_mean_0_and_deviation_1() {
    let xs = data(501);
    let (mean, m2) = two_pass(&xs);
    for (denominator, std) in
        [(Denominator::Floor(1e-4), (m2 / 501.0).sqrt()), (Denominator::Add(0.5), (m2 / 500.0).sqrt() + 0.5)]
    {
        let mut ys = xs.clone();
        let used = standardize(&mut ys, denominator);
        assert!((used.mean - mean).abs() < 1e-9 && (used.std - std).abs() < 1e-9);
        for (x, y) in xs.iter().zip(&ys) {
            assert!((f64::from(*y) - (f64::from(*x) - mean) / std).abs() < 1e-6);
        }
    }
}

#[test]
fn standardising_nothing_or_equal_numbers_stays_finite() {
    for denominator in [Denominator::Floor(1e-4), Denominator::Add(1e-8)] {
        standardize(&mut [], denominator);
        for n in [1, 5] {
            let mut xs = vec![3.5; n];
            standardize(&mut xs, denominator);
            assert_eq!(xs, vec![0.0; n]);
        }
    }
}

#[test]
fn explained_variance_of_good_bad_and_meaningless() {
    let targets = [1.0, 2.0, 3.0, 4.0];
    assert_eq!(explained_variance(&targets, &targets), Some(1.0));
    assert_eq!(explained_variance(&targets, &[9.0; 4]), Some(0.0));
    assert_eq!(explained_variance(&targets, &[4.0, 3.0, 2.0, 1.0]), Some(-3.0));
    assert_eq!(explained_variance(&[2.0; 4], &targets), None);
    assert_eq!(explained_variance(&[], &[]), None);
}
