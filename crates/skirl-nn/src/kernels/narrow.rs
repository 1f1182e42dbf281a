//! Linear layers with few outputs (heads with 1 to 4): a column panel would be mostly padding, so the weight is kept as
//! `[n, padded k]` rows, and the vectors run along `k`.
//!
//! An output is a dot product: 16 partial sums in the order of `k`, folded by the fixed tree of
//! [`Simd::reduce_add`], plus the bias. The order depends on `k` only, never on the batch.

use crate::matrix::{Mat, MatMut, padded};
use crate::simd::{Kernel, LANES, Simd, dispatch};

struct Forward<'a> {
    x: Mat<'a>,
    w: &'a [f32],
    bias: &'a [f32],
    out: MatMut<'a>,
}

impl Kernel for Forward<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(mut self, s: S) {
        let k = padded(self.x.num_cols());
        for i in 0..self.x.num_rows() {
            let x = self.x.row(i);
            for (j, out) in self.out.row_mut(i).iter_mut().enumerate() {
                *out = dot(s, x, &self.w[j * k..][..k]) + self.bias[j];
            }
        }
    }
}

/// `w` is padded with zeros to whole vectors.
#[inline(always)]
fn dot<S: Simd>(s: S, x: &[f32], w: &[f32]) -> f32 {
    let mut sum = s.splat(0.0);
    let (blocks, rest) = x.as_chunks::<LANES>();
    let w = w.as_chunks::<LANES>().0;
    for (x, w) in blocks.iter().zip(w) {
        sum = s.fma(s.load(x), s.load(w), sum);
    }
    if !rest.is_empty() {
        sum = s.fma(s.load_partial(rest), s.load(&w[blocks.len()]), sum);
    }
    s.reduce_add(sum)
}

/// `out = x wᵀ + bias`, `w` as `[n, padded k]`, `out` of `n` columns.
///
/// # Panics
/// If shapes do not fit together.
#[inline]
pub fn forward(x: Mat<'_>, w: &[f32], bias: &[f32], out: MatMut<'_>) {
    let n = out.num_cols();
    assert_eq!(x.num_rows(), out.num_rows(), "narrow linear: rows of x and out");
    assert_eq!(w.len(), n * padded(x.num_cols()), "narrow linear: length of w");
    assert!(bias.len() >= n, "narrow linear: length of bias");
    dispatch(Forward { x, w, bias, out });
}

struct InputGradient<'a> {
    dz: Mat<'a>,
    w: &'a [f32],
    dx: MatMut<'a>,
}

impl Kernel for InputGradient<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(mut self, s: S) {
        let k = padded(self.dx.num_cols());
        for i in 0..self.dz.num_rows() {
            let dz = self.dz.row(i);
            let blocks = self.dx.wide_row_mut(i, k).as_chunks_mut::<LANES>().0;
            for (b, block) in blocks.iter_mut().enumerate() {
                let mut sum = s.splat(0.0);
                for (j, &d) in dz.iter().enumerate() {
                    let w = self.w[j * k..].as_chunks::<LANES>().0;
                    sum = s.fma(s.splat(d), s.load(&w[b]), sum);
                }
                s.store(sum, block);
            }
        }
    }
}

/// `dx = dz w`; the padding columns of `dx` become zero.
///
/// # Panics
/// If shapes do not fit together.
#[inline]
pub fn input_gradient(dz: Mat<'_>, w: &[f32], dx: MatMut<'_>) {
    let k = padded(dx.num_cols());
    assert_eq!(dz.num_rows(), dx.num_rows(), "narrow linear: rows of dz and dx");
    assert_eq!(w.len(), dz.num_cols() * k, "narrow linear: length of w");
    assert!(dx.as_ref().has_width(k), "narrow linear: dx is narrower than {k}");
    dispatch(InputGradient { dz, w, dx });
}

struct WeightGradient<'a> {
    x: Mat<'a>,
    dz: Mat<'a>,
    dw: &'a mut [f32],
}

impl Kernel for WeightGradient<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let k = padded(self.x.num_cols());
        for (j, dw) in self.dw.chunks_exact_mut(k).enumerate() {
            let mut blocks = dw.as_chunks_mut::<LANES>().0.chunks_mut(4);
            let mut start = 0;
            // Four vectors at a time: enough independent sums to hide the latency.
            for group in &mut blocks {
                match group.len() {
                    4 => add_products::<S, 4>(s, self.x, self.dz, j, start, group),
                    3 => add_products::<S, 3>(s, self.x, self.dz, j, start, group),
                    2 => add_products::<S, 2>(s, self.x, self.dz, j, start, group),
                    _ => add_products::<S, 1>(s, self.x, self.dz, j, start, group),
                }
                start += group.len() * LANES;
            }
        }
    }
}

/// Adds `Σ_r dz[r][j] x[r][start..]` to `NV` vectors of the gradient.
#[inline(always)]
fn add_products<S: Simd, const NV: usize>(
    s: S,
    x: Mat<'_>,
    dz: Mat<'_>,
    j: usize,
    start: usize,
    dw: &mut [[f32; LANES]],
) {
    let mut sums = [s.splat(0.0); NV];
    for r in 0..x.num_rows() {
        let d = s.splat(dz.row(r)[j]);
        let row = &x.row(r)[start..];
        let (whole, rest) = row.as_chunks::<LANES>();
        for (v, sum) in sums.iter_mut().enumerate() {
            let value = if v < whole.len() { s.load(&whole[v]) } else { s.load_partial(rest) };
            *sum = s.fma(d, value, *sum);
        }
    }
    for (block, &sum) in dw.iter_mut().zip(&sums) {
        s.store(s.add(s.load(block), sum), block);
    }
}

/// `dw += dzᵀ x` as `[n, padded k]`, the sum over the rows formed from zero first.
///
/// # Panics
/// If shapes do not fit together.
#[inline]
pub fn weight_gradient(x: Mat<'_>, dz: Mat<'_>, dw: &mut [f32]) {
    assert_eq!(x.num_rows(), dz.num_rows(), "narrow linear: rows of x and dz");
    assert_eq!(dw.len(), dz.num_cols() * padded(x.num_cols()), "narrow linear: length of dw");
    if x.num_cols() > 0 {
        dispatch(WeightGradient { x, dz, dw });
    }
}

/// `db += ` the column sums of `dz`, formed from zero first.
///
/// # Panics
/// If `db` is shorter than `dz` is wide.
pub fn bias_gradient(dz: Mat<'_>, db: &mut [f32]) {
    for (j, db) in db[..dz.num_cols()].iter_mut().enumerate() {
        let mut sum = 0.0;
        for r in 0..dz.num_rows() {
            sum += dz.row(r)[j];
        }
        *db += sum;
    }
}
