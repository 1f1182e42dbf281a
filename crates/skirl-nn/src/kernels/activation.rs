//! Activations and their derivatives, over padded rows.

use crate::matrix::{Mat, MatMut, padded};
use crate::simd::{self, Kernel, LANES, Simd, dispatch};

/// An element-wise nonlinearity, with PyTorch's defaults.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Activation {
    /// Hyperbolic tangent.
    #[default]
    Tanh,
    /// `max(x, 0)`.
    Relu,
    /// `x · sigmoid(x)`.
    Silu,
    /// `x Φ(x)` with the exact normal distribution function (`torch.nn.GELU()`).
    Gelu,
    /// `x` for `x > 0`, else `e^x - 1` (α = 1).
    Elu,
    /// The identity.
    Linear,
}

impl Activation {
    /// Whether the derivative needs the input and not only the output.
    pub const fn needs_input(self) -> bool {
        matches!(self, Self::Silu | Self::Gelu)
    }
}

/// An activation as types, so that the choice is made once per matrix.
pub(super) trait Function {
    fn value<S: Simd>(s: S, x: S::V) -> S::V;
    /// Derivative from the input `x` and the output `y`; those of [`Activation::needs_input`] use `x`, others `y`.
    fn derivative<S: Simd>(s: S, x: S::V, y: S::V) -> S::V;
}

#[derive(Clone, Copy)]
pub(super) struct Tanh;
impl Function for Tanh {
    #[inline(always)]
    fn value<S: Simd>(s: S, x: S::V) -> S::V {
        simd::tanh(s, x)
    }
    #[inline(always)]
    fn derivative<S: Simd>(s: S, _: S::V, y: S::V) -> S::V {
        s.fnma(y, y, s.splat(1.0))
    }
}

#[derive(Clone, Copy)]
pub(super) struct Relu;
impl Function for Relu {
    #[inline(always)]
    fn value<S: Simd>(s: S, x: S::V) -> S::V {
        s.max(s.splat(0.0), x)
    }
    #[inline(always)]
    fn derivative<S: Simd>(s: S, _: S::V, y: S::V) -> S::V {
        s.select_lt(s.splat(0.0), y, s.splat(1.0), s.splat(0.0))
    }
}

struct Silu;
impl Function for Silu {
    #[inline(always)]
    fn value<S: Simd>(s: S, x: S::V) -> S::V {
        s.mul(x, simd::sigmoid(s, x))
    }
    #[inline(always)]
    fn derivative<S: Simd>(s: S, x: S::V, _: S::V) -> S::V {
        let one = s.splat(1.0);
        let sigmoid = simd::sigmoid(s, x);
        s.mul(sigmoid, s.fma(x, s.sub(one, sigmoid), one))
    }
}

struct Gelu;
impl Gelu {
    /// Standard normal distribution function.
    #[inline(always)]
    fn normal_cdf<S: Simd>(s: S, x: S::V) -> S::V {
        let half = s.splat(0.5);
        let scaled = s.mul(x, s.splat(std::f32::consts::FRAC_1_SQRT_2));
        s.fma(half, simd::erf(s, scaled), half)
    }
}
impl Function for Gelu {
    #[inline(always)]
    fn value<S: Simd>(s: S, x: S::V) -> S::V {
        s.mul(x, Self::normal_cdf(s, x))
    }
    #[inline(always)]
    fn derivative<S: Simd>(s: S, x: S::V, _: S::V) -> S::V {
        const FRAC_1_SQRT_TAU: f32 = 0.398_942_3;
        let density = simd::exp(s, s.mul(s.mul(x, x), s.splat(-0.5)));
        let slope = s.mul(s.mul(x, density), s.splat(FRAC_1_SQRT_TAU));
        s.add(Self::normal_cdf(s, x), slope)
    }
}

struct Elu;
impl Function for Elu {
    #[inline(always)]
    fn value<S: Simd>(s: S, x: S::V) -> S::V {
        s.select_lt(s.splat(0.0), x, x, simd::exp_m1_negative(s, x))
    }
    #[inline(always)]
    fn derivative<S: Simd>(s: S, _: S::V, y: S::V) -> S::V {
        let one = s.splat(1.0);
        s.select_lt(s.splat(0.0), y, one, s.add(y, one))
    }
}

