//! Scalar functions whose last bit must be NumPy's.

use std::hint::black_box;

/// `numpy.float64(x) ** 2`: NumPy calls the C library's `pow`, whose last bit now and then differs from `x * x`.
pub(crate) fn power2(x: f64) -> f64 {
    // Hidden from the optimiser, which would turn the call into `x * x`.
    x.powf(black_box(2.0))
}

/// `numpy.float32(x) ** 2`: the C library's `powf`.
pub(crate) fn power2_f32(x: f32) -> f32 {
    x.powf(black_box(2.0))
}

/// Python's `x % modulus` for a positive modulus: `fmod`, then brought into `[0, modulus)`.
pub(crate) fn remainder(x: f64, modulus: f64) -> f64 {
    let remainder = x % modulus;
    if remainder < 0.0 { remainder + modulus } else { remainder.abs() }
}
