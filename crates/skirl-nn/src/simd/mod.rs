//! Sixteen virtual lanes, whatever the processor has.
//!
//! A kernel is written once, against [`Simd`], whose vector always holds 16 `f32`: one register under AVX-512, two
//! under AVX2, a plain array elsewhere. Element-wise operations are the same IEEE operations in the same order, and
//! reductions across lanes follow one fixed tree, so **AVX-512 and AVX2 give the same bytes**. The portable path
//! fuses multiply and add only where the compile target has an FMA instruction (every aarch64; x86-64 only when built
//! for it), so its bytes may differ from the other two.
//!
//! ```
//! use skirl_nn::simd::{Kernel, Simd, dispatch};
//!
//! struct Scale<'a> {
//!     values: &'a mut [f32],
//!     by: f32,
//! }
//!
//! impl Kernel for Scale<'_> {
//!     type Output = ();
//!     #[inline(always)]
//!     fn run<S: Simd>(self, s: S) {
//!         let by = s.splat(self.by);
//!         let (blocks, rest) = self.values.as_chunks_mut::<16>();
//!         for block in blocks {
//!             s.store(s.mul(s.load(block), by), block);
//!         }
//!         s.store_partial(s.mul(s.load_partial(rest), by), rest);
//!     }
//! }
//!
//! let mut values = vec![1.0; 20];
//! dispatch(Scale { values: &mut values, by: 3.0 });
//! assert_eq!(values, vec![3.0; 20]);
//! ```

mod isa;
mod math;
mod portable;
#[cfg(target_arch = "x86_64")]
mod x86;

pub use isa::{Isa, check_isa_env, force_isa, isa};
pub use math::*;
pub use portable::Portable;
#[cfg(target_arch = "x86_64")]
pub use x86::{Avx2, Avx512};

/// Number of lanes of every vector.
pub const LANES: usize = 16;

mod sealed {
    pub trait Sealed {}
}
use sealed::Sealed;