/// Rows and their padded width; one long row where there are no gaps.
#[inline(always)]
fn extent(mats: &[Mat<'_>]) -> (usize, usize) {
    let (rows, width) = (mats[0].num_rows(), padded(mats[0].num_cols()));
    if mats.iter().all(|m| m.stride() == width) { (rows.min(1), rows * width) } else { (rows, width) }
}

struct InPlace<'a, F>(MatMut<'a>, F);
impl<F: Function> Kernel for InPlace<'_, F> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(mut self, s: S) {
        let (rows, width) = extent(&[self.0.as_ref()]);
        for i in 0..rows {
            for block in self.0.wide_row_mut(i, width).as_chunks_mut::<LANES>().0 {
                s.store(F::value(s, s.load(block)), block);
            }
        }
    }
}

struct Between<'a, F>(Mat<'a>, MatMut<'a>, F);
impl<F: Function> Kernel for Between<'_, F> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(mut self, s: S) {
        let (rows, width) = extent(&[self.0, self.1.as_ref()]);
        for i in 0..rows {
            let from = self.0.wide_row(i, width).as_chunks::<LANES>().0;
            let to = self.1.wide_row_mut(i, width).as_chunks_mut::<LANES>().0;
            for (x, y) in from.iter().zip(to) {
                s.store(F::value(s, s.load(x)), y);
            }
        }
    }
}

struct Reverse<'a, F>(Mat<'a>, Mat<'a>, MatMut<'a>, F);
impl<F: Function> Kernel for Reverse<'_, F> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self(x, y, mut d, _) = self;
        let (rows, width) = extent(&[x, y, d.as_ref()]);
        for i in 0..rows {
            let x = x.wide_row(i, width).as_chunks::<LANES>().0;
            let y = y.wide_row(i, width).as_chunks::<LANES>().0;
            let d = d.wide_row_mut(i, width).as_chunks_mut::<LANES>().0;
            for ((x, y), d) in x.iter().zip(y).zip(d) {
                let slope = F::derivative(s, s.load(x), s.load(y));
                s.store(s.mul(s.load(d), slope), d);
            }
        }
    }
}

fn check(what: Mat<'_>, like: Mat<'_>) {
    assert_eq!((what.num_rows(), what.num_cols()), (like.num_rows(), like.num_cols()), "activation: shapes");
    assert!(what.has_width(padded(what.num_cols())), "activation: rows are not padded");
}

/// `values = f(values)`. Padding must be readable; zeros in it stay zeros.
///
/// # Panics
/// If the rows are not padded to whole vectors.
#[inline]
pub fn forward_in_place(activation: Activation, values: MatMut<'_>) {
    check(values.as_ref(), values.as_ref());
    match activation {
        Activation::Tanh => dispatch(InPlace(values, Tanh)),
        Activation::Relu => dispatch(InPlace(values, Relu)),
        Activation::Silu => dispatch(InPlace(values, Silu)),
        Activation::Gelu => dispatch(InPlace(values, Gelu)),
        Activation::Elu => dispatch(InPlace(values, Elu)),
        Activation::Linear => {}
    }
}

/// `y = f(x)`, for the activations whose derivative needs `x` later.
///
/// # Panics
/// If the shapes differ or the rows are not padded to whole vectors.
#[inline]
pub fn forward(activation: Activation, x: Mat<'_>, mut y: MatMut<'_>) {
    check(x, y.as_ref());
    check(y.as_ref(), x);
    match activation {
        Activation::Tanh => dispatch(Between(x, y, Tanh)),
        Activation::Relu => dispatch(Between(x, y, Relu)),
        Activation::Silu => dispatch(Between(x, y, Silu)),
        Activation::Gelu => dispatch(Between(x, y, Gelu)),
        Activation::Elu => dispatch(Between(x, y, Elu)),
        Activation::Linear => y.copy_from(x),
    }
}

/// `d *= f'`, from the inputs `x` for [`Activation::needs_input`], else from the outputs `y` alone (`x` is then read but
/// not used, so `y` may be passed twice).
///
/// # Panics
/// If the shapes differ or the rows are not padded to whole vectors.
#[inline]
pub fn backward(activation: Activation, x: Mat<'_>, y: Mat<'_>, d: MatMut<'_>) {
    check(x, d.as_ref());
    check(y, d.as_ref());
    check(d.as_ref(), y);
    match activation {
        Activation::Tanh => dispatch(Reverse(x, y, d, Tanh)),
        Activation::Relu => dispatch(Reverse(x, y, d, Relu)),
        Activation::Silu => dispatch(Reverse(x, y, d, Silu)),
        Activation::Gelu => dispatch(Reverse(x, y, d, Gelu)),
        Activation::Elu => dispatch(Reverse(x, y, d, Elu)),
        Activation::Linear => {}
    }
}
