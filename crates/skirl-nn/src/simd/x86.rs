//! Sixteen lanes on x86-64: one AVX-512 register, or two AVX2 registers.

#[allow(clippy::wildcard_imports, reason = "some eighty intrinsics")]
use core::arch::x86_64::*;

use super::{Isa, Kernel, LANES, Sealed, Simd};

/// Proof of AVX-512 F, DQ, BW and VL. Only `run_avx512` makes one.
#[derive(Debug, Clone, Copy)]
pub struct Avx512(());

/// Proof of AVX2 and FMA. Only `run_avx2` makes one.
#[derive(Debug, Clone, Copy)]
pub struct Avx2(());

/// Runs `kernel` compiled for AVX-512.
///
/// # Safety
/// The processor must have AVX-512 F, DQ, BW, VL, AVX2 and FMA.
#[target_feature(enable = "avx512f,avx512dq,avx512bw,avx512vl,avx2,fma")]
pub(super) unsafe fn run_avx512<K: Kernel>(kernel: K) -> K::Output {
    kernel.run(Avx512(()))
}

/// Runs `kernel` compiled for AVX2.
///
/// # Safety
/// The processor must have AVX2 and FMA.
#[target_feature(enable = "avx2,fma")]
pub(super) unsafe fn run_avx2<K: Kernel>(kernel: K) -> K::Output {
    kernel.run(Avx2(()))
}

/// An intrinsic on registers.
macro_rules! op {
    ($intrinsics:expr) => {
        // SAFETY: `self` exists only where the processor has the instructions, and registers cannot be out of bounds.
        unsafe { $intrinsics }
    };
}

/// A load or store whose pointer comes from a reference to 16 values, or from a caller that promises as much.
macro_rules! mem {
    ($intrinsics:expr) => {
        // SAFETY: as for `op`; the pointer is valid for 16 values, and the unaligned form is used.
        unsafe { $intrinsics }
    };
}

const NEAREST: i32 = _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC;

impl Sealed for Avx512 {}

impl Simd for Avx512 {
    type V = __m512;
    const TILE_VECTORS: usize = 4;
    const TILE_ACCUMULATORS: usize = 24;
    const ISA: Isa = Isa::Avx512;

    #[inline(always)]
    fn splat(self, x: f32) -> __m512 {
        op!(_mm512_set1_ps(x))
    }
    #[inline(always)]
    fn load(self, from: &[f32; LANES]) -> __m512 {
        mem!(_mm512_loadu_ps(from.as_ptr()))
    }
    #[inline(always)]
    fn store(self, v: __m512, to: &mut [f32; LANES]) {
        mem!(_mm512_storeu_ps(to.as_mut_ptr(), v));
    }
    #[inline(always)]
    unsafe fn load_ptr(self, from: *const f32) -> __m512 {
        mem!(_mm512_loadu_ps(from))
    }
    #[inline(always)]
    unsafe fn store_ptr(self, v: __m512, to: *mut f32) {
        mem!(_mm512_storeu_ps(to, v));
    }
    #[inline(always)]
    fn add(self, a: __m512, b: __m512) -> __m512 {
        op!(_mm512_add_ps(a, b))
    }
    #[inline(always)]
    fn sub(self, a: __m512, b: __m512) -> __m512 {
        op!(_mm512_sub_ps(a, b))
    }
    #[inline(always)]
    fn mul(self, a: __m512, b: __m512) -> __m512 {
        op!(_mm512_mul_ps(a, b))
    }
    #[inline(always)]
    fn div(self, a: __m512, b: __m512) -> __m512 {
        op!(_mm512_div_ps(a, b))
    }
    #[inline(always)]
    fn sqrt(self, a: __m512) -> __m512 {
        op!(_mm512_sqrt_ps(a))
    }
    #[inline(always)]
    fn fma(self, a: __m512, b: __m512, c: __m512) -> __m512 {
        op!(_mm512_fmadd_ps(a, b, c))
    }
    #[inline(always)]
    fn fnma(self, a: __m512, b: __m512, c: __m512) -> __m512 {
        op!(_mm512_fnmadd_ps(a, b, c))
    }
    #[inline(always)]
    fn min(self, a: __m512, b: __m512) -> __m512 {
        op!(_mm512_min_ps(a, b))
    }
    #[inline(always)]
    fn max(self, a: __m512, b: __m512) -> __m512 {
        op!(_mm512_max_ps(a, b))
    }
    #[inline(always)]
    fn select_lt(self, a: __m512, b: __m512, x: __m512, y: __m512) -> __m512 {
        op!(_mm512_mask_blend_ps(_mm512_cmp_ps_mask::<_CMP_LT_OQ>(a, b), y, x))
    }
    #[inline(always)]
    fn abs(self, a: __m512) -> __m512 {
        op!(_mm512_andnot_ps(_mm512_set1_ps(-0.0), a))
    }
    #[inline(always)]
    fn copysign(self, a: __m512, b: __m512) -> __m512 {
        op!({
            let sign = _mm512_set1_ps(-0.0);
            _mm512_or_ps(_mm512_andnot_ps(sign, a), _mm512_and_ps(sign, b))
        })
    }
    #[inline(always)]
    fn round(self, a: __m512) -> __m512 {
        op!(_mm512_roundscale_ps::<NEAREST>(a))
    }
    #[inline(always)]
    fn exp2_integer(self, n: __m512) -> __m512 {
        op!({
            let biased = _mm512_add_epi32(_mm512_cvtps_epi32(n), _mm512_set1_epi32(127));
            _mm512_castsi512_ps(_mm512_slli_epi32::<23>(biased))
        })
    }
    #[inline(always)]
    fn mantissa_exponent(self, x: __m512) -> (__m512, __m512) {
        op!((_mm512_getmant_ps::<_MM_MANT_NORM_1_2, _MM_MANT_SIGN_SRC>(x), _mm512_getexp_ps(x)))
    }
    #[inline(always)]
    fn transpose(self, r: [__m512; LANES]) -> [__m512; LANES] {
        op!(transpose512(r))
    }
    #[inline(always)]
    fn reduce_add(self, v: __m512) -> f32 {
        op!(sum8(_mm256_add_ps(_mm512_castps512_ps256(v), _mm512_extractf32x8_ps::<1>(v))))
    }
    #[inline(always)]
    fn reduce_max(self, v: __m512) -> f32 {
        op!(max8(_mm256_max_ps(_mm512_castps512_ps256(v), _mm512_extractf32x8_ps::<1>(v))))
    }
    #[inline(always)]
    fn reduce_add_each(self, rows: [__m512; LANES]) -> __m512 {
        op!(sum_each512(rows))
    }
}

