//! Random values of a space.

use super::{BoxSpace, Leaf, Space};
use crate::column::ColumnMut;
use crate::dtype::DType;
use crate::seeding::Generator;

impl Space {
    /// Writes a random value into row `row` of the columns: uniform where bounded on both sides, shifted exponential
    /// where bounded on one side, standard normal where unbounded, as in Gymnasium (not Gymnasium's stream).
    ///
    /// Leaves without a matching column are left alone.
    pub fn sample(&self, rng: &mut Generator, out: &mut [ColumnMut<'_>], row: usize) {
        for (leaf, column) in self.leaves().iter().zip(out) {
            leaf.sample(rng, column, row);
        }
    }
}

impl Leaf {
    /// Writes a random value into row `row` of `column`.
    pub fn sample(&self, rng: &mut Generator, column: &mut ColumnMut<'_>, row: usize) {
        let size = self.size();
        let Some(mut out) = column.slice_mut(row * size..(row + 1) * size) else { return };
        match (&self.space, &mut out) {
            (Space::Discrete(space), ColumnMut::I64(out)) => {
                out.fill_with(|| rng.integers(space.start, space.start + space.n));
            }
            (Space::MultiDiscrete(space), ColumnMut::I64(out)) => {
                for ((out, &n), &start) in out.iter_mut().zip(&space.nvec).zip(&space.start) {
                    *out = rng.integers(start, start + n);
                }
            }
            (Space::MultiBinary { .. }, ColumnMut::I8(out)) => out.fill_with(|| rng.integers(0, 2) as i8),
            (Space::Box(space), out) => sample_box(space, rng, out),
            _ => {}
        }
    }
}

fn sample_box(space: &BoxSpace, rng: &mut Generator, out: &mut ColumnMut<'_>) {
    macro_rules! fill {
        ($out:expr, $kind:ty) => {
            for (index, out) in $out.iter_mut().enumerate() {
                *out = draw(space, rng, index) as $kind;
            }
        };
    }
    match out {
        ColumnMut::F32(out) => fill!(out, f32),
        ColumnMut::F64(out) => fill!(out, f64),
        ColumnMut::I8(out) => fill!(out, i8),
        ColumnMut::I16(out) => fill!(out, i16),
        ColumnMut::I32(out) => fill!(out, i32),
        ColumnMut::I64(out) => fill!(out, i64),
        ColumnMut::U8(out) => fill!(out, u8),
        ColumnMut::U16(out) => fill!(out, u16),
        ColumnMut::U32(out) => fill!(out, u32),
        ColumnMut::U64(out) => fill!(out, u64),
        ColumnMut::Bool(out) => {
            for (index, out) in out.iter_mut().enumerate() {
                *out = draw(space, rng, index) >= 1.0;
            }
        }
    }
}

/// One element. Integer boxes draw from `[low, high + 1)` and round down, so that every value is equally likely.
fn draw(space: &BoxSpace, rng: &mut Generator, index: usize) -> f64 {
    let low = space.low.get(index).copied().unwrap_or(f64::NEG_INFINITY);
    let high = space.high.get(index).copied().unwrap_or(f64::INFINITY);
    let integral = !space.dtype.is_float();
    let top = if integral { high + 1.0 } else { high };
    let value = match (low.is_finite(), high.is_finite()) {
        // A difference that overflows (bounds at ±f64::MAX) is drawn as a blend instead.
        (true, true) if (top - low).is_infinite() => {
            let weight = rng.random();
            low * (1.0 - weight) + top * weight
        }
        (true, true) => rng.uniform(low, top),
        (true, false) => low + rng.standard_exponential(),
        (false, true) => top - rng.standard_exponential(),
        (false, false) => rng.standard_normal(),
    };
    let value = if integral { value.floor() } else { value };
    let value = if space.dtype == DType::F32 { f64::from(value as f32) } else { value };
    // Rounding to the element type may step over a bound.
    value.max(low).min(high)
}
