//! Optimizers and clipping: 1000 steps against PyTorch, state that restores exactly, edges.
#![allow(clippy::unwrap_used)]

use serde_json::Value;
use skirl_nn::NnError;
use skirl_nn::optim::{
    AdamOptions, GradClip, Optimizer, OptimizerSpec, RmsPropOptions, SgdOptions, clip_by_global_norm,
    clip_by_norm, clip_by_value, global_norm,
};

const SIZE: usize = 37;
const STEPS: usize = 1000;
const TENSORS: [std::ops::Range<usize>; 3] = [0..16, 16..17, 17..37];

/// The generator of `generate_optimizers.py`.
struct Numbers(u64);

impl Numbers {
    fn vector(&mut self, scale: impl Fn(usize) -> f32) -> Vec<f32> {
        let mut next = || {
            self.0 = (1_103_515_245 * self.0 + 12345) % (1 << 31);
            (self.0 >> 15) as f32 / 32768.0 - 1.0
        };
        (0..SIZE).map(|i| next() * scale(i)).collect()
    }
}

fn scale(i: usize) -> f32 {
    2f32.powi(-3 * (i % 9) as i32)
}

fn spec(case: &Value) -> OptimizerSpec {
    let option = |name: &str, default: f64| case["options"][name].as_f64().unwrap_or(default);
    let adam = |base: AdamOptions| {
        OptimizerSpec::Adam(AdamOptions {
            beta1: option("beta1", base.beta1),
            beta2: option("beta2", base.beta2),
            eps: option("eps", base.eps),
            weight_decay: option("weight_decay", base.weight_decay),
            ..base
        })
    };
    let momentum = option("momentum", 0.0);
    let weight_decay = option("weight_decay", 0.0);
    match case["kind"].as_str().unwrap() {
        "adam" => adam(AdamOptions::ADAM),
        "adamw" => adam(AdamOptions::ADAMW),
        "rmsprop" => {
            let (alpha, eps) = (option("alpha", 0.99), option("eps", 1e-8));
            OptimizerSpec::RmsProp(RmsPropOptions { alpha, eps, momentum, weight_decay })
        }
        _ => {
            let nesterov = case["options"]["nesterov"].as_bool().unwrap_or(false);
            OptimizerSpec::Sgd(SgdOptions { momentum, nesterov, weight_decay })
        }
    }
}

fn clip(case: &Value, grads: &mut [f32]) {
    match case["clip"].as_str().unwrap() {
        "value" => GradClip::Value(0.3).apply(grads, &TENSORS),
        "norm" => GradClip::Norm(0.5).apply(grads, &TENSORS),
        "global_norm" => GradClip::GlobalNorm(0.5).apply(grads, &TENSORS),
        _ => 0.0,
    };
}

fn cases() -> Vec<Value> {
    let goldens: Value = serde_json::from_str(include_str!("goldens/optimizers.json")).unwrap();
    goldens["cases"].as_array().unwrap().clone()
}

fn floats(v: &Value) -> Vec<f64> {
    v.as_array().unwrap().iter().map(|x| x.as_f64().unwrap()).collect()
}

/// ‖got − want‖ / ‖want‖
fn distance(got: &[f32], want: &[f64]) -> f64 {
    let norm = |xs: &mut dyn Iterator<Item = f64>| xs.map(|x| x * x).sum::<f64>().sqrt();
    let mut differences = got.iter().zip(want).map(|(&g, &w)| f64::from(g) - w);
    norm(&mut differences) / norm(&mut want.iter().copied())
}

fn step(case: &Value, optimizer: &mut dyn Optimizer, numbers: &mut Numbers, params: &mut [f32], t: usize) {
    let mut grads = numbers.vector(scale);
    clip(case, &mut grads);
    let lr = case["lr"].as_f64().unwrap() * (1.0 - t as f64 / STEPS as f64);
    optimizer.step(params, &grads, lr).unwrap();
}

#[test]
fn a_thousand_steps_equal_pytorch() {
    for case in cases() {
        let name = format!("{} {} {}", case["kind"], case["options"], case["clip"]);
        let mut numbers = Numbers(1);
        let mut params = numbers.vector(|_| 1.0);
        let mut optimizer = spec(&case).build(SIZE).unwrap();
        let mut kept = case["f64"].as_array().unwrap().iter();
        for t in 0..STEPS {
            step(&case, optimizer.as_mut(), &mut numbers, &mut params, t);
            if [1, 10, 100, 1000].contains(&(t + 1)) {
                let off = distance(&params, &floats(kept.next().unwrap()));
                assert!(off < 3e-6, "{name}: off by {off:e} after {} steps", t + 1);
            }
        }
        assert_eq!(optimizer.num_steps(), STEPS as u64);
        // PyTorch's own f32 is no nearer to its f64 than we are, but for a factor.
        let exact = floats(&case["f64"][3]);
        let theirs: Vec<f32> = floats(&case["f32"][0]).iter().map(|&x| x as f32).collect();
        let (ours, theirs) = (distance(&params, &exact), distance(&theirs, &exact));
        assert!(ours < 2.0 * theirs + 2e-7, "{name}: {ours:e} against {theirs:e}");
    }
}