type Pair = [__m256; 2];

#[inline(always)]
fn both(a: Pair, f: impl Fn(__m256) -> __m256) -> Pair {
    [f(a[0]), f(a[1])]
}

#[inline(always)]
fn pairwise(a: Pair, b: Pair, f: impl Fn(__m256, __m256) -> __m256) -> Pair {
    [f(a[0], b[0]), f(a[1], b[1])]
}

impl Sealed for Avx2 {}

impl Simd for Avx2 {
    type V = Pair;
    const TILE_VECTORS: usize = 1;
    const TILE_ACCUMULATORS: usize = 6;
    const ISA: Isa = Isa::Avx2;

    #[inline(always)]
    fn splat(self, x: f32) -> Pair {
        op!([_mm256_set1_ps(x); 2])
    }
    #[inline(always)]
    fn load(self, from: &[f32; LANES]) -> Pair {
        mem!([_mm256_loadu_ps(from.as_ptr()), _mm256_loadu_ps(from.as_ptr().add(8))])
    }
    #[inline(always)]
    fn store(self, v: Pair, to: &mut [f32; LANES]) {
        mem!({
            _mm256_storeu_ps(to.as_mut_ptr(), v[0]);
            _mm256_storeu_ps(to.as_mut_ptr().add(8), v[1]);
        });
    }
    #[inline(always)]
    unsafe fn load_ptr(self, from: *const f32) -> Pair {
        mem!([_mm256_loadu_ps(from), _mm256_loadu_ps(from.add(8))])
    }
    #[inline(always)]
    unsafe fn store_ptr(self, v: Pair, to: *mut f32) {
        mem!({
            _mm256_storeu_ps(to, v[0]);
            _mm256_storeu_ps(to.add(8), v[1]);
        });
    }
    #[inline(always)]
    fn add(self, a: Pair, b: Pair) -> Pair {
        pairwise(a, b, |a, b| op!(_mm256_add_ps(a, b)))
    }
    #[inline(always)]
    fn sub(self, a: Pair, b: Pair) -> Pair {
        pairwise(a, b, |a, b| op!(_mm256_sub_ps(a, b)))
    }
    #[inline(always)]
    fn mul(self, a: Pair, b: Pair) -> Pair {
        pairwise(a, b, |a, b| op!(_mm256_mul_ps(a, b)))
    }
    #[inline(always)]
    fn div(self, a: Pair, b: Pair) -> Pair {
        pairwise(a, b, |a, b| op!(_mm256_div_ps(a, b)))
    }
    #[inline(always)]
    fn sqrt(self, a: Pair) -> Pair {
        both(a, |a| op!(_mm256_sqrt_ps(a)))
    }
    #[inline(always)]
    fn fma(self, a: Pair, b: Pair, c: Pair) -> Pair {
        op!([_mm256_fmadd_ps(a[0], b[0], c[0]), _mm256_fmadd_ps(a[1], b[1], c[1])])
    }
    #[inline(always)]
    fn fnma(self, a: Pair, b: Pair, c: Pair) -> Pair {
        op!([_mm256_fnmadd_ps(a[0], b[0], c[0]), _mm256_fnmadd_ps(a[1], b[1], c[1])])
    }
    #[inline(always)]
    fn min(self, a: Pair, b: Pair) -> Pair {
        pairwise(a, b, |a, b| op!(_mm256_min_ps(a, b)))
    }
    #[inline(always)]
    fn max(self, a: Pair, b: Pair) -> Pair {
        pairwise(a, b, |a, b| op!(_mm256_max_ps(a, b)))
    }
    #[inline(always)]
    fn select_lt(self, a: Pair, b: Pair, x: Pair, y: Pair) -> Pair {
        let less = pairwise(a, b, |a, b| op!(_mm256_cmp_ps::<_CMP_LT_OQ>(a, b)));
        op!([_mm256_blendv_ps(y[0], x[0], less[0]), _mm256_blendv_ps(y[1], x[1], less[1])])
    }
    #[inline(always)]
    fn abs(self, a: Pair) -> Pair {
        both(a, |a| op!(_mm256_andnot_ps(_mm256_set1_ps(-0.0), a)))
    }
    #[inline(always)]
    fn copysign(self, a: Pair, b: Pair) -> Pair {
        pairwise(a, b, |a, b| {
            op!({
                let sign = _mm256_set1_ps(-0.0);
                _mm256_or_ps(_mm256_andnot_ps(sign, a), _mm256_and_ps(sign, b))
            })
        })
    }
    #[inline(always)]
    fn round(self, a: Pair) -> Pair {
        both(a, |a| op!(_mm256_round_ps::<NEAREST>(a)))
    }
    #[inline(always)]
    fn exp2_integer(self, n: Pair) -> Pair {
        both(n, |n| {
            op!({
                let biased = _mm256_add_epi32(_mm256_cvtps_epi32(n), _mm256_set1_epi32(127));
                _mm256_castsi256_ps(_mm256_slli_epi32::<23>(biased))
            })
        })
    }
    #[inline(always)]
    fn mantissa_exponent(self, x: Pair) -> (Pair, Pair) {
        let mantissa = both(x, |x| {
            op!({
                let fraction = _mm256_and_si256(_mm256_castps_si256(x), _mm256_set1_epi32(0x007f_ffff));
                _mm256_castsi256_ps(_mm256_or_si256(fraction, _mm256_set1_epi32(0x3f80_0000)))
            })
        });
        let exponent = both(x, |x| {
            op!({
                let biased = _mm256_srli_epi32::<23>(_mm256_castps_si256(x));
                _mm256_cvtepi32_ps(_mm256_sub_epi32(biased, _mm256_set1_epi32(127)))
            })
        });
        (mantissa, exponent)
    }
    #[inline(always)]
    fn transpose(self, r: [Pair; LANES]) -> [Pair; LANES] {
        // Four 8 × 8 blocks; the two off the diagonal change places.
        op!({
            let block = |row: usize, half: usize| transpose8(std::array::from_fn(|i| r[row + i][half]));
            let (a, b, c, d) = (block(0, 0), block(8, 0), block(0, 1), block(8, 1));
            std::array::from_fn(|i| if i < 8 { [a[i], b[i]] } else { [c[i - 8], d[i - 8]] })
        })
    }
    #[inline(always)]
    fn reduce_add(self, v: Pair) -> f32 {
        op!(sum8(_mm256_add_ps(v[0], v[1])))
    }
    #[inline(always)]
    fn reduce_max(self, v: Pair) -> f32 {
        op!(max8(_mm256_max_ps(v[0], v[1])))
    }
}

