//! Sixteen lanes as a plain array, for processors without AVX2 and for aarch64.

use super::{Isa, LANES, Sealed, Simd};

/// The instruction set of the compile target, through ordinary Rust.
#[derive(Debug, Clone, Copy)]
pub struct Portable;

type V = [f32; LANES];

#[inline(always)]
fn map(a: V, f: impl Fn(f32) -> f32) -> V {
    let mut out = a;
    for x in &mut out {
        *x = f(*x);
    }
    out
}

#[inline(always)]
fn zip(a: V, b: V, f: impl Fn(f32, f32) -> f32) -> V {
    let mut out = a;
    for i in 0..LANES {
        out[i] = f(a[i], b[i]);
    }
    out
}

/// `mul_add` is a library call, twenty times slower, where the target lacks the instruction.
const FUSED: bool = cfg!(any(target_feature = "fma", target_arch = "aarch64"));

#[inline(always)]
fn fold(v: V, f: impl Fn(f32, f32) -> f32) -> f32 {
    let mut v = v;
    let mut width = LANES / 2;
    while width > 0 {
        for i in 0..width {
            v[i] = f(v[i], v[i + width]);
        }
        width /= 2;
    }
    v[0]
}

impl Sealed for Portable {}

impl Simd for Portable {
    type V = V;
    const TILE_VECTORS: usize = 1;
    // 16 registers of 4 lanes on x86-64, 32 on aarch64.
    const TILE_ACCUMULATORS: usize = if cfg!(target_arch = "aarch64") { 4 } else { 2 };
    const ISA: Isa = Isa::Portable;

    #[inline(always)]
    fn splat(self, x: f32) -> V {
        [x; LANES]
    }
    #[inline(always)]
    fn load(self, from: &[f32; LANES]) -> V {
        *from
    }
    #[inline(always)]
    fn store(self, v: V, to: &mut [f32; LANES]) {
        *to = v;
    }
    #[inline(always)]
    unsafe fn load_ptr(self, from: *const f32) -> V {
        // SAFETY: the caller promises 16 readable values; an array of f32 needs no more alignment than f32.
        unsafe { from.cast::<V>().read() }
    }
    #[inline(always)]
    unsafe fn store_ptr(self, v: V, to: *mut f32) {
        // SAFETY: the caller promises 16 writable values.
        unsafe { to.cast::<V>().write(v) }
    }
    #[inline(always)]
    fn add(self, a: V, b: V) -> V {
        zip(a, b, |a, b| a + b)
    }
    #[inline(always)]
    fn sub(self, a: V, b: V) -> V {
        zip(a, b, |a, b| a - b)
    }
    #[inline(always)]
    fn mul(self, a: V, b: V) -> V {
        zip(a, b, |a, b| a * b)
    }
    #[inline(always)]
    fn div(self, a: V, b: V) -> V {
        zip(a, b, |a, b| a / b)
    }
    #[inline(always)]
    fn sqrt(self, a: V) -> V {
        map(a, f32::sqrt)
    }
    #[inline(always)]
    fn fma(self, a: V, b: V, c: V) -> V {
        let mut out = c;
        for i in 0..LANES {
            out[i] = if FUSED { a[i].mul_add(b[i], c[i]) } else { a[i] * b[i] + c[i] };
        }
        out
    }
    #[inline(always)]
    fn fnma(self, a: V, b: V, c: V) -> V {
        let mut out = c;
        for i in 0..LANES {
            out[i] = if FUSED { (-a[i]).mul_add(b[i], c[i]) } else { c[i] - a[i] * b[i] };
        }
        out
    }
    #[inline(always)]
    fn min(self, a: V, b: V) -> V {
        zip(a, b, |a, b| if a < b { a } else { b })
    }
    #[inline(always)]
    fn max(self, a: V, b: V) -> V {
        zip(a, b, |a, b| if a > b { a } else { b })
    }
    #[inline(always)]
    fn select_lt(self, a: V, b: V, x: V, y: V) -> V {
        let mut out = y;
        for i in 0..LANES {
            out[i] = if a[i] < b[i] { x[i] } else { y[i] };
        }
        out
    }
    #[inline(always)]
    fn abs(self, a: V) -> V {
        map(a, f32::abs)
    }
    #[inline(always)]
    fn copysign(self, a: V, b: V) -> V {
        zip(a, b, f32::copysign)
    }
    #[inline(always)]
    fn round(self, a: V) -> V {
        // Adding 1.5 * 2^23 leaves no fraction bits; exact for the |a| < 2^22 that the callers have.
        const MAGIC: f32 = 12_582_912.0;
        map(a, |x| (x + MAGIC) - MAGIC)
    }
    #[inline(always)]
    fn exp2_integer(self, n: V) -> V {
        map(n, |n| f32::from_bits((((n as i32) + 127) << 23) as u32))
    }
    #[inline(always)]
    fn mantissa_exponent(self, x: V) -> (V, V) {
        let mantissa = map(x, |x| f32::from_bits(x.to_bits() & 0x007f_ffff | 0x3f80_0000));
        let exponent = map(x, |x| ((x.to_bits() >> 23) as i32 - 127) as f32);
        (mantissa, exponent)
    }
    #[inline(always)]
    fn transpose(self, rows: [V; LANES]) -> [V; LANES] {
        let mut columns = rows;
        for (i, row) in rows.iter().enumerate() {
            for (column, &x) in columns.iter_mut().zip(row) {
                column[i] = x;
            }
        }
        columns
    }
    #[inline(always)]
    fn reduce_add(self, v: V) -> f32 {
        fold(v, |a, b| a + b)
    }
    #[inline(always)]
    fn reduce_max(self, v: V) -> f32 {
        fold(v, |a, b| if a > b { a } else { b })
    }
}
