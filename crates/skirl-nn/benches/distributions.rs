//! Nanoseconds per call of the distributions. Run: `cargo bench -p skirl-nn --bench distributions`
#![allow(clippy::print_stdout, clippy::unwrap_used)]

use std::hint::black_box;
use std::time::Instant;

use skirl_math::rng::StreamKey;
use skirl_nn::distributions::{
    ActionsMut, ActionsRef, Bernoulli, Categorical, DiagGaussian, Distribution, Evaluated, EvaluatedGrad,
    SquashedGaussian,
};
use skirl_nn::{Mat, MatMut};

/// Best of 20 runs of 500 calls.
fn time(mut call: impl FnMut()) -> f64 {
    let run = |call: &mut dyn FnMut()| {
        let start = Instant::now();
        for _ in 0..500 {
            call();
        }
        start.elapsed().as_secs_f64() * 1e9 / 500.0
    };
    (0..20).map(|_| run(&mut call)).fold(f64::INFINITY, f64::min)
}

fn bench(name: &str, dist: &dyn Distribution, rows: usize) {
    let (cols, width) = (dist.num_inputs(), dist.action_width());
    let inputs: Vec<f32> = (0..rows * cols).map(|i| (i % 7) as f32 * 0.1).collect();
    let keys: Vec<_> = (0..rows as u64).map(|i| StreamKey::root(0).index(i)).collect();
    let mut scratch = dist.scratch();
    let (mut ids, mut reals) = (vec![0i64; rows * width], vec![0f32; rows * width]);
    let [mut logp, mut entropy, mut kl] = [(); 3].map(|()| vec![0f32; rows]);
    let weights = vec![0.5f32; rows];
    let mut d_inputs = vec![0f32; rows * cols];
    let x = Mat::new(&inputs, rows, cols);
    let mut counter = 0;
    let sampling = time(|| {
        counter += 1;
        let actions = if dist.is_discrete() {
            ActionsMut::Discrete { data: &mut ids, width }
        } else {
            ActionsMut::Continuous { data: &mut reals, width }
        };
        dist.sample(black_box(x), &keys, counter, actions, &mut logp, &mut scratch).unwrap();
    });
    let training = time(|| {
        let actions = if dist.is_discrete() {
            ActionsRef::Discrete { data: &ids, width }
        } else {
            ActionsRef::Continuous { data: &reals, width }
        };
        let out = Evaluated { logp: &mut logp, entropy: &mut entropy, kl: &mut kl };
        dist.evaluate(black_box(x), actions, Some(x), out, &mut scratch).unwrap();
        let d_out = EvaluatedGrad { logp: &weights, entropy: &weights, kl: &weights };
        let d = MatMut::new(&mut d_inputs, rows, cols);
        dist.backward(black_box(x), actions, Some(x), d_out, d, &mut scratch).unwrap();
    });
    println!("{name:<24} {rows:>5} rows: sample {sampling:>8.0} ns, evaluate + backward {training:>8.0} ns");
}

fn main() {
    for rows in [64, 1024] {
        bench("Categorical 2", &Categorical::new(2).unwrap(), rows);
        bench("Categorical 18", &Categorical::new(18).unwrap(), rows);
        bench("Bernoulli 4", &Bernoulli::new(4).unwrap(), rows);
        bench("DiagGaussian 1", &DiagGaussian::new(1).unwrap(), rows);
        bench("DiagGaussian 6", &DiagGaussian::new(6).unwrap(), rows);
        bench("SquashedGaussian 6", &SquashedGaussian::new(6).unwrap(), rows);
    }
}
