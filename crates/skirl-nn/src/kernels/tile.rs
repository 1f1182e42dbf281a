//! The register tile under all products with wide outputs.
//!
//! A tile holds `MR × NV` accumulators in registers and walks along `k` once. Every output element is one
//! accumulator that adds its products in the order of `k`, so its bits do not depend on the shape of the tile it
//! happens to fall into: that is what makes `forward(batch)[i]` equal `forward(row i)`.

use super::epilogue::Epilogue;
use crate::simd::{LANES, Simd};

/// `C` from `init + A B`, `A` of `m × k` scalars, `B` of `k × n`, `n` a multiple of 16. The strides are in elements.
#[derive(Clone, Copy)]
pub(super) struct Product<E> {
    pub(super) m: usize,
    pub(super) k: usize,
    pub(super) n: usize,
    /// `A[i][l]` is at `a + i * a_row + l * a_col`.
    pub(super) a: *const f32,
    pub(super) a_row: usize,
    pub(super) a_col: usize,
    pub(super) b: *const f32,
    pub(super) b_row: usize,
    pub(super) c: *mut f32,
    pub(super) c_row: usize,
    /// First value of every row's accumulators, `n` of them; null for zero.
    pub(super) init: *const f32,
    /// What becomes of the sums.
    pub(super) epilogue: E,
}

impl<E: Epilogue> Product<E> {
    /// The part from row `i` and column `j` on, `n` columns wide.
    ///
    /// # Safety
    /// The part must lie inside the product.
    #[inline(always)]
    unsafe fn part(self, i: usize, j: usize, n: usize) -> Self {
        // SAFETY: the caller promises that row `i` and column `j` exist in A, B, C, init and what the epilogue reads.
        unsafe {
            let init = if self.init.is_null() { self.init } else { self.init.add(j) };
            Self {
                m: self.m - i,
                n,
                a: self.a.add(i * self.a_row),
                b: self.b.add(j),
                c: self.c.add(i * self.c_row + j),
                init,
                epilogue: self.epilogue.part(i, j),
                ..self
            }
        }
    }
}

/// Computes a whole product.
///
/// # Safety
/// For all `i < m`, `l < k`: `A[i][l]` readable, `n` values of row `l` of `B` readable, `n` values of row `i` of `C`
/// writable and initialised, `n` values of `init` readable unless null, and what the epilogue asks for; `C` overlaps none
/// of the others.
#[inline(always)]
pub(super) unsafe fn product<S: Simd, E: Epilogue>(s: S, p: Product<E>) {
    let mut j = 0;
    while j < p.n {
        // Three at a time would be a quarter more to compile, and no faster than two and one.
        let vectors = match ((p.n - j) / LANES).min(tile_vectors::<S>(p.m)) {
            3 => 2,
            vectors => vectors,
        };
        // SAFETY: the columns j .. j + 16 * vectors are inside the product.
        unsafe {
            match vectors {
                4 => row_blocks::<S, E, 4>(s, p.part(0, j, 4 * LANES)),
                2 => row_blocks::<S, E, 2>(s, p.part(0, j, 2 * LANES)),
                _ => row_blocks::<S, E, 1>(s, p.part(0, j, LANES)),
            }
        }
        j += vectors * LANES;
    }
}

/// With few rows, the independent sums that hide the latency must come from more columns.
#[inline(always)]
fn tile_vectors<S: Simd>(m: usize) -> usize {
    match m {
        1 => 4,
        2 | 3 => S::TILE_VECTORS.max(2),
        _ => S::TILE_VECTORS,
    }
}

/// All rows of `NV` vectors of columns, in blocks as tall as the registers allow.
///
/// # Safety
/// As for [`product`], with `n = NV * 16`.
#[inline(always)]
unsafe fn row_blocks<S: Simd, E: Epilogue, const NV: usize>(s: S, p: Product<E>) {
    let mut i = 0;
    let mut totals = [s.splat(0.0); NV];
    macro_rules! blocks_of {
        ($rows:literal) => {
            if $rows * NV <= S::TILE_ACCUMULATORS {
                while i + $rows <= p.m {
                    // SAFETY: rows i .. i + $rows are inside the product.
                    unsafe { tile::<S, E, $rows, NV>(s, p.part(i, 0, p.n), &mut totals) };
                    i += $rows;
                }
            }
        };
    }
    blocks_of!(12);
    blocks_of!(8);
    blocks_of!(6);
    blocks_of!(4);
    blocks_of!(2);
    while i < p.m {
        // SAFETY: row i is inside the product.
        unsafe { tile::<S, E, 1, NV>(s, p.part(i, 0, p.n), &mut totals) };
        i += 1;
    }
    // SAFETY: the columns are inside the product.
    unsafe { p.epilogue.finish(s, totals) };
}

/// # Safety
/// As for [`product`], with `m ≥ MR` and `n = NV * 16`.
#[inline(always)]
unsafe fn tile<S: Simd, E: Epilogue, const MR: usize, const NV: usize>(
    s: S,
    p: Product<E>,
    totals: &mut [S::V; NV],
) {
    let mut sums = [[s.splat(0.0); NV]; MR];
    // SAFETY: all offsets are inside the ranges that the caller promises.
    unsafe {
        if !p.init.is_null() {
            for row in &mut sums {
                for (v, sum) in row.iter_mut().enumerate() {
                    *sum = s.load_ptr(p.init.add(v * LANES));
                }
            }
        }
        let (mut a, mut b) = (p.a, p.b);
        for _ in 0..p.k {
            let mut columns = [s.splat(0.0); NV];
            for (v, column) in columns.iter_mut().enumerate() {
                *column = s.load_ptr(b.add(v * LANES));
            }
            for (i, row) in sums.iter_mut().enumerate() {
                let scalar = s.splat(*a.add(i * p.a_row));
                for (sum, &column) in row.iter_mut().zip(&columns) {
                    *sum = s.fma(scalar, column, *sum);
                }
            }
            a = a.wrapping_add(p.a_col);
            b = b.wrapping_add(p.b_row);
        }
        for (i, row) in sums.into_iter().enumerate() {
            let epilogue = p.epilogue.part(i, 0);
            for (v, (sum, total)) in row.into_iter().zip(&mut *totals).enumerate() {
                let place = p.c.add(i * p.c_row + v * LANES);
                let value = epilogue.value(s, sum, v, place);
                s.store_ptr(value, place);
                *total = s.add(*total, value);
            }
        }
    }
}