/// The lower three levels of the reduction tree.
///
/// # Safety
/// The processor must have AVX.
#[inline(always)]
unsafe fn sum8(v: __m256) -> f32 {
    op!({
        let v = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps::<1>(v));
        let v = _mm_add_ps(v, _mm_movehl_ps(v, v));
        _mm_cvtss_f32(_mm_add_ss(v, _mm_movehdup_ps(v)))
    })
}

/// The lower three levels of the reduction tree.
///
/// # Safety
/// The processor must have AVX.
#[inline(always)]
unsafe fn max8(v: __m256) -> f32 {
    op!({
        let v = _mm_max_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps::<1>(v));
        let v = _mm_max_ps(v, _mm_movehl_ps(v, v));
        _mm_cvtss_f32(_mm_max_ss(v, _mm_movehdup_ps(v)))
    })
}

/// The reduction tree of sixteen vectors at once, with half the moves of a transposition: at each level two vectors of
/// partial sums become one. Rows are paired so that the sums come out in order.
///
/// # Safety
/// The processor must have AVX-512 F and DQ.
#[inline(always)]
unsafe fn sum_each512(r: [__m512; 16]) -> __m512 {
    // Closures would be compiled without the instructions.
    macro_rules! level {
        ($low:ident::<$l:literal>, $high:ident::<$h:literal>, $a:expr, $b:expr) => {{
            let (a, b) = ($a, $b);
            _mm512_add_ps($low::<$l>(a, b), $high::<$h>(a, b))
        }};
    }
    // Lane i and i + 8 of two rows, then i + 4 of four.
    macro_rules! four {
        ($i:literal) => {{
            let a = level!(_mm512_shuffle_f32x4::<0x44>, _mm512_shuffle_f32x4::<0xee>, r[$i], r[$i + 4]);
            let b = level!(_mm512_shuffle_f32x4::<0x44>, _mm512_shuffle_f32x4::<0xee>, r[$i + 8], r[$i + 12]);
            level!(_mm512_shuffle_f32x4::<0x88>, _mm512_shuffle_f32x4::<0xdd>, a, b)
        }};
    }
    op!({
        let [a, b, c, d] = [four!(0), four!(1), four!(2), four!(3)];
        // Lane i + 2 of eight rows, then i + 1 of all.
        let a = level!(_mm512_shuffle_ps::<0x44>, _mm512_shuffle_ps::<0xee>, a, b);
        let c = level!(_mm512_shuffle_ps::<0x44>, _mm512_shuffle_ps::<0xee>, c, d);
        level!(_mm512_shuffle_ps::<0x88>, _mm512_shuffle_ps::<0xdd>, a, c)
    })
}

