//! A measured ceiling for benchmarks.

use crate::simd::{Kernel, Simd, dispatch};

struct Peak {
    rounds: usize,
    factor: f32,
    addend: f32,
}

impl Kernel for Peak {
    type Output = (f32, usize);
    #[inline(always)]
    fn run<S: Simd>(self, s: S) -> (f32, usize) {
        // As many independent sums as the registers hold beside the two operands.
        match S::TILE_ACCUMULATORS {
            24.. => chains::<S, 12>(s, &self),
            6.. => chains::<S, 6>(s, &self),
            _ => chains::<S, 2>(s, &self),
        }
    }
}

#[inline(always)]
fn chains<S: Simd, const N: usize>(s: S, p: &Peak) -> (f32, usize) {
    let (factor, addend) = (s.splat(p.factor), s.splat(p.addend));
    let mut sums = [s.splat(1.0); N];
    for _ in 0..p.rounds {
        for sum in &mut sums {
            *sum = s.fma(*sum, factor, addend);
        }
    }
    let total = sums.into_iter().reduce(|a, b| s.add(a, b)).unwrap_or(addend);
    (s.reduce_add(total), p.rounds * N * crate::simd::LANES * 2)
}

/// Runs `rounds` of independent multiply-adds in registers; returns a value to keep alive and the number of floating
/// point operations. Timed by the caller, the best of several runs is the core's peak.
pub fn multiply_adds(rounds: usize) -> (f32, usize) {
    dispatch(Peak { rounds, factor: std::hint::black_box(0.999), addend: std::hint::black_box(1e-3) })
}
