//! The reverse of a linear layer together with that of the activation before it, in one pass over its outputs.
//!
//! For a layer `z = f(v) W + b` behind `y = f(v)`: from `dz` comes `dv = (dz Wᵀ) ∘ f'(y)`, and what the layer before
//! adds to the gradient of its bias, the column sums of `dv`. The bytes are those of the separate steps
//! ([`linear::forward`], [`activation::backward`], [`linear::bias_gradient`]).
//!
//! [`linear::forward`]: super::linear::forward
//! [`activation::backward`]: super::activation::backward
//! [`linear::bias_gradient`]: super::linear::bias_gradient

use std::marker::PhantomData;

use super::activation::{Activation, Function, Relu, Tanh};
use super::epilogue::{Activate, Through};
use super::linear::{NARROW, Panels, forward_to};
use crate::matrix::{Mat, MatMut, padded};
use crate::simd::{Kernel, LANES, Simd, dispatch};

/// Whether there is such a pass: the derivative needs the output only, and the function is a usual one (each is a whole set of
/// products to compile).
pub const fn serves(activation: Activation) -> bool {
    matches!(activation, Activation::Tanh | Activation::Relu)
}

/// Evaluates an expression with the activation's type, for the [served](serves) ones.
macro_rules! by_activation {
    ($activation:expr, |$f:ident| $work:expr) => {
        match $activation {
            Activation::Tanh => {
                let $f = PhantomData::<Tanh>;
                $work
            }
            Activation::Relu => {
                let $f = PhantomData::<Relu>;
                $work
            }
            // Refused before.
            Activation::Linear | Activation::Elu | Activation::Silu | Activation::Gelu => {}
        }
    };
}

fn check_served(activation: Activation) {
    assert!(serves(activation), "through: {activation:?} has no such pass");
}

fn check(activation: Activation, dz: Mat<'_>, y: Mat<'_>, dv: Mat<'_>, db: &[f32]) {
    let width = padded(dv.num_cols());
    check_served(activation);
    assert_eq!((y.num_rows(), y.num_cols()), (dv.num_rows(), dv.num_cols()), "through: shapes of y and dv");
    assert_eq!(dz.num_rows(), dv.num_rows(), "through: rows of dz and dv");
    assert!(y.has_width(width) && dv.has_width(width), "through: rows of y or dv are not padded");
    assert_eq!(db.len(), width, "through: length of the bias before");
}

/// `y = f(x w + bias)`: a layer with more than [`NARROW`] outputs and its activation, in one pass.
///
/// # Panics
/// If shapes do not fit together, or if the activation is not [served](serves).
pub fn forward(activation: Activation, x: Mat<'_>, w: Panels<'_>, bias: &[f32], y: MatMut<'_>) {
    check_served(activation);
    // SAFETY: the epilogue reads and writes nothing of its own.
    by_activation!(activation, |f| unsafe { forward_to(Activate(f), x, w, Some(bias), y) });
}

/// `dv = (dz wᵀ) ∘ f'(y)` and `db +=` the column sums of `dv`, for a layer with more than [`NARROW`] outputs. `wt` are
/// the panels of `wᵀ` ([`super::linear::transpose`]); `y` and `dv` have padded rows, `db` has padded length.
///
/// # Panics
/// If shapes do not fit together, or if the activation is not [served](serves).
pub fn wide(activation: Activation, dz: Mat<'_>, wt: Panels<'_>, y: Mat<'_>, db: &mut [f32], dv: MatMut<'_>) {
    check(activation, dz, y, dv.as_ref(), db);
    let (y, y_row, db) = (y.data().as_ptr(), y.stride(), db.as_mut_ptr());
    // SAFETY: `check` made sure that y has the rows of dv, and y and db its padded width; db is a mutable borrow, so it
    // overlaps nothing.
    by_activation!(activation, |f| unsafe { forward_to(Through { y, y_row, db, f }, dz, wt, None, dv) });
}

/// Gradients that [`narrow`] adds to; every sum over the rows is formed from zero first.
#[derive(Debug)]
pub struct NarrowGrads<'a> {
    /// Of the layer's weight, `[n, padded k]`: `dzᵀ y`.
    pub dw: &'a mut [f32],
    /// Of the layer's bias, if it is not counted yet, at least `n` long: the column sums of `dz`.
    pub db: Option<&'a mut [f32]>,
    /// Of the bias of the layer before, of padded length: the column sums of `dv`.
    pub db_before: &'a mut [f32],
}

struct Narrow<'a, F> {
    dz: Mat<'a>,
    w: &'a [f32],
    y: Mat<'a>,
    grads: NarrowGrads<'a>,
    dv: MatMut<'a>,
    f: PhantomData<F>,
}

