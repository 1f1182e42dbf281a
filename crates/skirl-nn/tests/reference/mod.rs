//! Independent `f64` versions of the modules, and central differences of them.
#![allow(dead_code, missing_docs, unreachable_pub, clippy::unwrap_used, clippy::should_implement_trait)]

use std::collections::BTreeMap;

use skirl_nn::{Activation, Module, NamedTensor, ParamStore};

/// A small generator of its own (SplitMix64), uniform on [-1, 1).
pub struct Uniform(pub u64);

impl Uniform {
    pub fn next(&mut self) -> f32 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    }
    pub fn vec(&mut self, len: usize) -> Vec<f32> {
        (0..len).map(|_| self.next()).collect()
    }
}

/// Fills all parameters with random values of a useful size, and refreshes.
pub fn randomise(module: &mut dyn Module, seed: u64) {
    let mut random = Uniform(seed);
    module.params_mut().init_tensors(|tensor, values| {
        let is_gain = tensor.name().ends_with("norm.weight");
        let scale = if is_gain { 0.2 } else { 1.5 / (tensor.fan_in() as f32).sqrt() };
        for x in values.iter_mut() {
            *x = random.next() * scale + f32::from(u8::from(is_gain));
        }
    });
    module.refresh();
}

pub type Tensors = BTreeMap<String, (Vec<usize>, Vec<f64>)>;

pub fn tensors(params: &ParamStore) -> Tensors {
    to_f64(params.export())
}

pub fn to_f64(tensors: Vec<NamedTensor>) -> Tensors {
    let widen = |t: NamedTensor| (t.name, (t.shape, t.data.iter().map(|&x| f64::from(x)).collect()));
    tensors.into_iter().map(widen).collect()
}

pub fn erf(x: f64) -> f64 {
    let (mut term, mut sum) = (x, x);
    for n in 1..if x.abs() < 2.0 { 30 } else { 200 } {
        term *= -x * x / f64::from(n);
        sum += term / f64::from(2 * n + 1);
    }
    sum * std::f64::consts::FRAC_2_SQRT_PI
}

pub fn activate(activation: Activation, x: f64) -> f64 {
    match activation {
        Activation::Tanh => x.tanh(),
        Activation::Relu => x.max(0.0),
        Activation::Silu => x / (1.0 + (-x).exp()),
        Activation::Gelu => 0.5 * x * (1.0 + erf(x / std::f64::consts::SQRT_2)),
        Activation::Elu => {
            if x > 0.0 {
                x
            } else {
                x.exp_m1()
            }
        }
        Activation::Linear => x,
    }
}

fn layer_norm(z: &[f64], gain: &[f64], shift: &[f64]) -> Vec<f64> {
    let n = z.len() as f64;
    let mean = z.iter().sum::<f64>() / n;
    let variance = z.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / n;
    let inverse = 1.0 / (variance + 1e-5).sqrt();
    z.iter().zip(gain).zip(shift).map(|((x, g), b)| (x - mean) * inverse * g + b).collect()
}

/// One row through the layers `{name}.0`, `{name}.1`, …; the last one is linear unless `last_is_hidden`.
pub fn mlp(t: &Tensors, name: &str, activation: Activation, last_is_hidden: bool, x: &[f64]) -> Vec<f64> {
    let num_layers = (0..100).take_while(|i| t.contains_key(&format!("{name}.{i}.weight"))).count();
    let mut x = x.to_vec();
    for i in 0..num_layers {
        let (shape, weight) = &t[&format!("{name}.{i}.weight")];
        let bias = &t[&format!("{name}.{i}.bias")].1;
        let dot = |row: &[f64]| row.iter().zip(&x).map(|(w, x)| w * x).sum::<f64>();
        x = weight.chunks(shape[1]).zip(bias).map(|(row, b)| dot(row) + b).collect();
        if i + 1 == num_layers && !last_is_hidden {
            continue;
        }
        if let Some((_, gain)) = t.get(&format!("{name}.{i}.norm.weight")) {
            x = layer_norm(&x, gain, &t[&format!("{name}.{i}.norm.bias")].1);
        }
        for x in &mut x {
            *x = activate(activation, *x);
        }
    }
    x
}

const STEP: f64 = 1e-6;

/// Central difference of `f` at `values[i]`.
fn difference(values: &mut [f64], i: usize, mut f: impl FnMut(&[f64]) -> f64) -> f64 {
    let x = values[i];
    values[i] = x + STEP;
    let above = f(values);
    values[i] = x - STEP;
    let below = f(values);
    values[i] = x;
    (above - below) / (2.0 * STEP)
}

/// At most this many elements of every tensor are checked.
const SAMPLES: usize = if cfg!(miri) { 1 } else { 5 };

/// Every tensor of `analytic` against central differences of `loss` at `at`.
pub fn assert_gradients(at: &Tensors, analytic: &Tensors, loss: impl Fn(&Tensors) -> f64) {
    for (name, (_, values)) in at {
        let gradient = &analytic[name].1;
        let scale = gradient.iter().fold(0.0f64, |m, g| m.max(g.abs())).max(1e-3);
        for i in (0..values.len()).step_by(values.len().div_ceil(SAMPLES)) {
            let mut moved = at.clone();
            let mut shifted = values.clone();
            let expected = difference(&mut shifted, i, |v| {
                moved.get_mut(name).unwrap().1.copy_from_slice(v);
                loss(&moved)
            });
            assert!(
                (gradient[i] - expected).abs() <= 2e-5 * scale + 1e-7,
                "{name}[{i}]: gradient {}, central difference {expected}",
                gradient[i]
            );
        }
    }
}

/// A gradient with respect to plain values against central differences of `loss`.
pub fn assert_gradient(what: &str, at: &[f32], gradient: &[f32], loss: impl Fn(&[f64]) -> f64) {
    let mut values: Vec<f64> = at.iter().map(|&x| f64::from(x)).collect();
    let scale = gradient.iter().fold(0.0f64, |m, &g| m.max(f64::from(g).abs())).max(1e-3);
    for i in (0..values.len()).step_by(values.len().div_ceil(SAMPLES)) {
        let expected = difference(&mut values, i, &loss);
        assert!(
            (f64::from(gradient[i]) - expected).abs() <= 2e-5 * scale + 1e-7,
            "{what}[{i}]: gradient {}, central difference {expected}",
            gradient[i]
        );
    }
}

pub fn widen(x: &[f32]) -> Vec<f64> {
    x.iter().map(|&x| f64::from(x)).collect()
}
