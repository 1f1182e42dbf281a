//! What becomes of the sums of a product: written, added to what is there, or sent back through an activation.

use std::marker::PhantomData;

use super::activation::Function;
use crate::simd::{LANES, Simd};

/// The last steps of a product, taken while its sums are in registers.
pub(super) trait Epilogue: Copy {
    /// The same for the product's part from row `i` and column `j` on.
    ///
    /// # Safety
    /// The part must lie inside the product.
    unsafe fn part(self, i: usize, j: usize) -> Self;

    /// Takes `NV` vectors of the first row to `c`. `totals` is carried from row to row.
    ///
    /// # Safety
    /// `c` is valid for reading and writing that many vectors, and so is all else that the epilogue reads.
    unsafe fn row<S: Simd, const NV: usize>(
        self,
        s: S,
        sums: [S::V; NV],
        c: *mut f32,
        totals: &mut [S::V; NV],
    );

    /// Called when all rows of the first `NV` vectors of columns are done.
    ///
    /// # Safety
    /// As for [`row`](Self::row).
    #[inline(always)]
    unsafe fn finish<S: Simd, const NV: usize>(self, _s: S, _totals: [S::V; NV]) {}
}

/// `C = sums`.
#[derive(Clone, Copy)]
pub(super) struct Store;

impl Epilogue for Store {
    #[inline(always)]
    unsafe fn part(self, _i: usize, _j: usize) -> Self {
        self
    }

    #[inline(always)]
    unsafe fn row<S: Simd, const NV: usize>(
        self,
        s: S,
        sums: [S::V; NV],
        c: *mut f32,
        _totals: &mut [S::V; NV],
    ) {
        for (v, sum) in sums.into_iter().enumerate() {
            // SAFETY: the caller promises that `c` holds NV vectors.
            unsafe { s.store_ptr(sum, c.add(v * LANES)) };
        }
    }
}

/// `C += sums`.
#[derive(Clone, Copy)]
pub(super) struct Add;

impl Epilogue for Add {
    #[inline(always)]
    unsafe fn part(self, _i: usize, _j: usize) -> Self {
        self
    }

    #[inline(always)]
    unsafe fn row<S: Simd, const NV: usize>(
        self,
        s: S,
        sums: [S::V; NV],
        c: *mut f32,
        _totals: &mut [S::V; NV],
    ) {
        for (v, sum) in sums.into_iter().enumerate() {
            // SAFETY: the caller promises that `c` holds NV vectors.
            unsafe {
                let place = c.add(v * LANES);
                s.store_ptr(s.add(s.load_ptr(place), sum), place);
            }
        }
    }
}

/// `C = f(sums)`.
#[derive(Clone, Copy)]
pub(super) struct Activate<F>(pub(super) PhantomData<F>);

impl<F: Function + Copy> Epilogue for Activate<F> {
    #[inline(always)]
    unsafe fn part(self, _i: usize, _j: usize) -> Self {
        self
    }

    #[inline(always)]
    unsafe fn row<S: Simd, const NV: usize>(
        self,
        s: S,
        sums: [S::V; NV],
        c: *mut f32,
        _totals: &mut [S::V; NV],
    ) {
        for (v, sum) in sums.into_iter().enumerate() {
            // SAFETY: the caller promises that `c` holds NV vectors.
            unsafe { s.store_ptr(F::value(s, sum), c.add(v * LANES)) };
        }
    }
}

/// `C = sums ∘ f'(y)`, and `db +=` the column sums of that, formed from zero first, row after row.
#[derive(Clone, Copy)]
pub(super) struct Through<F> {
    /// Outputs of the activation `f`, in the shape of `C`.
    pub(super) y: *const f32,
    pub(super) y_row: usize,
    /// As wide as `C`.
    pub(super) db: *mut f32,
    pub(super) f: PhantomData<F>,
}

impl<F: Function + Copy> Epilogue for Through<F> {
    #[inline(always)]
    unsafe fn part(self, i: usize, j: usize) -> Self {
        // SAFETY: the caller promises that row `i` and column `j` exist.
        unsafe { Self { y: self.y.add(i * self.y_row + j), db: self.db.add(j), ..self } }
    }

    #[inline(always)]
    unsafe fn row<S: Simd, const NV: usize>(
        self,
        s: S,
        sums: [S::V; NV],
        c: *mut f32,
        totals: &mut [S::V; NV],
    ) {
        for (v, (sum, total)) in sums.into_iter().zip(totals).enumerate() {
            // SAFETY: the caller promises that `c` and `y` hold NV vectors.
            unsafe {
                let y = s.load_ptr(self.y.add(v * LANES));
                let d = s.mul(sum, F::derivative(s, y, y));
                s.store_ptr(d, c.add(v * LANES));
                *total = s.add(*total, d);
            }
        }
    }

    #[inline(always)]
    unsafe fn finish<S: Simd, const NV: usize>(self, s: S, totals: [S::V; NV]) {
        for (v, total) in totals.into_iter().enumerate() {
            // SAFETY: the caller promises that `db` holds NV vectors.
            unsafe {
                let place = self.db.add(v * LANES);
                s.store_ptr(s.add(s.load_ptr(place), total), place);
            }
        }
    }
}
