//! Scalar functions whose last bit must be NumPy's.

use std::f64::consts::TAU;
use std::hint::black_box;

/// `numpy.float64(x) ** 2`: NumPy calls the C library's `pow`, whose last bit now and then (once in a thousand) differs
/// from that of `x * x`.
#[inline]
pub(crate) fn power2(x: f64) -> f64 {
    let square = Square::of(x);
    if square.doubtful { pow2_of_libm(x) } else { square.rounded }
}

/// `numpy.float32(x) ** 2`: the C library's `powf`.
#[inline]
pub(crate) fn power2_f32(x: f32) -> f32 {
    let square = SquareF32::of(x);
    if square.doubtful { powf2_of_libm(x) } else { square.rounded }
}

#[cold]
pub(crate) fn pow2_of_libm(x: f64) -> f64 {
    // Hidden from the optimiser, which would turn the call into `x * x`.
    x.powf(black_box(2.0))
}

#[cold]
pub(crate) fn powf2_of_libm(x: f32) -> f32 {
    x.powf(black_box(2.0))
}

/// Distance of x² from its rounding, in units of half a last place, above which `pow` may round the other way. glibc
/// promises an error of at most 0.54 last places, that is `pow` agrees up to 0.92; measured: up to 0.98.
const PROMISED: f64 = 0.92;
/// The same for `powf`: over all arguments between 2⁻³¹ and 4 it agrees up to 0.996.
const PROMISED_F32: f64 = 0.95;

/// `x * x`, and whether `pow(x, 2)` may differ from it. Free of branches: loops over it vectorise.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Square {
    pub(crate) rounded: f64,
    pub(crate) doubtful: bool,
}

impl Square {
    #[inline]
    pub(crate) fn of(x: f64) -> Square {
        let rounded = x * x;
        // Dekker's product: the exact error of `rounded`, from the two halves of x.
        let scaled = 134_217_729.0 * x;
        let high = scaled - (scaled - x);
        let low = x - high;
        let error = ((high * high - rounded) + 2.0 * (high * low)) + low * low;
        // Half a last place below `rounded`, where the places are finest.
        let half_place = f64::from_bits(rounded.to_bits().wrapping_sub(1) & (0x7ff << 52)) * 0.5_f64.powi(53);
        let tie = error.abs() > PROMISED * half_place;
        // Outside this range the error above may underflow or overflow.
        let extreme = u8::from(rounded < 1e-200) | u8::from(rounded > 1e200);
        Square { rounded, doubtful: (u8::from(tie) | extreme) != 0 }
    }
}

/// As [`Square`], for `f32`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SquareF32 {
    pub(crate) rounded: f32,
    pub(crate) doubtful: bool,
}

impl SquareF32 {
    #[inline]
    pub(crate) fn of(x: f32) -> SquareF32 {
        let exact = f64::from(x) * f64::from(x);
        let rounded = exact as f32;
        let half_place = f32::from_bits(rounded.to_bits().wrapping_sub(1) & (0xff << 23));
        let tie =
            (exact - f64::from(rounded)).abs() > PROMISED_F32 * 0.5_f64.powi(24) * f64::from(half_place);
        let extreme = u8::from(rounded < 1e-18) | u8::from(rounded > 16.0);
        SquareF32 { rounded, doubtful: (u8::from(tie) | extreme) != 0 }
    }
}

/// Python's `x % (2π)`: `fmod`, then brought into `[0, 2π)`. Free of branches for |x| below [`TURNS_LIMIT`].
#[inline]
pub(crate) fn remainder_of_turn(x: f64) -> f64 {
    /// The upper 26 bits of 2π, and the rest: products with small integers are exact.
    const TURN_HIGH: f64 = f64::from_bits(TAU.to_bits() & !((1 << 27) - 1));
    const TURN_LOW: f64 = TAU - TURN_HIGH;
    /// Adding and subtracting it rounds to an integer.
    const ROUND: f64 = 6_755_399_441_055_744.0;
    let size = x.abs();
    let turns = (size * (1.0 / TAU) + ROUND) - ROUND;
    // Every step is exact: all values are multiples of the last place of 4, and smaller than 8.
    let rest = (size - turns * TURN_HIGH) - turns * TURN_LOW;
    let rest = if rest < 0.0 { rest + TAU } else { rest };
    let rest = if rest >= TAU { rest - TAU } else { rest };
    // `fmod` takes the sign of x; Python then adds the modulus, which rounds.
    if x < 0.0 && rest > 0.0 { TAU - rest } else { rest }
}

