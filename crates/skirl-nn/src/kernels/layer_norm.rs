//! Layer normalisation over the columns (Ba, Kiros, Hinton 2016), with PyTorch's ε of 1e-5.

use crate::matrix::{Mat, MatMut, padded};
use crate::simd::{Kernel, LANES, Simd, dispatch};

/// Added to the variance.
pub const EPSILON: f32 = 1e-5;

/// Sum of `f(vector)` over the vectors of a padded row.
#[inline(always)]
fn sum_over<S: Simd>(s: S, row: &[f32], f: impl Fn(usize, S::V) -> S::V) -> f32 {
    let mut sum = s.splat(0.0);
    for (b, block) in row.as_chunks::<LANES>().0.iter().enumerate() {
        sum = s.add(sum, f(b, s.load(block)));
    }
    s.reduce_add(sum)
}

struct Normalise<'a> {
    z: Mat<'a>,
    normalised: MatMut<'a>,
    inverse_std: &'a mut [f32],
}

impl Kernel for Normalise<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(mut self, s: S) {
        let n = self.z.num_cols();
        let width = padded(n);
        let scale = 1.0 / n as f32;
        for i in 0..self.z.num_rows() {
            let z = self.z.wide_row(i, width);
            let out = self.normalised.wide_row_mut(i, width);
            let mean = s.splat(sum_over(s, z, |_, v| v) * scale);
            for (z, out) in z.as_chunks::<LANES>().0.iter().zip(out.as_chunks_mut::<LANES>().0) {
                s.store(s.sub(s.load(z), mean), out);
            }
            out[n..].fill(0.0);
            let variance = sum_over(s, out, |_, v| s.mul(v, v)) * scale;
            let inverse = 1.0 / (variance + EPSILON).sqrt();
            self.inverse_std[i] = inverse;
            for block in out.as_chunks_mut::<LANES>().0 {
                s.store(s.mul(s.load(block), s.splat(inverse)), block);
            }
        }
    }
}

struct ScaleShift<'a> {
    normalised: Mat<'a>,
    gain: &'a [f32],
    shift: &'a [f32],
    y: MatMut<'a>,
}

impl Kernel for ScaleShift<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(mut self, s: S) {
        let width = self.gain.len();
        let (gain, shift) = (self.gain.as_chunks::<LANES>().0, self.shift.as_chunks::<LANES>().0);
        for i in 0..self.y.num_rows() {
            let x = self.normalised.wide_row(i, width).as_chunks::<LANES>().0;
            let y = self.y.wide_row_mut(i, width).as_chunks_mut::<LANES>().0;
            for (((x, y), gain), shift) in x.iter().zip(y).zip(gain).zip(shift) {
                s.store(s.fma(s.load(x), s.load(gain), s.load(shift)), y);
            }
        }
    }
}

/// `y = gain · (z - mean) / √(variance + ε) + shift` per row. Keeps the quotient and the inverse standard deviations
/// for the reverse. `gain` and `shift` have padded length; all rows are padded.
///
/// # Panics
/// If shapes do not fit together.
pub fn forward(
    z: Mat<'_>,
    gain: &[f32],
    shift: &[f32],
    mut normalised: MatMut<'_>,
    inverse_std: &mut [f32],
    y: MatMut<'_>,
) {
    check(z, gain.len(), shift.len());
    check(normalised.as_ref(), gain.len(), shift.len());
    check(y.as_ref(), gain.len(), shift.len());
    assert!(inverse_std.len() >= z.num_rows(), "layer norm: rows of inverse_std");
    assert_eq!((y.num_rows(), normalised.num_rows()), (z.num_rows(), z.num_rows()), "layer norm: rows");
    dispatch(Normalise { z, normalised: normalised.reborrow(), inverse_std });
    dispatch(ScaleShift { normalised: normalised.as_ref(), gain, shift, y });
}

fn check(mat: Mat<'_>, gain: usize, shift: usize) {
    let width = padded(mat.num_cols());
    assert_eq!((gain, shift), (width, width), "layer norm: lengths of gain and shift");
    assert!(mat.has_width(width), "layer norm: rows are not padded");
}

struct InputGradient<'a> {
    normalised: Mat<'a>,
    inverse_std: &'a [f32],
    gain: &'a [f32],
    d: MatMut<'a>,
}

impl Kernel for InputGradient<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(mut self, s: S) {
        let (n, width) = (self.d.num_cols(), self.gain.len());
        let scale = 1.0 / n as f32;
        let gain = self.gain.as_chunks::<LANES>().0;
        for i in 0..self.d.num_rows() {
            let x = self.normalised.wide_row(i, width).as_chunks::<LANES>().0;
            let d = self.d.wide_row_mut(i, width);
            for (d, gain) in d.as_chunks_mut::<LANES>().0.iter_mut().zip(gain) {
                s.store(s.mul(s.load(d), s.load(gain)), d);
            }
            let mean = s.splat(sum_over(s, d, |_, v| v) * scale);
            let slope = s.splat(sum_over(s, d, |b, v| s.mul(v, s.load(&x[b]))) * scale);
            let inverse = s.splat(self.inverse_std[i]);
            for (d, x) in d.as_chunks_mut::<LANES>().0.iter_mut().zip(x) {
                let centred = s.fnma(s.load(x), slope, s.sub(s.load(d), mean));
                s.store(s.mul(inverse, centred), d);
            }
            d[n..].fill(0.0);
        }
    }
}

/// Turns the gradient of `y` in `d` into that of `z`.
///
/// # Panics
/// If shapes do not fit together.
pub fn input_gradient(normalised: Mat<'_>, inverse_std: &[f32], gain: &[f32], d: MatMut<'_>) {
    check(normalised, gain.len(), gain.len());
    check(d.as_ref(), gain.len(), gain.len());
    assert_eq!(d.num_rows(), normalised.num_rows(), "layer norm: rows");
    assert!(inverse_std.len() >= d.num_rows(), "layer norm: rows of inverse_std");
    dispatch(InputGradient { normalised, inverse_std, gain, d });
}

struct GainGradient<'a> {
    normalised: Mat<'a>,
    d: Mat<'a>,
    d_gain: &'a mut [f32],
}

impl Kernel for GainGradient<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let width = self.d_gain.len();
        for (b, d_gain) in self.d_gain.as_chunks_mut::<LANES>().0.iter_mut().enumerate() {
            let mut sum = s.splat(0.0);
            for i in 0..self.d.num_rows() {
                let d = &self.d.wide_row(i, width).as_chunks::<LANES>().0[b];
                let x = &self.normalised.wide_row(i, width).as_chunks::<LANES>().0[b];
                sum = s.fma(s.load(d), s.load(x), sum);
            }
            s.store(s.add(s.load(d_gain), sum), d_gain);
        }
    }
}

/// `d_gain += ` the column sums of `d · normalised`, formed from zero first. (That of the shift is
/// [`super::linear::bias_gradient`].)
///
/// # Panics
/// If shapes do not fit together.
pub fn gain_gradient(normalised: Mat<'_>, d: Mat<'_>, d_gain: &mut [f32]) {
    check(normalised, d_gain.len(), d_gain.len());
    check(d, d_gain.len(), d_gain.len());
    assert_eq!(d.num_rows(), normalised.num_rows(), "layer norm: rows");
    dispatch(GainGradient { normalised, d, d_gain });
}
