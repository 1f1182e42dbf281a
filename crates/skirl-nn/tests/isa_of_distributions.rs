//! Distributions and optimizers give the same bytes under AVX-512 and AVX2, and nearly the same without either.
//! One test in its own binary, because the instruction set is a property of the process.
#![allow(clippy::unwrap_used)]

use skirl_math::rng::StreamKey;
use skirl_nn::distributions::{
    ActionsMut, ActionsRef, Bernoulli, DiagGaussian, Distribution, Evaluated, EvaluatedGrad,
    MultiCategorical, SquashedGaussian,
};
use skirl_nn::optim::{AdamOptions, GradClip, OptimizerSpec, RmsPropOptions, SgdOptions};
use skirl_nn::{Isa, Mat, MatMut, force_isa};

const ROWS: usize = 45;

fn numbers(name: &str, n: usize) -> Vec<f32> {
    let mut stream = StreamKey::root(2).child(name).stream();
    (0..n).map(|_| stream.normal() as f32).collect()
}

/// Everything that a distribution computes, one after the other.
fn trace(dist: &dyn Distribution) -> Vec<f32> {
    let (cols, width) = (dist.num_inputs(), dist.action_width());
    let (inputs, old) = (numbers("inputs", ROWS * cols), numbers("old", ROWS * cols));
    let (x, old) = (Mat::new(&inputs, ROWS, cols), Mat::new(&old, ROWS, cols));
    let keys: Vec<_> = (0..ROWS as u64).map(|i| StreamKey::root(3).index(i)).collect();
    let mut scratch = dist.scratch();
    let (mut ids, mut reals) = (vec![0; ROWS * width], vec![0.0; ROWS * width]);
    let mut out = vec![vec![0.0; ROWS]; 4];
    let to = if dist.is_discrete() {
        ActionsMut::Discrete { data: &mut ids, width }
    } else {
        ActionsMut::Continuous { data: &mut reals, width }
    };
    dist.sample(x, &keys, 9, to, &mut out[3], &mut scratch).unwrap();
    let actions = if dist.is_discrete() {
        ActionsRef::Discrete { data: &ids, width }
    } else {
        ActionsRef::Continuous { data: &reals, width }
    };
    let [logp, entropy, kl, _] = &mut out[..] else { unreachable!() };
    dist.evaluate(x, actions, Some(old), Evaluated { logp, entropy, kl }, &mut scratch).unwrap();
    let w = numbers("weights", 3 * ROWS);
    let d_out = EvaluatedGrad { logp: &w[..ROWS], entropy: &w[ROWS..2 * ROWS], kl: &w[2 * ROWS..] };
    let mut d = vec![0.0; ROWS * cols];
    dist.backward(x, actions, Some(old), d_out, MatMut::new(&mut d, ROWS, cols), &mut scratch).unwrap();
    dist.squash(&mut reals);
    ids.iter().map(|&a| a as f32).chain(reals).chain(out.concat()).chain(d).collect()
}

fn optimize(spec: OptimizerSpec, clip: GradClip) -> Vec<f32> {
    let n = 131;
    let mut params = numbers("params", n);
    let mut optimizer = spec.build(n).unwrap();
    for t in 0..50 {
        let mut grads = numbers(&format!("grads {t}"), n);
        clip.apply(&mut grads, &[0..50, 50..131]);
        optimizer.step(&mut params, &grads, 0.01).unwrap();
    }
    params
}

fn everything() -> Vec<f32> {
    let all: [&dyn Distribution; 4] = [
        &MultiCategorical::new(&[5, 2]).unwrap(),
        &Bernoulli::new(3).unwrap(),
        &DiagGaussian::new(2).unwrap(),
        &SquashedGaussian::new(2).unwrap(),
    ];
    let mut out: Vec<f32> = all.iter().flat_map(|dist| trace(*dist)).collect();
    let sgd = SgdOptions { momentum: 0.9, nesterov: true, weight_decay: 0.01 };
    out.extend(optimize(OptimizerSpec::Adam(AdamOptions::ADAMW), GradClip::GlobalNorm(1.0)));
    out.extend(optimize(OptimizerSpec::RmsProp(RmsPropOptions::default()), GradClip::Norm(1.0)));
    out.extend(optimize(OptimizerSpec::Sgd(sgd), GradClip::Value(0.1)));
    out
}

#[test]
fn same_bytes_on_every_vector_instruction_set() {
    let traces: Vec<_> = Isa::ALL
        .into_iter()
        .filter(|isa| isa.is_available())
        .map(|isa| {
            force_isa(isa).unwrap();
            (isa, everything())
        })
        .collect();
    let (best, reference) = traces.last().unwrap();
    for (isa, trace) in &traces {
        for (i, (got, want)) in trace.iter().zip(reference).enumerate() {
            let same = if *isa == Isa::Portable {
                (got - want).abs() < 2e-5 * want.abs().max(1.0)
            } else {
                got.to_bits() == want.to_bits()
            };
            assert!(same, "element {i}: {got} under {isa}, {want} under {best}");
        }
    }
}
