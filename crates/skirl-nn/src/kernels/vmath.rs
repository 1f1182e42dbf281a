//! Element-wise functions in place, and sums in a fixed order.

use crate::simd::{self, Kernel, LANES, Simd, dispatch};

/// Declares a function that maps every element in place.
macro_rules! in_place {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        pub fn $name(values: &mut [f32]) {
            struct Map<'a>(&'a mut [f32]);
            impl Kernel for Map<'_> {
                type Output = ();
                #[inline(always)]
                fn run<S: Simd>(self, s: S) {
                    let (blocks, rest) = self.0.as_chunks_mut::<LANES>();
                    for block in blocks {
                        s.store(simd::$name(s, s.load(block)), block);
                    }
                    if !rest.is_empty() {
                        s.store_partial(simd::$name(s, s.load_partial(rest)), rest);
                    }
                }
            }
            dispatch(Map(values));
        }
    };
}

in_place!(
    /// Exponential of every element; see [`simd::exp`] for its range and error.
    exp
);
in_place!(
    /// Natural logarithm of every element; see [`simd::ln`].
    ln
);
in_place!(
    /// Hyperbolic tangent of every element; see [`simd::tanh`].
    tanh
);
in_place!(
    /// Logistic function of every element; see [`simd::sigmoid`].
    sigmoid
);
in_place!(
    /// `ln(1 + e^x)` of every element; see [`simd::softplus`].
    softplus
);
in_place!(
    /// Gauss error function of every element; see [`simd::erf`].
    erf
);

struct SumSquares<'a>(&'a [f32]);

impl Kernel for SumSquares<'_> {
    type Output = f32;
    #[inline(always)]
    fn run<S: Simd>(self, s: S) -> f32 {
        let mut sums = [s.splat(0.0); 4];
        let (groups, tail) = self.0.as_chunks::<{ 4 * LANES }>();
        for group in groups {
            for (sum, block) in sums.iter_mut().zip(group.as_chunks::<LANES>().0) {
                let x = s.load(block);
                *sum = s.fma(x, x, *sum);
            }
        }
        for (sum, block) in sums.iter_mut().zip(tail.chunks(LANES)) {
            let x = s.load_partial(block);
            *sum = s.fma(x, x, *sum);
        }
        s.reduce_add(s.add(s.add(sums[0], sums[1]), s.add(sums[2], sums[3])))
    }
}

/// Sum of the squares, in `f32`, in an order that depends on the length only.
pub fn sum_of_squares(values: &[f32]) -> f32 {
    dispatch(SumSquares(values))
}

struct Sum<'a>(&'a [f32]);

impl Kernel for Sum<'_> {
    type Output = f32;
    #[inline(always)]
    fn run<S: Simd>(self, s: S) -> f32 {
        let mut sum = s.splat(0.0);
        let (blocks, rest) = self.0.as_chunks::<LANES>();
        for block in blocks {
            sum = s.add(sum, s.load(block));
        }
        s.reduce_add(s.add(sum, s.load_partial(rest)))
    }
}

/// Sum of the elements, in `f32`, in an order that depends on the length only.
pub fn sum(values: &[f32]) -> f32 {
    dispatch(Sum(values))
}

struct AllFinite<'a>(&'a [f32]);

impl Kernel for AllFinite<'_> {
    type Output = bool;
    #[inline(always)]
    fn run<S: Simd>(self, s: S) -> bool {
        // x * 0 is 0 for finite x and NaN otherwise, and NaN survives every addition.
        let zero = s.splat(0.0);
        let mut poison = zero;
        let (blocks, rest) = self.0.as_chunks::<LANES>();
        for block in blocks {
            poison = s.fma(s.load(block), zero, poison);
        }
        poison = s.fma(s.load_partial(rest), zero, poison);
        s.reduce_add(poison) == 0.0
    }
}

/// Whether no element is infinite or NaN.
pub fn all_finite(values: &[f32]) -> bool {
    dispatch(AllFinite(values))
}

struct Scale<'a>(&'a mut [f32], f32);

impl Kernel for Scale<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let by = s.splat(self.1);
        let (blocks, rest) = self.0.as_chunks_mut::<LANES>();
        for block in blocks {
            s.store(s.mul(s.load(block), by), block);
        }
        s.store_partial(s.mul(s.load_partial(rest), by), rest);
    }
}

/// Multiplies every element by `by`.
pub fn scale(values: &mut [f32], by: f32) {
    dispatch(Scale(values, by));
}
