//! Checks that hold for every instruction set.
#![allow(dead_code, missing_docs, unreachable_pub, clippy::unwrap_used)]

mod through;

pub use through::one_pass_equals_separate_steps;

use crate::reference::{Uniform, randomise};
use skirl_nn::kernels::{linear, narrow};
use skirl_nn::{Activation, ActorCritic, ActorCriticSpec, Block, CHUNK, Grads, Mat, Mlp, MlpSpec, Module};

pub fn modules() -> Vec<Box<dyn Module>> {
    let base = ActorCriticSpec { obs_width: 4, ..ActorCriticSpec::default() };
    let mut modules: Vec<Box<dyn Module>> = vec![
        Box::new(ActorCritic::new(&base).unwrap()),
        Box::new(
            ActorCritic::new(&ActorCriticSpec {
                obs_width: 17,
                hidden: vec![48, 33],
                num_dist_inputs: 12,
                free_log_std: Some(6),
                vf_share_layers: true,
                layer_norm: true,
                activation: Activation::Gelu,
                ..base
            })
            .unwrap(),
        ),
    ];
    for (activation, hidden) in [
        (Activation::Relu, vec![100, 31]),
        (Activation::Silu, vec![16]),
        (Activation::Elu, vec![3, 140]),
        (Activation::Tanh, vec![]),
    ] {
        let spec =
            MlpSpec { input_widths: vec![5, 2], hidden, output_width: 9, activation, ..MlpSpec::default() };
        modules.push(Box::new(Mlp::new(&spec).unwrap()));
    }
    for (i, module) in modules.iter_mut().enumerate() {
        randomise(module.as_mut(), i as u64);
    }
    modules
}

fn inputs<'a>(module: &dyn Module, x: &'a [f32], rows: usize) -> Vec<Mat<'a>> {
    let width: usize = module.input_widths().iter().sum();
    let whole = Mat::new(x, rows, width);
    let mut start = 0;
    let column_range = |&w: &usize| {
        start += w;
        whole.cols(start - w..start)
    };
    module.input_widths().iter().map(column_range).collect()
}

pub fn rows_do_not_depend_on_their_batch() {
    let sizes: &[usize] = if cfg!(miri) { &[1, 5] } else { &[1, 2, 3, 4, 5, 7, 8, 13, 16, 33, 64, 65, 130] };
    for module in modules() {
        let width: usize = module.input_widths().iter().sum();
        let most = sizes.iter().copied().max().unwrap();
        let x = Uniform(1).vec(most * width);
        let mut single = module.tape(1);
        let mut batch = module.tape(most);
        for &rows in sizes {
            // Shift the rows, so that each is seen at several places.
            let shift = most - rows;
            module.forward(&inputs(&*module, &x[shift * width..], rows), None, &mut batch).unwrap();
            for r in 0..rows {
                let row = &x[(shift + r) * width..][..width];
                module.forward(&inputs(&*module, row, 1), None, &mut single).unwrap();
                for i in 0..module.output_widths().len() {
                    assert_eq!(
                        batch.output(i).row(r),
                        single.output(i).row(0),
                        "row {r} of {rows}: {module:?}"
                    );
                }
            }
        }
    }
}

fn gradients(module: &dyn Module, x: &[f32], d: &[Vec<f32>], rows: usize, grads: &mut Grads) {
    let mut tape = module.tape(rows);
    module.forward(&inputs(module, x, rows), None, &mut tape).unwrap();
    for (i, &w) in module.output_widths().iter().enumerate() {
        tape.d_output_mut(i).copy_from(Mat::new(&d[i], rows, w));
    }
    module.backward(&mut tape, Some(grads), false).unwrap();
}

pub fn gradients_fold_over_chunks() {
    let rows = if cfg!(miri) { CHUNK + 1 } else { 3 * CHUNK + 5 };
    for module in modules().into_iter().take(if cfg!(miri) { 1 } else { 9 }) {
        let width: usize = module.input_widths().iter().sum();
        let mut random = Uniform(8);
        let x = random.vec(rows * width);
        let d: Vec<Vec<f32>> = module.output_widths().iter().map(|w| random.vec(rows * w)).collect();
        let mut whole = Grads::new(module.params());
        gradients(&*module, &x, &d, rows, &mut whole);
        // Every chunk apart, from zero, folded in order.
        let mut folded = Grads::new(module.params());
        for start in (0..rows).step_by(CHUNK) {
            let len = CHUNK.min(rows - start);
            let part: Vec<Vec<f32>> = (d.iter().zip(module.output_widths()))
                .map(|(d, w)| d[start * w..][..len * w].to_vec())
                .collect();
            let mut chunk = Grads::new(module.params());
            gradients(&*module, &x[start * width..][..len * width], &part, len, &mut chunk);
            folded.add(&chunk).unwrap();
        }
        assert_eq!(whole.values(), folded.values(), "{module:?}");
    }
}

