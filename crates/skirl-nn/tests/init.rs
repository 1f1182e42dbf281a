//! Initialisers: orthogonality, moments and bounds, one stream per parameter.

use skirl_math::rng::StreamKey;
use skirl_nn::init::Init;

fn fill(init: Init, name: &str, shape: &[usize], fan_in: usize) -> Vec<f32> {
    let mut out = vec![f32::NAN; shape.iter().product()];
    init.fill(StreamKey::root(1).child("init").child(name), shape, fan_in, &mut out);
    out
}

fn weight(init: Init, rows: usize, cols: usize) -> Vec<f32> {
    fill(init, "w", &[rows, cols], cols)
}

#[test]
fn orthogonal_rows_or_columns() {
    for (rows, cols) in [(1, 1), (1, 9), (9, 1), (4, 64), (64, 4), (64, 64), (33, 20)] {
        let gain = 1.5f64;
        let w = weight(Init::Orthogonal { gain: gain as f32 }, rows, cols);
        let at = |i: usize, k: usize| f64::from(if rows <= cols { w[i * cols + k] } else { w[k * cols + i] });
        for i in 0..rows.min(cols) {
            for j in 0..=i {
                let product: f64 = (0..rows.max(cols)).map(|k| at(i, k) * at(j, k)).sum();
                let want = if i == j { gain * gain } else { 0.0 };
                assert!((product - want).abs() < 1e-6, "[{rows}, {cols}] {i} {j}: {product}");
            }
        }
    }
}

#[test]
fn orthogonal_matrices_have_no_preferred_sign_or_direction() {
    // For a uniformly distributed 3×3 rotation or reflection every element has mean 0 and mean square 1/3.
    let n = 4000;
    let (mut sum, mut squares) = ([0.0; 9], [0.0; 9]);
    for i in 0..n {
        let w = fill(Init::Orthogonal { gain: 1.0 }, &format!("w{i}"), &[3, 3], 3);
        for k in 0..9 {
            sum[k] += f64::from(w[k]);
            squares[k] += f64::from(w[k]).powi(2);
        }
    }
    for k in 0..9 {
        let error = 5.0 / f64::from(n).sqrt();
        assert!((sum[k] / f64::from(n)).abs() < error, "{sum:?}");
        assert!((squares[k] / f64::from(n) - 1.0 / 3.0).abs() < error, "{squares:?}");
    }
}

/// Mean and variance.
fn moments(xs: &[f32]) -> (f64, f64) {
    let m = skirl_math::stats::moments(xs);
    (m.mean, m.population_variance())
}

#[test]
fn uniform_and_normal_moments() {
    let (rows, cols) = (200, 300);
    let (fan_out, fan_in) = (rows as f64, cols as f64);
    let gain = 1.25f32;
    let xavier = f64::from(gain).powi(2) * 2.0 / (fan_in + fan_out);
    let kaiming = f64::from(gain).powi(2) / fan_in;
    let cases = [
        (Init::XavierUniform { gain }, xavier, true),
        (Init::XavierNormal { gain }, xavier, false),
        (Init::KaimingUniform { gain }, kaiming, true),
        (Init::KaimingNormal { gain }, kaiming, false),
        (Init::LinearDefault, 1.0 / (3.0 * fan_in), true),
    ];
    for (init, variance, is_uniform) in cases {
        let w = weight(init, rows, cols);
        let (mean, found) = moments(&w);
        assert!(mean.abs() < 5.0 * (variance / w.len() as f64).sqrt(), "{init:?} {mean}");
        assert!((found / variance - 1.0).abs() < 0.03, "{init:?}: {found} for {variance}");
        let largest = w.iter().fold(0.0f32, |a, x| a.max(x.abs()));
        let bound = (3.0 * variance).sqrt();
        assert_eq!(f64::from(largest) <= bound * 1.0001, is_uniform, "{init:?}");
    }
}

#[test]
fn normc_scales_every_unit() {
    let w = weight(Init::Normc { std: 0.01 }, 20, 50);
    for unit in w.chunks(50) {
        let length = unit.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>().sqrt();
        assert!((length - 0.01).abs() < 1e-8);
    }
}

#[test]
fn biases() {
    let bias = |init| fill(init, "b", &[40], 16);
    for init in [Init::Orthogonal { gain: 2.0 }, Init::Normc { std: 1.0 }, Init::Zeros] {
        assert_eq!(bias(init), [0.0; 40]);
    }
    assert_eq!(bias(Init::Constant(-0.5)), [-0.5; 40]);
    let b = bias(Init::LinearDefault);
    assert!(b.iter().all(|x| x.abs() <= 0.25) && b.iter().any(|x| x.abs() > 0.2));
    assert_eq!(fill(Init::Orthogonal { gain: 1.0 }, "b", &[4], 1), [0.0; 4], "a bias of a one-input layer");
}

#[test]
fn streams_follow_names_and_nothing_else() {
    let init = Init::XavierNormal { gain: 1.0 };
    assert_eq!(fill(init, "pi.0.weight", &[8, 4], 4), fill(init, "pi.0.weight", &[8, 4], 4));
    assert_ne!(fill(init, "pi.0.weight", &[8, 4], 4), fill(init, "vf.0.weight", &[8, 4], 4));
}
