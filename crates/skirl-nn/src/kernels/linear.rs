//! Linear layers with more than [`NARROW`] outputs: product, both reverses, and the transposed copy they need.

use super::epilogue::{Add, Epilogue, Store};
use super::tile::{Product, product};
use crate::matrix::{Mat, MatMut, padded};
use crate::simd::{Kernel, LANES, Simd, dispatch};

/// Columns of a weight panel.
pub const PANEL: usize = 64;

/// Layers with at most this many outputs use [`super::narrow`] instead.
pub const NARROW: usize = 4;

/// Weights `[k, n]` in panels of [`PANEL`] columns: panel `p` holds rows of `min(64, padded n - 64 p)` values, one
/// after the other, and starts at `64 p k`. Columns beyond `n` are zero.
#[derive(Debug, Clone, Copy)]
pub struct Panels<'a> {
    data: &'a [f32],
    k: usize,
    n: usize,
}

/// Number of values of a `[k, n]` weight in panels.
pub const fn panels_len(k: usize, n: usize) -> usize {
    k.saturating_mul(padded(n))
}

impl<'a> Panels<'a> {
    /// A view of packed weights.
    ///
    /// # Panics
    /// If `data` is not [`panels_len`] long.
    #[inline]
    pub fn new(data: &'a [f32], k: usize, n: usize) -> Self {
        assert_eq!(data.len(), panels_len(k, n), "length of a [{k}, {n}] weight in panels");
        Self { data, k, n }
    }
}

/// First column and width of every panel of `n` columns.
fn panels(n: usize) -> impl Iterator<Item = (usize, usize)> {
    let total = padded(n);
    (0..total).step_by(PANEL).map(move |start| (start, PANEL.min(total - start)))
}

struct Forward<'a, E> {
    x: Mat<'a>,
    w: Panels<'a>,
    bias: Option<&'a [f32]>,
    out: MatMut<'a>,
    epilogue: E,
}

impl<E: Epilogue> Kernel for Forward<'_, E> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(mut self, s: S) {
        let (m, c_row) = (self.out.num_rows(), self.out.stride());
        for (start, width) in panels(self.w.n) {
            let part = Product {
                m,
                k: self.w.k,
                n: width,
                a: self.x.data().as_ptr(),
                a_row: self.x.stride(),
                a_col: 1,
                b: self.w.data[start * self.w.k..].as_ptr(),
                b_row: width,
                c: self.out.data_mut()[start..].as_mut_ptr(),
                c_row,
                init: self.bias.map_or(std::ptr::null(), |b| b[start..].as_ptr()),
                // SAFETY: every panel begins inside the product.
                epilogue: unsafe { self.epilogue.part(0, start) },
            };
            // SAFETY: `forward_to` checked that x has k columns and out and bias the padded width; the panels are
            // complete by construction; out is a mutable borrow, so it overlaps nothing.
            unsafe { product(s, part) };
        }
    }
}

/// `out = x w + bias`, bias of padded length or none for zero. Writes whole vectors: the padding columns of `out` become
/// those of the bias, zero.
///
/// # Panics
/// If shapes do not fit together.
#[inline]
pub fn forward(x: Mat<'_>, w: Panels<'_>, bias: Option<&[f32]>, out: MatMut<'_>) {
    // SAFETY: the epilogue reads and writes nothing of its own.
    unsafe { forward_to(Store, x, w, bias, out) };
}

/// [`forward`], with the sums handed to an epilogue.
///
/// # Safety
/// What the epilogue reads and writes beside `out` is valid for the shape of `out`, rows as wide as whole vectors, and
/// overlaps nothing else.
#[inline]
pub(super) unsafe fn forward_to<E: Epilogue>(
    epilogue: E,
    x: Mat<'_>,
    w: Panels<'_>,
    bias: Option<&[f32]>,
    out: MatMut<'_>,
) {
    let width = padded(w.n);
    assert_eq!((x.num_rows(), x.num_cols()), (out.num_rows(), w.k), "linear: shape of x");
    assert!(out.as_ref().has_width(width), "linear: out is narrower than {width}");
    assert!(bias.is_none_or(|b| b.len() == width), "linear: bias is not {width} long");
    if x.num_rows() > 0 {
        dispatch(Forward { x, w, bias, out, epilogue });
    }
}

struct WeightGradient<'a> {
    x: Mat<'a>,
    dz: Mat<'a>,
    n: usize,
    dw: &'a mut [f32],
}

impl Kernel for WeightGradient<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let k = self.x.num_cols();
        for (start, width) in panels(self.n) {
            let part = Product {
                m: k,
                k: self.x.num_rows(),
                n: width,
                a: self.x.data().as_ptr(),
                a_row: 1,
                a_col: self.x.stride(),
                b: self.dz.data()[start..].as_ptr(),
                b_row: self.dz.stride(),
                c: self.dw[start * k..].as_mut_ptr(),
                c_row: width,
                init: std::ptr::null(),
                epilogue: Add,
            };
            // SAFETY: `weight_gradient` checked that dz has the padded width, as many rows as x, and that dw holds
            // all panels; dw is a mutable borrow, so it overlaps nothing.
            unsafe { product(s, part) };
        }
    }
}

