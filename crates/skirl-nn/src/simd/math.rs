//! Transcendental functions on 16 lanes.
//!
//! Each is a polynomial or a quotient of two, fitted for the smallest greatest relative error (Lawson's algorithm at
//! Chebyshev nodes, `tests/goldens/fit_polynomials.py`). Errors were measured against `f64` (`tests/vmath.rs`).

use super::Simd;

/// `a0 + x (a1 + x (a2 + …))`.
#[inline(always)]
fn horner<S: Simd, const N: usize>(s: S, x: S::V, coefficients: [f32; N]) -> S::V {
    let mut sum = s.splat(coefficients[N - 1]);
    let mut i = N - 1;
    while i > 0 {
        i -= 1;
        sum = s.fma(sum, x, s.splat(coefficients[i]));
    }
    sum
}

/// `a0 + x (a1 + x (a2 + … + x))`: an addition takes the place of the first multiply-add.
#[inline(always)]
fn horner_monic<S: Simd, const N: usize>(s: S, x: S::V, coefficients: [f32; N]) -> S::V {
    let mut sum = s.add(x, s.splat(coefficients[N - 1]));
    let mut i = N - 1;
    while i > 0 {
        i -= 1;
        sum = s.fma(sum, x, s.splat(coefficients[i]));
    }
    sum
}

// Fitted up to 8.4, scaled so that the highest coefficient of Q is 1; P(0) = Q(0), so that tanh x is x near 0.
const TANH_P: [f32; 5] = [1_212_647.4, 162_763.06, 4_298.348_6, 25.983_786, 0.017_609_22];
const TANH_Q: [f32; 4] = [1_212_647.4, 566_978.75, 31_605.095, 408.205_66];

/// Hyperbolic tangent: within 5 ulp (7 without FMA), never beyond ±1, odd, NaN stays NaN.
#[inline(always)]
pub fn tanh<S: Simd>(s: S, x: S::V) -> S::V {
    // f32 tanh is ±1 from 9.02 on; there the quotient below passes 1, and is cut.
    let x = s.max(s.splat(-9.02), s.min(s.splat(9.02), x));
    let x2 = s.mul(x, x);
    let p = s.mul(x, horner(s, x2, TANH_P));
    let q = horner_monic(s, x2, TANH_Q);
    s.max(s.splat(-1.0), s.min(s.splat(1.0), s.div(p, q)))
}

const LOG2_E: f32 = std::f32::consts::LOG2_E;
/// ln 2 in two parts: the first has few enough bits that an exponent times it is exact.
const LN_2_HI: f32 = 0.693_359_4;
const LN_2_LO: f32 = -2.121_944_4e-4;
/// `(e^r - 1 - r) / r²` for `|r| ≤ ln 2 / 2`.
const EXP_P: [f32; 5] = [0.499_999_94, 0.166_665_2, 0.041_668_396, 0.008_368_797, 0.001_381_443_3];
/// Below, e^x is returned as zero: the smallest result is 1.6e-38, still a normal number.
const EXP_LOW: f32 = -87.0;
/// Above, e^x is infinite in `f32`.
const EXP_HIGH: f32 = 88.722_83;

/// `x = n ln 2 + r`: returns `(n, e^r - 1)`.
#[inline(always)]
fn exp_parts<S: Simd>(s: S, x: S::V) -> (S::V, S::V) {
    let n = s.round(s.mul(x, s.splat(LOG2_E)));
    let r = s.fnma(n, s.splat(LN_2_HI), x);
    let r = s.fnma(n, s.splat(LN_2_LO), r);
    (n, s.fma(horner(s, r, EXP_P), s.mul(r, r), r))
}

/// Exponential: within 2 ulp; 0 below -87, infinite above 88.72283, NaN stays NaN.
#[inline(always)]
pub fn exp<S: Simd>(s: S, x: S::V) -> S::V {
    let clamped = s.max(s.splat(EXP_LOW), s.min(s.splat(EXP_HIGH), x));
    let (n, m) = exp_parts(s, clamped);
    let one = s.splat(1.0);
    // 2^n in two factors, because 2^128 is not a float.
    let y = s.mul(s.add(m, one), s.splat(2.0));
    let y = s.mul(y, s.exp2_integer(s.sub(n, one)));
    let y = s.select_lt(x, s.splat(EXP_LOW), s.splat(0.0), y);
    s.select_lt(s.splat(EXP_HIGH), x, s.splat(f32::INFINITY), y)
}