/// A proof that the processor has an instruction set, and the operations on its 16-lane vectors.
///
/// Values exist only where the instruction set does, so the methods are safe. Mark every function between
/// [`Kernel::run`] and these methods `#[inline(always)]`: code that is not inlined is compiled without the instructions.
pub trait Simd: Copy + Sealed + 'static {
    /// Sixteen `f32`.
    type V: Copy;
    /// Most vectors a tall register tile is wide.
    const TILE_VECTORS: usize;
    /// Most vectors of sums that a register tile keeps in registers.
    const TILE_ACCUMULATORS: usize;
    /// Which instruction set this is.
    const ISA: Isa;

    /// All lanes `x`.
    fn splat(self, x: f32) -> Self::V;
    /// Reads 16 values.
    fn load(self, from: &[f32; LANES]) -> Self::V;
    /// Writes 16 values.
    fn store(self, v: Self::V, to: &mut [f32; LANES]);
    /// Reads 16 values.
    ///
    /// # Safety
    /// `from` must be valid for reading 16 `f32`.
    unsafe fn load_ptr(self, from: *const f32) -> Self::V;
    /// Writes 16 values.
    ///
    /// # Safety
    /// `to` must be valid for writing 16 `f32`.
    unsafe fn store_ptr(self, v: Self::V, to: *mut f32);
    /// `a + b`
    fn add(self, a: Self::V, b: Self::V) -> Self::V;
    /// `a - b`
    fn sub(self, a: Self::V, b: Self::V) -> Self::V;
    /// `a * b`
    fn mul(self, a: Self::V, b: Self::V) -> Self::V;
    /// `a / b`
    fn div(self, a: Self::V, b: Self::V) -> Self::V;
    /// Square root, correctly rounded.
    fn sqrt(self, a: Self::V) -> Self::V;
    /// `a * b + c`, rounded once where the target has FMA.
    fn fma(self, a: Self::V, b: Self::V, c: Self::V) -> Self::V;
    /// `c - a * b`, rounded once where the target has FMA.
    fn fnma(self, a: Self::V, b: Self::V, c: Self::V) -> Self::V;
    /// `a` where `a < b`, else `b` (so `b` where either is NaN).
    fn min(self, a: Self::V, b: Self::V) -> Self::V;
    /// `a` where `a > b`, else `b` (so `b` where either is NaN).
    fn max(self, a: Self::V, b: Self::V) -> Self::V;
    /// `x` where `a < b`, else `y` (so `y` where either is NaN).
    fn select_lt(self, a: Self::V, b: Self::V, x: Self::V, y: Self::V) -> Self::V;
    /// Absolute value.
    fn abs(self, a: Self::V) -> Self::V;
    /// Magnitude of `a` with the sign of `b`.
    fn copysign(self, a: Self::V, b: Self::V) -> Self::V;
    /// To the nearest integer, ties to even, for `|a| < 2^22`.
    fn round(self, a: Self::V) -> Self::V;
    /// `2^n` for integral `n` in `[-126, 127]`.
    fn exp2_integer(self, n: Self::V) -> Self::V;
    /// `(m, e)` with `x = m * 2^e` and `m` in `[1, 2)`, for normal `x > 0`.
    fn mantissa_exponent(self, x: Self::V) -> (Self::V, Self::V);
    /// Transposes a 16 × 16 block: lane `j` of vector `i` becomes lane `i` of vector `j`.
    fn transpose(self, rows: [Self::V; LANES]) -> [Self::V; LANES];
    /// Sum of the lanes: lane `i` adds lane `i + 8`, then `i + 4`, `i + 2`, `i + 1`.
    fn reduce_add(self, v: Self::V) -> f32;
    /// Largest lane, by the same tree.
    fn reduce_max(self, v: Self::V) -> f32;

    /// The sums of the lanes of 16 vectors, each by the same tree as [`Simd::reduce_add`].
    #[inline(always)]
    fn reduce_add_each(self, rows: [Self::V; LANES]) -> Self::V {
        let mut columns = self.transpose(rows);
        let mut width = LANES / 2;
        while width > 0 {
            for i in 0..width {
                columns[i] = self.add(columns[i], columns[i + width]);
            }
            width /= 2;
        }
        columns[0]
    }
    /// Reads up to 16 values; the other lanes are zero.
    #[inline(always)]
    fn load_partial(self, from: &[f32]) -> Self::V {
        let mut block = [0.0; LANES];
        for (to, &x) in block.iter_mut().zip(from) {
            *to = x;
        }
        self.load(&block)
    }
    /// Reads the first 16 values, or all there are; the other lanes are zero then.
    #[inline(always)]
    fn load_front(self, from: &[f32]) -> Self::V {
        match from.first_chunk() {
            Some(whole) => self.load(whole),
            None => self.load_partial(from),
        }
    }
    /// Writes to the first 16 places, or to all there are.
    #[inline(always)]
    fn store_front(self, v: Self::V, to: &mut [f32]) {
        match to.first_chunk_mut() {
            Some(whole) => self.store(v, whole),
            None => self.store_partial(v, to),
        }
    }
    /// Writes the first lanes, as many as `to` holds (at most 16).
    #[inline(always)]
    fn store_partial(self, v: Self::V, to: &mut [f32]) {
        let mut block = [0.0; LANES];
        self.store(v, &mut block);
        for (to, &x) in to.iter_mut().zip(&block) {
            *to = x;
        }
    }
}

/// A piece of work that is compiled once for every instruction set. See the [module example](self).
pub trait Kernel {
    /// What it returns.
    type Output;
    /// The work. Mark the implementation `#[inline(always)]`.
    fn run<S: Simd>(self, s: S) -> Self::Output;
}

/// Runs `kernel` with the instruction set of this process ([`isa`]).
#[inline]
pub fn dispatch<K: Kernel>(kernel: K) -> K::Output {
    match isa() {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: `isa` returns an instruction set only if the processor has it.
        Isa::Avx512 => unsafe { x86::run_avx512(kernel) },
        #[cfg(target_arch = "x86_64")]
        // SAFETY: as above.
        Isa::Avx2 => unsafe { x86::run_avx2(kernel) },
        #[cfg(not(target_arch = "x86_64"))]
        Isa::Avx512 | Isa::Avx2 => kernel.run(Portable),
        Isa::Portable => kernel.run(Portable),
    }
}