/// `dw += xᵀ dz` in panels; the sum over the rows is formed from zero first. The padding columns of `dz` must be zero.
///
/// # Panics
/// If shapes do not fit together.
#[inline]
pub fn weight_gradient(x: Mat<'_>, dz: Mat<'_>, dw: &mut [f32]) {
    let (k, n) = (x.num_cols(), dz.num_cols());
    assert_eq!(x.num_rows(), dz.num_rows(), "linear: rows of x and dz");
    assert!(dz.has_width(padded(n)), "linear: dz is narrower than {}", padded(n));
    assert_eq!(dw.len(), panels_len(k, n), "linear: length of dw");
    if x.num_rows() > 0 && k > 0 {
        dispatch(WeightGradient { x, dz, n, dw });
    }
}

struct ColumnSums<'a>(Mat<'a>, &'a mut [f32]);

impl Kernel for ColumnSums<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self(dz, db) = self;
        // Four columns of vectors at a time: enough independent sums to hide the latency.
        let (blocks, rest) = db.as_chunks_mut::<{ 4 * LANES }>();
        let start = blocks.len() * 4 * LANES;
        for (j, block) in blocks.iter_mut().enumerate() {
            add_column_sums::<S, 4>(s, dz, j * 4 * LANES, block);
        }
        for (j, block) in rest.as_chunks_mut::<LANES>().0.iter_mut().enumerate() {
            add_column_sums::<S, 1>(s, dz, start + j * LANES, block);
        }
    }
}

/// Adds the sums of `NV` vectors of columns from `column` on to `db`.
#[inline(always)]
fn add_column_sums<S: Simd, const NV: usize>(s: S, dz: Mat<'_>, column: usize, db: &mut [f32]) {
    let mut sums = [s.splat(0.0); NV];
    for i in 0..dz.num_rows() {
        let row = dz.wide_row(i, column + NV * LANES)[column..].as_chunks::<LANES>().0;
        for (sum, values) in sums.iter_mut().zip(row) {
            *sum = s.add(*sum, s.load(values));
        }
    }
    for (db, &sum) in db.as_chunks_mut::<LANES>().0.iter_mut().zip(&sums) {
        s.store(s.add(s.load(db), sum), db);
    }
}

/// `db += ` the column sums of `dz`, formed from zero first; `db` has padded length.
///
/// # Panics
/// If shapes do not fit together.
#[inline]
pub fn bias_gradient(dz: Mat<'_>, db: &mut [f32]) {
    assert!(dz.has_width(db.len()), "linear: dz is narrower than {}", db.len());
    dispatch(ColumnSums(dz, db));
}

struct Transpose<'a> {
    w: Panels<'a>,
    wt: &'a mut [f32],
}

impl Kernel for Transpose<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Panels { data, k, n } = self.w;
        for (to_start, to_width) in panels(k) {
            let to = &mut self.wt[to_start * n..][..n * to_width];
            for (from_start, from_width) in panels(n) {
                let from = &data[from_start * k..][..k * from_width];
                let block = Block { from, from_width, to_width };
                for row in (0..to_width).step_by(LANES).filter(|row| to_start + row < k) {
                    for column in (0..from_width).step_by(LANES) {
                        let rows = (k - to_start - row).min(LANES);
                        let columns = (n - from_start).saturating_sub(column).min(LANES);
                        let place = &mut to[(from_start + column).min(n) * to_width..];
                        block.transpose(s, to_start + row, column, [rows, columns], &mut place[..], row);
                    }
                }
            }
        }
    }
}

/// A panel to read 16 × 16 blocks from, and the width of the panel they go to.
#[derive(Clone, Copy)]
struct Block<'a> {
    from: &'a [f32],
    from_width: usize,
    to_width: usize,
}

impl Block<'_> {
    /// Moves the block at `(row, column)`, of which `rows × columns` exist, to column `to_column` of `to`.
    #[inline(always)]
    fn transpose<S: Simd>(
        self,
        s: S,
        row: usize,
        column: usize,
        [rows, columns]: [usize; 2],
        to: &mut [f32],
        to_column: usize,
    ) {
        let mut vectors = [s.splat(0.0); LANES];
        for (i, vector) in vectors.iter_mut().enumerate().take(rows) {
            *vector = s.load(&self.from[(row + i) * self.from_width + column..].as_chunks().0[0]);
        }
        for (j, vector) in s.transpose(vectors).into_iter().enumerate().take(columns) {
            s.store(vector, &mut to[j * self.to_width + to_column..].as_chunks_mut().0[0]);
        }
    }
}

/// The panels of `wᵀ`, which the reverse with respect to the input multiplies by: `dx = forward(dz, wᵀ, none)`.
///
/// # Panics
/// If `wt` is not `panels_len(n, k)` long.
pub fn transpose(w: Panels<'_>, wt: &mut [f32]) {
    assert_eq!(wt.len(), panels_len(w.n, w.k), "linear: length of the transposed weight");
    dispatch(Transpose { w, wt });
}