/// Interleaves single lanes, pairs of lanes, then 128-bit quarters at distance 4 and 8.
///
/// # Safety
/// The processor must have AVX-512 F and DQ.
#[inline(always)]
unsafe fn transpose512(r: [__m512; 16]) -> [__m512; 16] {
    op!({
        let mut t = r;
        for i in 0..8 {
            t[2 * i] = _mm512_unpacklo_ps(r[2 * i], r[2 * i + 1]);
            t[2 * i + 1] = _mm512_unpackhi_ps(r[2 * i], r[2 * i + 1]);
        }
        let low = |a, b| _mm512_castpd_ps(_mm512_unpacklo_pd(_mm512_castps_pd(a), _mm512_castps_pd(b)));
        let high = |a, b| _mm512_castpd_ps(_mm512_unpackhi_pd(_mm512_castps_pd(a), _mm512_castps_pd(b)));
        let mut r = r;
        for q in [0, 4, 8, 12] {
            r[q] = low(t[q], t[q + 2]);
            r[q + 1] = high(t[q], t[q + 2]);
            r[q + 2] = low(t[q + 1], t[q + 3]);
            r[q + 3] = high(t[q + 1], t[q + 3]);
        }
        for i in 0..4 {
            t[i] = _mm512_shuffle_f32x4::<0x88>(r[i], r[i + 4]);
            t[i + 4] = _mm512_shuffle_f32x4::<0xdd>(r[i], r[i + 4]);
            t[i + 8] = _mm512_shuffle_f32x4::<0x88>(r[i + 8], r[i + 12]);
            t[i + 12] = _mm512_shuffle_f32x4::<0xdd>(r[i + 8], r[i + 12]);
        }
        for i in 0..8 {
            r[i] = _mm512_shuffle_f32x4::<0x88>(t[i], t[i + 8]);
            r[i + 8] = _mm512_shuffle_f32x4::<0xdd>(t[i], t[i + 8]);
        }
        r
    })
}

/// Interleaves single lanes, pairs of lanes, then 128-bit halves.
///
/// # Safety
/// The processor must have AVX.
#[inline(always)]
unsafe fn transpose8(r: [__m256; 8]) -> [__m256; 8] {
    op!({
        let mut t = r;
        for i in 0..4 {
            t[2 * i] = _mm256_unpacklo_ps(r[2 * i], r[2 * i + 1]);
            t[2 * i + 1] = _mm256_unpackhi_ps(r[2 * i], r[2 * i + 1]);
        }
        let mut r = r;
        for q in [0, 4] {
            r[q] = _mm256_shuffle_ps::<0x44>(t[q], t[q + 2]);
            r[q + 1] = _mm256_shuffle_ps::<0xee>(t[q], t[q + 2]);
            r[q + 2] = _mm256_shuffle_ps::<0x44>(t[q + 1], t[q + 3]);
            r[q + 3] = _mm256_shuffle_ps::<0xee>(t[q + 1], t[q + 3]);
        }
        for i in 0..4 {
            t[i] = _mm256_permute2f128_ps::<0x20>(r[i], r[i + 4]);
            t[i + 4] = _mm256_permute2f128_ps::<0x31>(r[i], r[i + 4]);
        }
        t
    })
}
