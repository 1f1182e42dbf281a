//! Linear layers with few outputs (heads with 1 to 4): a column panel would be mostly padding, so the weight is kept as
//! `[n, padded k]` rows, and the vectors run along `k`.
//!
//! An output is a dot product: 16 partial sums in the order of `k`, folded by the fixed tree of
//! [`Simd::reduce_add`], plus the bias. The order depends on `k` only, never on the batch.

use std::ops::Range;

use super::linear::NARROW;
use crate::matrix::{Mat, MatMut, padded};
use crate::simd::{Kernel, LANES, Simd, dispatch};

/// Chooses the number of outputs at compile time: `call!(n => function::<S, N>(…))` for `n` in 1 to 4.
macro_rules! by_outputs {
    ($n:expr, $function:ident::<$simd:ident>($($argument:expr),*)) => {
        match $n {
            1 => $function::<$simd, 1>($($argument),*),
            2 => $function::<$simd, 2>($($argument),*),
            3 => $function::<$simd, 3>($($argument),*),
            4 => $function::<$simd, 4>($($argument),*),
            _ => {}
        }
    };
}

/// Vector `b` of row `i`.
#[inline(always)]
fn vector<S: Simd>(s: S, x: Mat<'_>, i: usize, b: usize) -> S::V {
    let start = i * x.stride() + b * LANES;
    debug_assert!(start + LANES <= x.data().len());
    // SAFETY: every public function here checks `has_width(padded(k))`, and calls with `i` below the number of rows and
    // `b` below `padded(k) / 16` only.
    unsafe { s.load_ptr(x.data().as_ptr().add(start)) }
}

/// Checks that `x` is readable in whole vectors, and that there are 1 to 4 outputs.
fn check(x: Mat<'_>, n: usize) {
    assert!(x.has_width(padded(x.num_cols())), "narrow linear: rows of x are not padded");
    assert!((1..=NARROW).contains(&n), "narrow linear: expected 1 to {NARROW} outputs, found {n}");
}

struct Forward<'a> {
    x: Mat<'a>,
    w: &'a [f32],
    bias: &'a [f32],
    out: MatMut<'a>,
}

impl Kernel for Forward<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        by_outputs!(self.out.num_cols(), forward_n::<S>(s, self));
    }
}

#[inline(always)]
fn forward_n<S: Simd, const N: usize>(s: S, mut p: Forward<'_>) {
    // As many rows as fill 16 sums: their lanes are then added together.
    let group = LANES / N;
    let bias = s.load(&std::array::from_fn(|lane| p.bias[lane % N]));
    for start in (0..p.x.num_rows()).step_by(group) {
        let rows = group.min(p.x.num_rows() - start);
        let sums = if rows == group {
            dot_products::<S, N>(s, p.x, p.w, start, group)
        } else if rows == group / 2 {
            dot_products::<S, N>(s, p.x, p.w, start, group / 2)
        } else {
            dot_products::<S, N>(s, p.x, p.w, start, rows)
        };
        put_rows::<S, N>(s, s.add(s.reduce_add_each(sums), bias), &mut p.out, start..start + rows);
    }
}

/// Writes rows of `N` numbers that lie in a vector one after the other.
#[inline(always)]
fn put_rows<S: Simd, const N: usize>(s: S, values: S::V, out: &mut MatMut<'_>, rows: Range<usize>) {
    if out.stride() == N {
        return s.store_front(values, &mut out.data_mut()[rows.start * N..rows.end * N]);
    }
    let mut each = [0.0; LANES];
    s.store(values, &mut each);
    for (row, values) in rows.zip(each.as_chunks::<N>().0) {
        out.row_mut(row).copy_from_slice(values);
    }
}

/// The partial sums of `rows ≤ 16 / N` rows from `start` on: vector `r * N + j` is that of output `j` of row `r`.
/// Where `rows` is known when compiled, the sums stay in registers.
#[inline(always)]
fn dot_products<S: Simd, const N: usize>(
    s: S,
    x: Mat<'_>,
    w: &[f32],
    start: usize,
    rows: usize,
) -> [S::V; LANES] {
    let vectors = padded(x.num_cols()) / LANES;
    let w = w.as_chunks::<LANES>().0;
    let mut sums = [s.splat(0.0); LANES];
    for b in 0..vectors {
        let mut weights = [s.splat(0.0); N];
        for (j, weight) in weights.iter_mut().enumerate() {
            *weight = s.load(&w[j * vectors + b]);
        }
        for (r, sums) in sums.chunks_exact_mut(N).enumerate() {
            if r < rows {
                let x = vector(s, x, start + r, b);
                for (sum, &weight) in sums.iter_mut().zip(&weights) {
                    *sum = s.fma(x, weight, *sum);
                }
            }
        }
    }
    sums
}

