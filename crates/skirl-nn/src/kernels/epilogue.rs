//! What becomes of the sums of a product: written, added to what is there, or sent forward or back through an activation.

use std::marker::PhantomData;

use super::activation::Function;
use crate::simd::{LANES, Simd};

/// The last steps of a product, taken while its sums are in registers.
pub(super) trait Epilogue: Copy {
    /// The same for the product's part from row `i` and column `j` on.
    ///
    /// # Safety
    /// The part must lie inside the product.
    #[inline(always)]
    unsafe fn part(self, _i: usize, _j: usize) -> Self {
        self
    }

    /// What takes the place of vector `v` of the first row, which is at `place`.
    ///
    /// # Safety
    /// The vector is inside the product: valid for reading at `place`, and so is all else that the epilogue reads.
    unsafe fn value<S: Simd>(self, s: S, sum: S::V, v: usize, place: *const f32) -> S::V;

    /// Takes the sums over all rows of what was written to the first `NV` vectors of columns, formed row after row from zero.
    ///
    /// # Safety
    /// The vectors are inside the product.
    #[inline(always)]
    unsafe fn finish<S: Simd, const NV: usize>(self, _s: S, _totals: [S::V; NV]) {}
}

/// `C = sums`.
#[derive(Clone, Copy)]
pub(super) struct Store;

impl Epilogue for Store {
    #[inline(always)]
    unsafe fn value<S: Simd>(self, _s: S, sum: S::V, _v: usize, _place: *const f32) -> S::V {
        sum
    }
}

/// `C += sums`.
#[derive(Clone, Copy)]
pub(super) struct Add;

impl Epilogue for Add {
    #[inline(always)]
    unsafe fn value<S: Simd>(self, s: S, sum: S::V, _v: usize, place: *const f32) -> S::V {
        // SAFETY: the caller promises that a vector is there.
        s.add(unsafe { s.load_ptr(place) }, sum)
    }
}

/// `C = f(sums)`.
#[derive(Clone, Copy)]
pub(super) struct Activate<F>(pub(super) PhantomData<F>);

impl<F: Function + Copy> Epilogue for Activate<F> {
    #[inline(always)]
    unsafe fn value<S: Simd>(self, s: S, sum: S::V, _v: usize, _place: *const f32) -> S::V {
        F::value(s, sum)
    }
}

/// `C = sums ∘ f'(y)`, and `db +=` the column sums of that.
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
    unsafe fn value<S: Simd>(self, s: S, sum: S::V, v: usize, _place: *const f32) -> S::V {
        // SAFETY: the caller promises that `y` has this vector.
        let y = unsafe { s.load_ptr(self.y.add(v * LANES)) };
        s.mul(sum, F::derivative(s, y, y))
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