/// `e^x - 1` for `x ≤ 0` (positive inputs act as 0): within 3 ulp, also near zero; NaN stays NaN.
#[inline(always)]
pub fn exp_m1_negative<S: Simd>(s: S, x: S::V) -> S::V {
    let (n, m) = exp_parts(s, s.max(s.splat(-30.0), s.min(s.splat(0.0), x)));
    let scale = s.exp2_integer(n);
    s.fma(scale, m, s.sub(scale, s.splat(1.0)))
}

/// `(ln(1 + x) - x + x²/2) / x³` for `√½ - 1 ≤ x ≤ √2 - 1`.
const LN_P: [f32; 8] = [
    0.333_333_3,
    -0.250_008_2,
    0.200_012_27,
    -0.166_233_57,
    0.142_017_57,
    -0.131_601_83,
    0.127_615_78,
    -0.076_344_974,
];

/// `e ln 2 + ln(1 + x)` for the `x` of [`LN_P`].
#[inline(always)]
fn ln_parts<S: Simd>(s: S, e: S::V, x: S::V) -> S::V {
    let x2 = s.mul(x, x);
    let y = s.mul(s.mul(x, x2), horner(s, x, LN_P));
    let y = s.fma(e, s.splat(LN_2_LO), y);
    let y = s.fnma(s.splat(0.5), x2, y);
    s.fma(e, s.splat(LN_2_HI), s.add(x, y))
}

/// Natural logarithm: within 2 ulp for normal `x > 0`.
/// Zero and subnormal numbers give -∞, negative numbers and NaN give NaN, +∞ gives +∞.
#[inline(always)]
pub fn ln<S: Simd>(s: S, x: S::V) -> S::V {
    let one = s.splat(1.0);
    let (m, e) = s.mantissa_exponent(x);
    let root = s.splat(std::f32::consts::SQRT_2);
    let e = s.select_lt(m, root, e, s.add(e, one));
    let m = s.select_lt(m, root, m, s.mul(m, s.splat(0.5)));
    let y = ln_parts(s, e, s.sub(m, one));
    ln_special_cases(s, x, y)
}

#[inline(always)]
fn ln_special_cases<S: Simd>(s: S, x: S::V, y: S::V) -> S::V {
    let infinity = s.splat(f32::INFINITY);
    // `x - x` is NaN for NaN and infinity.
    let y = s.select_lt(x, infinity, y, s.add(x, infinity));
    let y = s.select_lt(x, s.splat(f32::MIN_POSITIVE), s.splat(f32::NEG_INFINITY), y);
    s.select_lt(x, s.splat(0.0), s.splat(f32::NAN), y)
}

/// Logistic function `1 / (1 + e^-x)`: within 3 ulp, NaN stays NaN.
#[inline(always)]
pub fn sigmoid<S: Simd>(s: S, x: S::V) -> S::V {
    let one = s.splat(1.0);
    let e = exp(s, s.sub(s.splat(0.0), x));
    s.div(one, s.add(one, e))
}

/// `ln(1 + e^x)` without overflow: within 4 ulp, NaN stays NaN.
#[inline(always)]
pub fn softplus<S: Simd>(s: S, x: S::V) -> S::V {
    let one = s.splat(1.0);
    let zero = s.splat(0.0);
    // u = e^-|x| is in [0, 1], so ln(1 + u) needs one halving at most.
    let u = exp(s, s.sub(zero, s.abs(x)));
    let small = s.splat(std::f32::consts::SQRT_2 - 1.0);
    let e = s.select_lt(u, small, zero, one);
    let reduced = s.select_lt(u, small, u, s.mul(s.sub(u, one), s.splat(0.5)));
    s.add(s.max(zero, x), ln_parts(s, e, reduced))
}

const ERF_P: [f32; 6] = [
    std::f32::consts::FRAC_2_SQRT_PI,
    0.193_545_2,
    0.053_101_77,
    0.003_883_352_5,
    0.000_284_566_43,
    1.986_785_3e-6,
];
const ERF_Q: [f32; 6] = [1.0, 0.504_857_54, 0.115_350_07, 0.015_207_267, 0.001_185_573_9, 3.742_023_5e-5];

/// Gauss error function: within 5 ulp (7 without FMA), never beyond ±1, odd, NaN stays NaN.
#[inline(always)]
pub fn erf<S: Simd>(s: S, x: S::V) -> S::V {
    let x = s.max(s.splat(-4.0), s.min(s.splat(4.0), x));
    let x2 = s.mul(x, x);
    let p = s.mul(x, horner(s, x2, ERF_P));
    let q = horner(s, x2, ERF_Q);
    s.max(s.splat(-1.0), s.min(s.splat(1.0), s.div(p, q)))
}
