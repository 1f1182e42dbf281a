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
    #[test]
    fn coefficients_are_numpys_to_the_last_bit() {
        let bits = [2.437_226_6e-5_f32, -0.001_388_652, 0.041_666_62].map(f32::to_bits);
        assert_eq!(bits, [0x37cc_730b, 0xbab6_036e, 0x3d2a_aa9e]);
        let bits = [2.840_409_7e-6_f32, -0.000_198_564_91, 0.008_333_397, -0.166_666_67].map(f32::to_bits);
        assert_eq!(bits, [0x363e_9dde, 0xb950_35dd, 0x3c08_88cd, 0xbe2a_aaab]);
    }
}