impl<F: Function + Copy> Kernel for Narrow<'_, F> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(mut self, s: S) {
        match self.dz.num_cols() {
            1 => self.outputs::<S, 1, 4>(s),
            2 => self.outputs::<S, 2, 4>(s),
            3 => self.outputs::<S, 3, 2>(s),
            4 => self.outputs::<S, 4, 2>(s),
            _ => {}
        }
    }
}

impl<F: Function + Copy> Narrow<'_, F> {
    /// All vectors of columns, `NV` at a time: as many as leave the sums of `N` outputs in registers.
    #[inline(always)]
    fn outputs<S: Simd, const N: usize, const NV: usize>(&mut self, s: S) {
        let vectors = padded(self.dv.num_cols()) / LANES;
        let mut db = [0.0; N];
        let mut b = 0;
        while b + NV <= vectors {
            db = self.columns::<S, N, NV>(s, b);
            b += NV;
        }
        while b < vectors {
            db = self.columns::<S, N, 1>(s, b);
            b += 1;
        }
        if let Some(to) = &mut self.grads.db {
            to.iter_mut().zip(db).for_each(|(to, sum)| *to += sum);
        }
    }

    /// `NV` vectors of columns from vector `b` on, row after row. Returns the column sums of `dz`: they cost nothing in
    /// the shadow of the products.
    #[inline(always)]
    fn columns<S: Simd, const N: usize, const NV: usize>(&mut self, s: S, b: usize) -> [f32; N] {
        let vectors = padded(self.dv.num_cols()) / LANES;
        let mut w = [[s.splat(0.0); NV]; N];
        for (j, w) in w.iter_mut().enumerate() {
            for (v, w) in w.iter_mut().enumerate() {
                *w = s.load(&self.w.as_chunks().0[j * vectors + b + v]);
            }
        }
        let (mut dw, mut db_before, mut db) = ([[s.splat(0.0); NV]; N], [s.splat(0.0); NV], [0.0; N]);
        for i in 0..self.dz.num_rows() {
            let dz: [f32; N] = std::array::from_fn(|j| self.dz.row(i)[j]);
            db.iter_mut().zip(&dz).for_each(|(sum, dz)| *sum += dz);
            let y = &self.y.wide_row(i, vectors * LANES).as_chunks::<LANES>().0[b..b + NV];
            let dv = &mut self.dv.wide_row_mut(i, vectors * LANES).as_chunks_mut::<LANES>().0[b..b + NV];
            for (v, (y, to)) in y.iter().zip(dv).enumerate() {
                let y = s.load(y);
                let mut sum = s.splat(0.0);
                for ((&dz, w), dw) in dz.iter().zip(&w).zip(&mut dw) {
                    sum = s.fma(s.splat(dz), w[v], sum);
                    dw[v] = s.fma(s.splat(dz), y, dw[v]);
                }
                let d = s.mul(sum, F::derivative(s, y, y));
                s.store(d, to);
                db_before[v] = s.add(db_before[v], d);
            }
        }
        add_vectors(s, self.grads.db_before, b, db_before);
        for (j, dw) in dw.into_iter().enumerate() {
            add_vectors(s, self.grads.dw, j * vectors + b, dw);
        }
        db
    }
}

/// Adds to the vectors from number `start` on.
#[inline(always)]
fn add_vectors<S: Simd, const NV: usize>(s: S, to: &mut [f32], start: usize, sums: [S::V; NV]) {
    for (to, sum) in to.as_chunks_mut::<LANES>().0[start..].iter_mut().zip(sums) {
        s.store(s.add(s.load(to), sum), to);
    }
}

/// The same as [`wide`] for a layer with at most [`NARROW`] outputs, whose weight `w` is `[n, padded k]`; and, as `y` is
/// the layer's input, the gradients of its own weight and bias.
///
/// # Panics
/// If shapes do not fit together, or if the activation is not [served](serves).
pub fn narrow(
    activation: Activation,
    dz: Mat<'_>,
    w: &[f32],
    y: Mat<'_>,
    grads: NarrowGrads<'_>,
    dv: MatMut<'_>,
) {
    check(activation, dz, y, dv.as_ref(), grads.db_before);
    let (n, width) = (dz.num_cols(), padded(dv.num_cols()));
    assert!((1..=NARROW).contains(&n), "through: expected 1 to {NARROW} outputs, found {n}");
    assert_eq!((w.len(), grads.dw.len()), (n * width, n * width), "through: lengths of w and dw");
    assert!(grads.db.as_ref().is_none_or(|db| db.len() >= n), "through: length of db");
    by_activation!(activation, |f| dispatch(Narrow { dz, w, y, grads, dv, f }));
}