/// Largest |x| that [`remainder_of_turn`] takes: 2²⁰.
pub(crate) const TURNS_LIMIT: f64 = 1_048_576.0;

/// Python's `x % (2π)` for any x.
pub(crate) fn remainder_of_turn_anywhere(x: f64) -> f64 {
    let rest = x % TAU;
    if rest < 0.0 { rest + TAU } else { rest.abs() }
}

/// `numpy.cos(numpy.float32(x))` for |x| < π/4, where NumPy's vector code needs no reduction of the argument: a
/// polynomial in x² with fused multiplications.
pub(crate) fn cos_f32(x: f32) -> f32 {
    let square = x * x;
    let series = 2.437_226_6e-5_f32.mul_add(square, -0.001_388_652);
    series.mul_add(square, 0.041_666_62).mul_add(square, -0.5).mul_add(square, 1.0)
}

/// `numpy.sin(numpy.float32(x))` for |x| < π/4.
pub(crate) fn sin_f32(x: f32) -> f32 {
    let square = x * x;
    let series = 2.840_409_7e-6_f32.mul_add(square, -0.000_198_564_91);
    let series = series.mul_add(square, 0.008_333_397).mul_add(square, -0.166_666_67);
    series.mul_add(square, 0.0).mul_add(x, x)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Generator;

    #[test]
    fn squares_equal_the_c_librarys_pow() {
        let mut rng = Generator::seeded(0);
        let mut differ_from_product = 0;
        for _ in 0..1_000_000 {
            let x = rng.uniform(-9.0, 9.0);
            let expected = pow2_of_libm(x);
            differ_from_product += u32::from(expected != x * x);
            assert_eq!(power2(x).to_bits(), expected.to_bits(), "{x:?}");
        }
        // Else the test would not see a plain product.
        assert!(differ_from_product > 100);
        for x in
            [0.0, -0.0, 1.0, 2.0, -4.0, 1e-170, 1e-110, 1e150, 1e-308, f64::INFINITY, 0.1, 1.0 + f64::EPSILON]
        {
            assert_eq!(power2(x).to_bits(), pow2_of_libm(x).to_bits(), "{x:?}");
        }
    }

    #[test]
    fn f32_squares_equal_the_c_librarys_powf() {
        // Every 997th number from 0 to 16.
        let mut differ_from_product = 0;
        for bits in (0..16.0_f32.to_bits()).step_by(997) {
            let x = f32::from_bits(bits);
            let expected = powf2_of_libm(x);
            differ_from_product += u32::from(expected != x * x);
            assert_eq!(power2_f32(x).to_bits(), expected.to_bits(), "{x:?}");
        }
        assert!(differ_from_product > 100);
    }

    #[test]
    fn remainders_equal_fmods() {
        let mut rng = Generator::seeded(1);
        let check = |x: f64| {
            assert_eq!(remainder_of_turn(x).to_bits(), remainder_of_turn_anywhere(x).to_bits(), "{x:?}");
        };
        for _ in 0..300_000 {
            check(rng.uniform(-10.0, 10.0));
            check(rng.uniform(-100.0, 100.0));
            check(rng.uniform(-TURNS_LIMIT, TURNS_LIMIT));
            // Next to whole turns, where the quotient is hardest.
            let near = (rng.integers(-160_000, 160_000) as f64) * TAU;
            let step = rng.integers(-3, 4) as f64 * f64::EPSILON * near;
            check(near + step);
        }
        for x in [0.0, TAU, -TAU, TAU / 2.0, -1e-300, 1e-300, -1e-17, TAU - f64::EPSILON * 4.0] {
            check(x);
        }
    }

    #[test]
    fn coefficients_are_numpys_to_the_last_bit() {
        let bits = [2.437_226_6e-5_f32, -0.001_388_652, 0.041_666_62].map(f32::to_bits);
        assert_eq!(bits, [0x37cc_730b, 0xbab6_036e, 0x3d2a_aa9e]);
        let bits = [2.840_409_7e-6_f32, -0.000_198_564_91, 0.008_333_397, -0.166_666_67].map(f32::to_bits);
        assert_eq!(bits, [0x363e_9dde, 0xb950_35dd, 0x3c08_88cd, 0xbe2a_aaab]);
    }
}
