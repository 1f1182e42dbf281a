//! Accuracy and special values of the vectorised functions, against `f64`.
#![allow(missing_docs, clippy::unwrap_used, clippy::print_stdout)]

use skirl_nn::kernels::vmath;

/// Distance in units in the last place of the exact value.
fn ulps(got: f32, exact: f64) -> f64 {
    let exact32 = exact as f32;
    let ulp = f64::from((exact32.abs().max(f32::MIN_POSITIVE)).next_up())
        - f64::from(exact32.abs().max(f32::MIN_POSITIVE));
    (f64::from(got) - exact).abs() / ulp
}

/// Every `step`-th float of both signs up to `limit` in magnitude.
fn sweep(limit: f32, step: usize) -> Vec<f32> {
    let step = if cfg!(miri) { step * 5000 } else { step };
    let positive = (f32::MIN_POSITIVE.to_bits()..=limit.to_bits()).step_by(step).map(f32::from_bits);
    positive.flat_map(|x| [x, -x]).chain([0.0, -0.0]).collect()
}

fn worst(f: fn(&mut [f32]), oracle: fn(f64) -> f64, inputs: &[f32]) -> (f64, f32) {
    let mut outputs = inputs.to_vec();
    f(&mut outputs);
    let errors = inputs.iter().zip(&outputs).map(|(&x, &y)| (ulps(y, oracle(f64::from(x))), x));
    errors.max_by(|a, b| a.0.total_cmp(&b.0)).unwrap()
}

fn assert_accurate(name: &str, f: fn(&mut [f32]), oracle: fn(f64) -> f64, inputs: &[f32], limit: f64) {
    let (error, at) = worst(f, oracle, inputs);
    println!("{name}: at most {error:.2} ulp, at {at:e}");
    assert!(error <= limit, "{name}: {error} ulp at {at:e}, allowed {limit}");
}

/// erf by its Maclaurin series: alternating, so only for the moderate arguments that f32 distinguishes from ±1.
fn erf(x: f64) -> f64 {
    if x.abs() > 4.0 {
        return x.signum();
    }
    let (mut term, mut sum) = (x, x);
    for n in 1..200 {
        term *= -x * x / f64::from(n);
        sum += term / f64::from(2 * n + 1);
    }
    sum * std::f64::consts::FRAC_2_SQRT_PI
}

#[test]
fn functions_are_within_their_stated_error() {
    // Without a fused multiply-add (portable path on plain x86-64) every step rounds twice.
    let fused = skirl_nn::isa() != skirl_nn::Isa::Portable || cfg!(target_arch = "aarch64");
    let exp_inputs: Vec<f32> = sweep(88.7, 997).into_iter().filter(|&x| x > -86.9).collect();
    assert_accurate("exp", vmath::exp, f64::exp, &exp_inputs, 2.0);
    assert_accurate("tanh", vmath::tanh, f64::tanh, &sweep(30.0, 101), if fused { 5.0 } else { 7.0 });
    let sigmoid = |x: f64| 1.0 / (1.0 + (-x).exp());
    let moderate: Vec<f32> = sweep(88.0, 997).into_iter().filter(|&x| x > -86.0).collect();
    assert_accurate("sigmoid", vmath::sigmoid, sigmoid, &moderate, 3.0);
    let softplus = |x: f64| x.max(0.0) + (-x.abs()).exp().ln_1p();
    assert_accurate("softplus", vmath::softplus, softplus, &moderate, 4.0);
    assert_accurate("erf", vmath::erf, erf, &sweep(5.0, 9973), if fused { 5.0 } else { 7.0 });
    let positive: Vec<f32> = sweep(f32::MAX, 997).into_iter().filter(|&x| x > 0.0).collect();
    assert_accurate("ln", vmath::ln, f64::ln, &positive, 2.0);
}

#[test]
fn tanh_never_leaves_the_unit_interval() {
    let mut values = sweep(20.0, 61);
    vmath::tanh(&mut values);
    assert!(values.iter().all(|y| y.abs() <= 1.0));
}

#[test]
fn special_values() {
    let run = |f: fn(&mut [f32]), x: f32| {
        let mut v = [x];
        f(&mut v);
        v[0]
    };
    assert_eq!(run(vmath::exp, f32::NEG_INFINITY), 0.0);
    assert_eq!(run(vmath::exp, 89.0), f32::INFINITY);
    assert_eq!(run(vmath::exp, 0.0), 1.0);
    assert_eq!(run(vmath::ln, 0.0), f32::NEG_INFINITY);
    assert_eq!(run(vmath::ln, 1.0), 0.0);
    assert_eq!(run(vmath::ln, f32::INFINITY), f32::INFINITY);
    assert!(run(vmath::ln, -1.0).is_nan());
    assert_eq!(run(vmath::tanh, f32::INFINITY), 1.0);
    assert_eq!(run(vmath::tanh, f32::NEG_INFINITY), -1.0);
    assert_eq!(run(vmath::sigmoid, f32::NEG_INFINITY), 0.0);
    assert_eq!(run(vmath::softplus, 200.0), 200.0);
    for f in [vmath::exp, vmath::ln, vmath::tanh, vmath::sigmoid, vmath::softplus, vmath::erf] {
        assert!(run(f, f32::NAN).is_nan());
    }
}

#[test]
fn odd_lengths_reach_every_element() {
    for len in [0, 1, 2, 15, 16, 17, 31, 33, 63, 65, 100] {
        let inputs: Vec<f32> = (0..len).map(|i| i as f32 * 0.01 - 0.3).collect();
        let mut outputs = inputs.clone();
        vmath::exp(&mut outputs);
        for (x, y) in inputs.iter().zip(&outputs) {
            assert!(ulps(*y, f64::from(*x).exp()) < 2.0);
        }
        let exact: f64 = inputs.iter().map(|&x| f64::from(x) * f64::from(x)).sum();
        assert!((f64::from(vmath::sum_of_squares(&inputs)) - exact).abs() <= 1e-6 * exact + 1e-12);
        let exact: f64 = inputs.iter().map(|&x| f64::from(x)).sum();
        assert!((f64::from(vmath::sum(&inputs)) - exact).abs() <= 1e-5);
        assert!(vmath::all_finite(&inputs));
        for i in 0..len {
            let mut poisoned = inputs.clone();
            poisoned[i] = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY][i % 3];
            assert!(!vmath::all_finite(&poisoned));
        }
    }
}
