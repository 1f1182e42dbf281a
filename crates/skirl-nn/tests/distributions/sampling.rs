//! What is drawn follows the distribution: χ² and Kolmogorov–Smirnov at α = 1e-6 with fixed seeds, Monte Carlo entropy, and the
//! expectation of the score, which is zero.

use skirl_math::rng::StreamKey;
use skirl_nn::distributions::{Categorical, DiagGaussian, Distribution, MultiCategorical, SquashedGaussian};

use super::{Actions, all, backward, evaluate, noise, sample};

const DRAWS: usize = 40_000;

fn streams() -> Vec<StreamKey> {
    (0..DRAWS as u64).map(|i| StreamKey::root(8).index(i)).collect()
}

/// The χ² quantile at 1 − 1e-6 (Wilson and Hilferty 1931).
fn chi2_critical(dof: f64) -> f64 {
    let a = 2.0 / (9.0 * dof);
    dof * (1.0 - a + 4.7534 * a.sqrt()).powi(3)
}

fn assert_chi2(counts: &[u64], probs: &[f64]) {
    let n: u64 = counts.iter().sum();
    let term = |(&c, &p): (&u64, &f64)| (c as f64 - n as f64 * p).powi(2) / (n as f64 * p);
    let chi2: f64 = counts.iter().zip(probs).map(term).sum();
    assert!(chi2 < chi2_critical((counts.len() - 1) as f64), "χ² {chi2}: {counts:?} for {probs:?}");
}

fn softmax(logits: &[f32]) -> Vec<f64> {
    let e: Vec<f64> = logits.iter().map(|&z| f64::from(z).exp()).collect();
    e.iter().map(|x| x / e.iter().sum::<f64>()).collect()
}

#[test]
fn categorical_frequencies() {
    for logits in [vec![0.0, 1.0], vec![-1.0, 0.5, 2.0, 0.0, -2.5, 1.0, 1.0], noise("logits", 60, 0.7)] {
        let n = logits.len();
        let (actions, _) = sample(&Categorical::new(n).unwrap(), &logits.repeat(DRAWS), &streams(), 0);
        let Actions::Discrete(ids) = actions else { unreachable!() };
        let mut counts = vec![0; n];
        for &a in &ids {
            counts[a as usize] += 1;
        }
        assert_chi2(&counts, &softmax(&logits));
    }
}

#[test]
fn components_are_independent() {
    let logits = [0.0, 1.0, -0.5, 0.3, 0.9];
    let dist = MultiCategorical::new(&[3, 2]).unwrap();
    let (actions, _) = sample(&dist, &logits.repeat(DRAWS), &streams(), 5);
    let Actions::Discrete(ids) = actions else { unreachable!() };
    let mut counts = vec![0; 6];
    for a in ids.chunks(2) {
        counts[(a[0] * 2 + a[1]) as usize] += 1;
    }
    let (first, second) = (softmax(&logits[..3]), softmax(&logits[3..]));
    let joint: Vec<f64> = first.iter().flat_map(|p| second.iter().map(move |q| p * q)).collect();
    assert_chi2(&counts, &joint);
}

/// Φ by the series of erf with positive terms only.
fn normal_cdf(z: f64) -> f64 {
    let (mut term, mut sum, mut k) = (z, z, 1.0);
    while term.abs() > 1e-17 * sum.abs() {
        k += 2.0;
        term *= z * z / k;
        sum += term;
    }
    0.5 + sum * (-0.5 * z * z).exp() / std::f64::consts::TAU.sqrt()
}

fn assert_ks(mut cdf: Vec<f64>) {
    cdf.sort_by(f64::total_cmp);
    let n = cdf.len() as f64;
    let gap = |(i, u): (usize, &f64)| (u - i as f64 / n).abs().max(((i + 1) as f64 / n - u).abs());
    let distance = cdf.iter().enumerate().map(gap).fold(0.0, f64::max);
    assert!(distance * n.sqrt() < 2.694, "Kolmogorov–Smirnov {}", distance * n.sqrt());
}

#[test]
fn gaussian_draws_are_normal() {
    let (mean, log_std) = ([0.5f32, -2.0], [0.3f32, -1.0]);
    let inputs = [mean, log_std].concat().repeat(DRAWS);
    for dist in [&DiagGaussian::new(2).unwrap() as &dyn Distribution, &SquashedGaussian::new(2).unwrap()] {
        let (actions, _) = sample(dist, &inputs, &streams(), 1);
        let Actions::Continuous(us) = actions else { unreachable!() };
        let z = |j: usize| {
            let std = f64::from(log_std[j]).exp();
            us.chunks(2).map(move |u| (f64::from(u[j]) - f64::from(mean[j])) / std)
        };
        assert_ks(z(0).map(normal_cdf).collect());
        assert_ks(z(1).map(normal_cdf).collect());
        let correlation = z(0).zip(z(1)).map(|(a, b)| a * b).sum::<f64>() / (DRAWS as f64).sqrt();
        assert!(correlation.abs() < 5.0, "dimensions are independent: {correlation}");
    }
}

/// Mean and standard error.
fn estimate(xs: impl Iterator<Item = f64> + Clone) -> (f64, f64) {
    let n = DRAWS as f64;
    let mean = xs.clone().sum::<f64>() / n;
    let variance = xs.map(|x| (x - mean).powi(2)).sum::<f64>() / n;
    (mean, (variance / n).sqrt())
}

#[test]
fn entropy_and_divergence_equal_their_monte_carlo_estimates() {
    for dist in all() {
        let (inputs, new) = (noise("mc", dist.num_inputs(), 0.4), noise("mc new", dist.num_inputs(), 0.4));
        let (many, many_new) = (inputs.repeat(DRAWS), new.repeat(DRAWS));
        let (actions, _) = sample(dist.as_ref(), &many, &streams(), 2);
        let [logp, entropy, _] = evaluate(dist.as_ref(), &many, &actions, None);
        let [new_logp, _, kl] = evaluate(dist.as_ref(), &many_new, &actions, Some(&many));
        // For the squashed Gaussian the entropy itself is an estimate, so both sides are averaged.
        let difference = logp.iter().zip(&entropy).map(|(l, h)| f64::from(*l) + f64::from(*h));
        let (gap, error) = estimate(difference);
        assert!(gap.abs() < 5.0 * error + 1e-6, "{dist:?} entropy off by {gap} ± {error}");
        let difference = logp.iter().zip(&new_logp).zip(&kl).map(|((o, n), k)| f64::from(o - n - k));
        let (gap, error) = estimate(difference);
        assert!(gap.abs() < 5.0 * error + 1e-6, "{dist:?} divergence off by {gap} ± {error}");
    }
}

#[test]
fn the_score_has_mean_zero() {
    for dist in all() {
        let n = dist.num_inputs();
        let inputs = noise("score", n, 0.4).repeat(DRAWS);
        let (actions, _) = sample(dist.as_ref(), &inputs, &streams(), 3);
        let (ones, zeros) = (vec![1.0; DRAWS], vec![0.0; DRAWS]);
        let d = backward(dist.as_ref(), &inputs, &actions, None, [&ones, &zeros, &zeros]);
        for j in 0..n {
            let (mean, error) = estimate(d.iter().skip(j).step_by(n).map(|&x| f64::from(x)));
            assert!(mean.abs() < 5.0 * error + 1e-7, "{dist:?} input {j}: {mean} ± {error}");
        }
    }
}
