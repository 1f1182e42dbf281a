//! Standard normal numbers from uniform ones.

use crate::simd::{self, Simd};

/// Giles (2010), "Approximating the erfinv function", single precision: centre, in powers of `w − 2.5`.
const CENTRE: [f32; 9] = [
    2.81022636e-08,
    3.43273939e-07,
    -3.5233877e-06,
    -4.39150654e-06,
    0.00021858087,
    -0.00125372503,
    -0.00417768164,
    0.246640727,
    1.50140941,
];
/// The same, tails, in powers of `√w − 3`.
const TAIL: [f32; 9] = [
    -0.000200214257,
    0.000100950558,
    0.00134934322,
    -0.00367342844,
    0.00573950773,
    -0.0076224613,
    0.00943887047,
    1.00167406,
    2.83297682,
];

#[inline(always)]
fn horner<S: Simd>(s: S, x: S::V, coefficients: &[f32; 9]) -> S::V {
    let mut p = s.splat(coefficients[0]);
    for &c in &coefficients[1..] {
        p = s.fma(p, x, s.splat(c));
    }
    p
}

/// The standard normal quantile `Φ⁻¹(u) = √2·erfinv(2u − 1)` for u in (0, 1), an odd multiple of 2⁻²⁴ (see
/// [`skirl_math::rng::open_unit_f32`]): within 1e-6 of the exact value, relative; at most 5.3 in magnitude.
#[inline(always)]
pub(super) fn quantile<S: Simd>(s: S, u: S::V) -> S::V {
    let one = s.splat(1.0);
    // Exact for such u: 2u − 1, and both factors of 1 − x².
    let x = s.sub(s.add(u, u), one);
    let w = s.sub(s.splat(0.0), simd::ln(s, s.mul(s.sub(one, x), s.add(one, x))));
    let centre = horner(s, s.sub(w, s.splat(2.5)), &CENTRE);
    // In the centre w may be -0 or tiny and negative; the tail's value is then not used.
    let tail = horner(s, s.sub(s.sqrt(s.abs(w)), s.splat(3.0)), &TAIL);
    let p = s.select_lt(w, s.splat(5.0), centre, tail);
    s.mul(s.mul(p, x), s.splat(std::f32::consts::SQRT_2))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simd::{Kernel, LANES, dispatch};

    struct Quantiles<'a>(&'a mut [[f32; LANES]]);

    impl Kernel for Quantiles<'_> {
        type Output = ();
        #[inline(always)]
        fn run<S: Simd>(self, s: S) {
            for block in self.0 {
                s.store(quantile(s, s.load(block)), block);
            }
        }
    }

    #[test]
    fn quantiles_equal_the_exact_ones() {
        let text = include_str!("../../tests/goldens/distributions.json");
        let goldens: serde_json::Value = serde_json::from_str(text).unwrap();
        let column = |name: &str| -> Vec<f64> {
            let list = goldens["quantiles"][name].as_array().unwrap();
            list.iter().map(|x| x.as_f64().unwrap()).collect()
        };
        for (u, z) in column("u").into_iter().zip(column("z")) {
            let mut blocks = [[u as f32; LANES]];
            dispatch(Quantiles(&mut blocks));
            let got = f64::from(blocks[0][0]);
            assert!((got - z).abs() <= 1e-6 * z.abs(), "u = {u}: {got} against {z}");
        }
    }
}