/// `out = x wᵀ + bias`, `w` as `[n, padded k]`, `out` of `n` ≤ 4 columns; the rows of `x` are padded with zeros.
///
/// # Panics
/// If shapes do not fit together.
#[inline]
pub fn forward(x: Mat<'_>, w: &[f32], bias: &[f32], out: MatMut<'_>) {
    let n = out.num_cols();
    check(x, n);
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
    fn run<S: Simd>(self, s: S) {
        by_outputs!(self.dz.num_cols(), input_gradient_n::<S>(s, self));
    }
}

#[inline(always)]
fn input_gradient_n<S: Simd, const N: usize>(s: S, mut p: InputGradient<'_>) {
    let k = padded(p.dx.num_cols());
    let w = p.w.as_chunks::<LANES>().0;
    for i in 0..p.dz.num_rows() {
        let mut dz = [s.splat(0.0); N];
        for (dz, &value) in dz.iter_mut().zip(p.dz.row(i)) {
            *dz = s.splat(value);
        }
        for (b, block) in p.dx.wide_row_mut(i, k).as_chunks_mut::<LANES>().0.iter_mut().enumerate() {
            let mut sum = s.splat(0.0);
            for (j, &dz) in dz.iter().enumerate() {
                sum = s.fma(dz, s.load(&w[j * (k / LANES) + b]), sum);
            }
            s.store(sum, block);
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
    check(dx.as_ref(), dz.num_cols());
    assert_eq!(dz.num_rows(), dx.num_rows(), "narrow linear: rows of dz and dx");
    assert_eq!(w.len(), dz.num_cols() * k, "narrow linear: length of w");
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
        by_outputs!(self.dz.num_cols(), weight_gradient_n::<S>(s, self));
    }
}

#[inline(always)]
fn weight_gradient_n<S: Simd, const N: usize>(s: S, p: WeightGradient<'_>) {
    let vectors = padded(p.x.num_cols()) / LANES;
    let dw = p.dw.as_chunks_mut::<LANES>().0;
    let mut b = 0;
    // Four vectors at a time: enough independent sums to hide the latency.
    while b + 4 <= vectors {
        add_products::<S, N, 4>(s, p.x, p.dz, b, dw);
        b += 4;
    }
    while b < vectors {
        add_products::<S, N, 1>(s, p.x, p.dz, b, dw);
        b += 1;
    }
}

/// Adds `Σ_r dz[r][j] x[r]` to the vectors from `b` on of every row `j` of the gradient.
#[inline(always)]
fn add_products<S: Simd, const N: usize, const NV: usize>(
    s: S,
    x: Mat<'_>,
    dz: Mat<'_>,
    b: usize,
    dw: &mut [[f32; LANES]],
) {
    let mut sums = [[s.splat(0.0); NV]; N];
    for r in 0..x.num_rows() {
        let dz = dz.row(r);
        for v in 0..NV {
            let x = vector(s, x, r, b + v);
            for (sums, &dz) in sums.iter_mut().zip(dz) {
                sums[v] = s.fma(s.splat(dz), x, sums[v]);
            }
        }
    }
    let vectors = padded(x.num_cols()) / LANES;
    for (j, sums) in sums.iter().enumerate() {
        for (v, &sum) in sums.iter().enumerate() {
            let block = &mut dw[j * vectors + b + v];
            s.store(s.add(s.load(block), sum), block);
        }
    }
}

/// `dw += dzᵀ x` as `[n, padded k]`, the sum over the rows formed from zero first; the rows of `x` are padded with zeros.
///
/// # Panics
/// If shapes do not fit together.
#[inline]
pub fn weight_gradient(x: Mat<'_>, dz: Mat<'_>, dw: &mut [f32]) {
    check(x, dz.num_cols());
    assert_eq!(x.num_rows(), dz.num_rows(), "narrow linear: rows of x and dz");
    assert_eq!(dw.len(), dz.num_cols() * padded(x.num_cols()), "narrow linear: length of dw");
    dispatch(WeightGradient { x, dz, dw });
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