/// `[rows, cols]` random values in padded rows.
fn random_block(random: &mut Uniform, rows: usize, cols: usize) -> Block {
    let mut block = Block::zeros(rows, cols);
    for i in 0..rows {
        block.mat_mut(rows).row_mut(i).copy_from_slice(&random.vec(cols));
    }
    block
}

fn pack(w: &[f32], k: usize, n: usize) -> Vec<f32> {
    let mut layout = skirl_nn::ParamLayout::new();
    layout.add_weight("w", n, k);
    let mut flat = vec![0.0; layout.len()];
    let tensor = skirl_nn::NamedTensor { name: "w".to_owned(), shape: vec![n, k], data: w.to_vec() };
    layout.import(&[tensor], &mut flat).unwrap();
    flat
}

fn assert_close(what: &str, got: f32, expected: f64) {
    assert!(
        (f64::from(got) - expected).abs() < 3e-5 * (1.0 + expected.abs()),
        "{what}: {got}, expected {expected}"
    );
}

/// Forward, and both reverses, of one linear map, wide or narrow, against plain `f64` loops.
fn check_linear(m: usize, k: usize, n: usize) {
    let mut random = Uniform((m * 10_007 + k * 101 + n) as u64);
    let x = random_block(&mut random, m, k);
    let dz = random_block(&mut random, m, n);
    let w = random.vec(n * k);
    let flat = pack(&w, k, n);
    let mut bias = random.vec(n);
    bias.resize(n.next_multiple_of(16), 0.0);
    let (x, dz) = (x.mat(m), dz.mat(m));
    let (mut y, mut dx) = (Block::zeros(m, n), Block::zeros(m, k));
    let mut dw = vec![0.0; flat.len()];
    let mut db = vec![0.0; bias.len()];
    if n <= linear::NARROW {
        narrow::forward(x, &flat, &bias, y.mat_mut(m));
        narrow::input_gradient(dz, &flat, dx.mat_mut(m));
        narrow::weight_gradient(x, dz, &mut dw);
        narrow::bias_gradient(dz, &mut db);
    } else {
        let panels = linear::Panels::new(&flat, k, n);
        linear::forward(x, panels, Some(&bias), y.mat_mut(m));
        let mut wt = vec![0.0; linear::panels_len(n, k)];
        linear::transpose(panels, &mut wt);
        linear::forward(dz, linear::Panels::new(&wt, n, k), None, dx.mat_mut(m));
        linear::weight_gradient(x, dz, &mut dw);
        linear::bias_gradient(dz, &mut db);
    }
    let sum = |terms: usize, f: &dyn Fn(usize) -> f32| (0..terms).map(|t| f64::from(f(t))).sum::<f64>();
    for i in 0..m {
        for j in 0..n {
            let expected = sum(k, &|l| x.row(i)[l] * w[j * k + l]) + f64::from(bias[j]);
            assert_close("y", y.mat(m).row(i)[j], expected);
        }
        for l in 0..k {
            assert_close("dx", dx.mat(m).row(i)[l], sum(n, &|j| dz.row(i)[j] * w[j * k + l]));
        }
    }
    let expected_dw: Vec<f32> =
        (0..n * k).map(|at| sum(m, &|i| dz.row(i)[at / k] * x.row(i)[at % k]) as f32).collect();
    let expected_dw = pack(&expected_dw, k, n);
    for (got, &expected) in dw.iter().zip(&expected_dw) {
        assert_close("dw", *got, f64::from(expected));
    }
    for (j, &db) in db[..n].iter().enumerate() {
        assert_close("db", db, sum(m, &|i| dz.row(i)[j]));
    }
}

pub fn products_agree_with_naive_ones() {
    let sizes: &[usize] = if cfg!(miri) { &[1, 5, 17] } else { &[1, 3, 4, 5, 16, 17, 31, 33, 64, 100, 129] };
    let rows: &[usize] = if cfg!(miri) { &[1, 3] } else { &[1, 2, 3, 5, 7, 12, 17, 64] };
    for &m in rows {
        for &k in sizes {
            for &n in sizes {
                check_linear(m, k, n);
            }
        }
    }
}
