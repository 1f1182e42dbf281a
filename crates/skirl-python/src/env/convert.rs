//! Values of another element type than the column's: taken where nothing is lost, refused otherwise.
//!
//! Integers, truth values and floats go wherever they are represented exactly. `float64` into `float32` is rounded, as
//! everywhere in this field, but must not overflow. A float is never an integer.

use skirl_env::{ColumnMut, ColumnRef};

/// A value that the column cannot hold.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Lossy {
    /// Index of the element.
    pub(super) index: usize,
    /// Its value.
    pub(super) value: f64,
}

/// One element of any type.
#[derive(Debug, Clone, Copy)]
enum Number {
    Whole(i128),
    Real(f64),
}

/// Copies `from` into `to` (same length) element by element.
pub(super) fn convert(from: &ColumnRef<'_>, to: &mut ColumnMut<'_>) -> Result<(), Lossy> {
    if let (ColumnRef::F64(from), ColumnMut::F32(to)) = (from, &mut *to) {
        return round(from, to);
    }
    for index in 0..from.len() {
        let number = element(from, index);
        if !put(to, index, number) {
            let value = match number {
                Number::Whole(value) => value as f64,
                Number::Real(value) => value,
            };
            return Err(Lossy { index, value });
        }
    }
    Ok(())
}

/// Infinities and NaN stay what they are: the guard for observations names them.
fn round(from: &[f64], to: &mut [f32]) -> Result<(), Lossy> {
    for (index, (to, &value)) in to.iter_mut().zip(from).enumerate() {
        *to = value as f32;
        if to.is_infinite() && value.is_finite() {
            return Err(Lossy { index, value });
        }
    }
    Ok(())
}

fn element(column: &ColumnRef<'_>, index: usize) -> Number {
    macro_rules! read {
        ($($whole:ident),+) => {
            match column {
                ColumnRef::F32(values) => Number::Real(values[index].into()),
                ColumnRef::F64(values) => Number::Real(values[index]),
                $(ColumnRef::$whole(values) => Number::Whole(values[index].into()),)+
            }
        };
    }
    read!(I8, I16, I32, I64, U8, U16, U32, U64, Bool)
}

/// Writes the number if the column holds it exactly.
fn put(column: &mut ColumnMut<'_>, index: usize, number: Number) -> bool {
    macro_rules! whole {
        ($values:expr, $kind:ty) => {
            match number {
                Number::Whole(value) => <$kind>::try_from(value).map(|value| $values[index] = value).is_ok(),
                Number::Real(_) => false,
            }
        };
    }
    match column {
        ColumnMut::F32(values) => {
            values[index] = match number {
                Number::Whole(value) => value as f32,
                Number::Real(value) => value as f32,
            };
            holds(values[index].into(), number)
        }
        ColumnMut::F64(values) => {
            values[index] = match number {
                Number::Whole(value) => value as f64,
                Number::Real(value) => value,
            };
            holds(values[index], number)
        }
        ColumnMut::I8(values) => whole!(values, i8),
        ColumnMut::I16(values) => whole!(values, i16),
        ColumnMut::I32(values) => whole!(values, i32),
        ColumnMut::I64(values) => whole!(values, i64),
        ColumnMut::U8(values) => whole!(values, u8),
        ColumnMut::U16(values) => whole!(values, u16),
        ColumnMut::U32(values) => whole!(values, u32),
        ColumnMut::U64(values) => whole!(values, u64),
        ColumnMut::Bool(values) => match number {
            Number::Whole(value @ (0 | 1)) => {
                values[index] = value == 1;
                true
            }
            _ => false,
        },
    }
}

fn holds(stored: f64, number: Number) -> bool {
    match number {
        Number::Whole(value) => stored as i128 == value,
        Number::Real(_) => true,
    }
}