#[test]
fn restored_state_goes_on_as_if_uninterrupted() {
    for case in cases() {
        let mut numbers = Numbers(1);
        let mut params = numbers.vector(|_| 1.0);
        let mut optimizer = spec(&case).build(SIZE).unwrap();
        for t in 0..50 {
            step(&case, optimizer.as_mut(), &mut numbers, &mut params, t);
        }
        let mut restored = spec(&case).build(SIZE).unwrap();
        restored.set_num_steps(optimizer.num_steps());
        for ((name, to), (same_name, from)) in restored.buffers_mut().into_iter().zip(optimizer.buffers()) {
            assert_eq!(name, same_name);
            to.copy_from_slice(from);
        }
        let (mut again, mut numbers_again) = (params.clone(), Numbers(numbers.0));
        for t in 50..100 {
            step(&case, optimizer.as_mut(), &mut numbers, &mut params, t);
            step(&case, restored.as_mut(), &mut numbers_again, &mut again, t);
        }
        assert_eq!(params, again);
    }
}

#[test]
fn elements_do_not_depend_on_their_place() {
    for case in cases() {
        let mut numbers = Numbers(1);
        let (start, grads) = (numbers.vector(|_| 1.0), numbers.vector(scale));
        let run = |range: std::ops::Range<usize>| {
            let mut params = start[range.clone()].to_vec();
            let mut optimizer = spec(&case).build(range.len()).unwrap();
            for _ in 0..3 {
                optimizer.step(&mut params, &grads[range.clone()], 0.01).unwrap();
            }
            params
        };
        let whole = run(0..SIZE);
        for range in [3..SIZE, 0..1, 5..21, 20..36] {
            assert_eq!(run(range.clone()), whole[range]);
        }
    }
}

#[test]
fn zero_gradients_leave_padding_zero() {
    for case in cases() {
        let mut optimizer = spec(&case).build(20).unwrap();
        let mut params = [0.0; 20];
        for _ in 0..5 {
            optimizer.step(&mut params, &[0.0; 20], 0.1).unwrap();
        }
        assert_eq!(params, [0.0; 20]);
    }
}

#[test]
fn clipping_by_each_rule() {
    let mut grads = [3.0, -4.0, 0.0, 12.0, -5.0];
    assert_eq!(global_norm(&[3.0, -4.0]), 5.0);
    clip_by_value(&mut grads, 4.5);
    assert_eq!(grads, [3.0, -4.0, 0.0, 4.5, -4.5]);
    let mut grads = [3.0, -4.0, 0.0, 0.6, -0.8];
    clip_by_norm(&mut grads, &[0..2, 2..3, 3..5], 2.0);
    assert_eq!(grads, [3.0 * 0.4, -4.0 * 0.4, 0.0, 0.6, -0.8]);
    let mut grads = [3.0, -4.0];
    assert_eq!(clip_by_global_norm(&mut grads, 10.0), 5.0);
    assert_eq!(grads, [3.0, -4.0]);
    assert_eq!(clip_by_global_norm(&mut grads, 1.0), 5.0);
    assert!((global_norm(&grads) - 1.0).abs() < 1e-6);
    let mut zeros = [0.0; 3];
    assert_eq!(clip_by_global_norm(&mut zeros, 0.5), 0.0);
    assert_eq!(zeros, [0.0; 3]);
    // By the global norm, √26 here, all tensors are scaled alike, whatever their own norms are.
    let original = [3.0, -4.0, 0.0, 0.6, -0.8];
    let mut grads = original;
    let norm = GradClip::GlobalNorm(1.0).apply(&mut grads, &[0..2, 2..3, 3..5]);
    assert!((norm - 26.0f32.sqrt()).abs() < 1e-6);
    assert!(
        grads.iter().zip(original).all(|(clipped, before)| (clipped - before / norm).abs() < 1e-6),
        "{grads:?}"
    );
}

#[test]
fn gradients_that_are_not_finite_are_not_hidden() {
    for bad in [f32::NAN, f32::INFINITY] {
        let original = [1.0, bad, 2.0];
        let mut grads = original;
        assert!(!clip_by_global_norm(&mut grads, 0.5).is_finite());
        clip_by_norm(&mut grads, &[0..1, 1..3], 1.0);
        assert!((grads[0], grads[2]) == (1.0, 2.0) && !grads[1].is_finite());
    }
    let mut grads = [f32::NAN, 5.0];
    clip_by_value(&mut grads, 1.0);
    assert!(grads[0].is_nan() && grads[1] == 1.0);
}

#[test]
fn options_out_of_range_and_wrong_lengths_are_errors() {
    let adam = |options| OptimizerSpec::Adam(options).build(4);
    let refused = [
        adam(AdamOptions { beta1: 1.0, ..AdamOptions::ADAM }),
        adam(AdamOptions { beta2: -0.1, ..AdamOptions::ADAM }),
        adam(AdamOptions { eps: 0.0, ..AdamOptions::ADAM }),
        adam(AdamOptions { weight_decay: f64::NAN, ..AdamOptions::ADAM }),
        OptimizerSpec::RmsProp(RmsPropOptions { alpha: f64::NAN, ..Default::default() }).build(4),
        OptimizerSpec::Sgd(SgdOptions { momentum: 1.5, ..Default::default() }).build(4),
        OptimizerSpec::Sgd(SgdOptions { nesterov: true, ..Default::default() }).build(4),
    ];
    for result in refused {
        assert!(matches!(result, Err(NnError::Spec { .. })), "{result:?}");
    }
    let mut optimizer = adam(AdamOptions::ADAM).unwrap();
    assert!(matches!(optimizer.step(&mut [0.0; 4], &[0.0; 3], 0.1), Err(NnError::Shape { .. })));
    assert!(matches!(optimizer.step(&mut [0.0; 5], &[0.0; 4], 0.1), Err(NnError::Shape { .. })));
    assert_eq!(optimizer.num_steps(), 0);
}
