//! One pass through a layer and its activation gives the bytes of the separate steps.

use super::{pack, random_block};
use crate::reference::Uniform;
use skirl_nn::kernels::through::NarrowGrads;
use skirl_nn::kernels::{activation, linear, narrow, through};
use skirl_nn::{Activation, Block, Mat};

const SERVED: [Activation; 2] = [Activation::Tanh, Activation::Relu];

/// What the reverse of a layer leaves: gradients of its weight, its bias and the bias before, and of what the activation
/// read.
#[derive(Debug, PartialEq)]
struct Gradients {
    dw: Vec<f32>,
    db: Vec<f32>,
    db_before: Vec<f32>,
    dv: Vec<f32>,
}

impl Gradients {
    /// Ones, so that a gradient which is not added shows.
    fn new(m: usize, k: usize, n: usize, len: usize) -> Self {
        let padded = |width: usize| vec![1.0; width.next_multiple_of(16)];
        Self { dw: vec![1.0; len], db: padded(n), db_before: padded(k), dv: vec![0.0; m * k] }
    }

    fn keep(&mut self, dv: &Block, m: usize) {
        self.dv = (0..m).flat_map(|i| dv.mat(m).row(i).to_vec()).collect();
    }
}

fn check_reverse(f: Activation, m: usize, k: usize, n: usize) {
    let mut random = Uniform((m * 10_007 + k * 101 + n) as u64);
    let (y, dz) = (random_block(&mut random, m, k), random_block(&mut random, m, n));
    let w = pack(&random.vec(n * k), k, n);
    let (mut apart, mut at_once) = (Gradients::new(m, k, n, w.len()), Gradients::new(m, k, n, w.len()));
    separate_steps(f, [&y, &dz], m, &w, &mut apart);
    one_pass(f, [&y, &dz], m, &w, &mut at_once);
    assert_eq!(apart, at_once, "{f:?} m {m} k {k} n {n}");
}

fn transposed(w: &[f32], k: usize, n: usize) -> Vec<f32> {
    let mut wt = vec![0.0; linear::panels_len(n, k)];
    linear::transpose(linear::Panels::new(w, k, n), &mut wt);
    wt
}

fn separate_steps(f: Activation, [y, dz]: [&Block; 2], m: usize, w: &[f32], out: &mut Gradients) {
    let (k, n) = (y.num_cols(), dz.num_cols());
    let (y, dz) = (y.mat(m), dz.mat(m));
    let mut dv = Block::zeros(m, k);
    if n <= linear::NARROW {
        narrow::weight_gradient(y, dz, &mut out.dw);
        narrow::bias_gradient(dz, &mut out.db);
        narrow::input_gradient(dz, w, dv.mat_mut(m));
    } else {
        linear::weight_gradient(y, dz, &mut out.dw);
        linear::bias_gradient(dz, &mut out.db);
        let wt = transposed(w, k, n);
        linear::forward(dz, linear::Panels::new(&wt, n, k), None, dv.mat_mut(m));
    }
    activation::backward(f, y, y, dv.mat_mut(m));
    linear::bias_gradient(dv.mat(m), &mut out.db_before);
    out.keep(&dv, m);
}

fn one_pass(f: Activation, [y, dz]: [&Block; 2], m: usize, w: &[f32], out: &mut Gradients) {
    let (k, n) = (y.num_cols(), dz.num_cols());
    let (y, dz) = (y.mat(m), dz.mat(m));
    let mut dv = Block::zeros(m, k);
    if n <= linear::NARROW {
        let grads =
            NarrowGrads { dw: &mut out.dw, db: Some(&mut out.db[..n]), db_before: &mut out.db_before };
        through::narrow(f, dz, w, y, grads, dv.mat_mut(m));
    } else {
        linear::weight_gradient(y, dz, &mut out.dw);
        linear::bias_gradient(dz, &mut out.db);
        let wt = transposed(w, k, n);
        through::wide(f, dz, linear::Panels::new(&wt, n, k), y, &mut out.db_before, dv.mat_mut(m));
    }
    out.keep(&dv, m);
}

fn check_forward(f: Activation, m: usize, k: usize, n: usize) {
    let mut random = Uniform((m * 10_007 + k * 101 + n + 1) as u64);
    let (x, w) = (random.vec(m * k), pack(&random.vec(n * k), k, n));
    let mut bias = random.vec(n);
    bias.resize(n.next_multiple_of(16), 0.0);
    let (x, panels) = (Mat::new(&x, m, k), linear::Panels::new(&w, k, n));
    let (mut apart, mut at_once) = (Block::zeros(m, n), Block::zeros(m, n));
    linear::forward(x, panels, Some(&bias), apart.mat_mut(m));
    activation::forward_in_place(f, apart.mat_mut(m));
    through::forward(f, x, panels, &bias, at_once.mat_mut(m));
    for i in 0..m {
        assert_eq!(apart.mat(m).row(i), at_once.mat(m).row(i), "{f:?} m {m} k {k} n {n}");
    }
}

pub fn one_pass_equals_separate_steps() {
    let sizes: &[usize] = if cfg!(miri) { &[1, 5, 17] } else { &[1, 2, 3, 4, 5, 16, 33, 64, 100] };
    let rows: &[usize] = if cfg!(miri) { &[1, 3] } else { &[1, 2, 3, 5, 8, 17, 64] };
    for f in SERVED {
        for &m in rows {
            for &k in sizes {
                for &n in sizes {
                    check_reverse(f, m, k, n);
                    if n > linear::NARROW {
                        check_forward(f, m, k, n);
                    }
                }
            }
        }
    }
}
