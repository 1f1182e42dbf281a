//! Flattening to one vector of `f32`, in the order of `gymnasium.spaces.flatten`.

use super::contains::check_column;
use super::{Leaf, Space, SpaceError};
use crate::column::ColumnRef;

impl Space {
    /// Width of the flattened vector (Gymnasium's `flatdim`): one-hot for discrete parts, plain elements otherwise.
    pub fn flat_width(&self) -> usize {
        match self {
            Space::Discrete(space) => space.n.max(0) as usize,
            Space::MultiDiscrete(space) => space.nvec.iter().map(|&n| n.max(0) as usize).sum(),
            Space::MultiBinary { shape } => shape.iter().product(),
            Space::Box(space) => space.shape.iter().product(),
            Space::Dict(parts) => parts.iter().map(|(_, part)| part.flat_width()).sum(),
            Space::Tuple(parts) => parts.iter().map(Space::flat_width).sum(),
        }
    }

    /// Flattens `rows` values into `out`, which holds `rows * flat_width()` elements, row after row.
    ///
    /// Numbers that do not fit an `f32` are rounded to it. Errors: wrong columns, wrong length of `out`, a discrete
    /// value outside its space.
    pub fn flatten_into(
        &self,
        leaves: &[ColumnRef<'_>],
        rows: usize,
        out: &mut [f32],
    ) -> Result<(), SpaceError> {
        let width = self.flat_width();
        if out.len() != rows * width {
            return Err(SpaceError::WrongLength {
                leaf: "of the flattened output".to_owned(),
                expected: rows * width,
                found: out.len(),
            });
        }
        if let (Space::Box(_), [ColumnRef::F32(values)]) = (self, leaves)
            && values.len() == out.len()
        {
            out.copy_from_slice(values);
            return Ok(());
        }
        let own = self.leaves();
        if own.len() != leaves.len() {
            return Err(SpaceError::WrongLeafCount { expected: own.len(), found: leaves.len() });
        }
        let mut offset = 0;
        for (leaf, column) in own.iter().zip(leaves) {
            check_column(leaf, column, rows)?;
            flatten_leaf(leaf, column, out, offset, width)?;
            offset += leaf.space.flat_width();
        }
        Ok(())
    }
}

fn flatten_leaf(
    leaf: &Leaf,
    column: &ColumnRef<'_>,
    out: &mut [f32],
    offset: usize,
    width: usize,
) -> Result<(), SpaceError> {
    let leaf_width = leaf.space.flat_width();
    if width == 0 || leaf_width == 0 {
        return Ok(());
    }
    let rows = out.chunks_exact_mut(width).map(|row| &mut row[offset..offset + leaf_width]);
    match (&leaf.space, column) {
        (Space::Discrete(space), ColumnRef::I64(values)) => {
            for (row, &value) in rows.zip(*values) {
                one_hot(leaf, 0, value, space.start, row)?;
            }
        }
        (Space::MultiDiscrete(space), ColumnRef::I64(values)) => {
            for (row, values) in rows.zip(values.chunks_exact(space.nvec.len())) {
                let mut rest = row;
                for (index, (&value, &n)) in values.iter().zip(&space.nvec).enumerate() {
                    let (part, after) = rest.split_at_mut(n.max(0) as usize);
                    one_hot(leaf, index, value, space.start.get(index).copied().unwrap_or(0), part)?;
                    rest = after;
                }
            }
        }
        _ => copy_rows(column, rows, leaf_width),
    }
    Ok(())
}

fn one_hot(leaf: &Leaf, index: usize, value: i64, start: i64, row: &mut [f32]) -> Result<(), SpaceError> {
    row.fill(0.0);
    let position = value.checked_sub(start).and_then(|offset| usize::try_from(offset).ok());
    let Some(cell) = position.and_then(|position| row.get_mut(position)) else {
        return Err(SpaceError::OutOfBounds {
            leaf: leaf.label(),
            index,
            value: value as f64,
            low: start as f64,
            high: (start + row.len() as i64 - 1) as f64,
        });
    };
    *cell = 1.0;
    Ok(())
}

fn copy_rows<'o>(column: &ColumnRef<'_>, rows: impl Iterator<Item = &'o mut [f32]>, width: usize) {
    macro_rules! convert {
        ($values:expr, $to_f32:expr) => {
            for (row, values) in rows.zip($values.chunks_exact(width)) {
                for (out, &value) in row.iter_mut().zip(values) {
                    *out = $to_f32(value);
                }
            }
        };
    }
    match column {
        ColumnRef::F32(values) => convert!(values, |value: f32| value),
        ColumnRef::F64(values) => convert!(values, |value: f64| value as f32),
        ColumnRef::I8(values) => convert!(values, f32::from),
        ColumnRef::I16(values) => convert!(values, f32::from),
        ColumnRef::I32(values) => convert!(values, |value: i32| value as f32),
        ColumnRef::I64(values) => convert!(values, |value: i64| value as f32),
        ColumnRef::U8(values) => convert!(values, f32::from),
        ColumnRef::U16(values) => convert!(values, f32::from),
        ColumnRef::U32(values) => convert!(values, |value: u32| value as f32),
        ColumnRef::U64(values) => convert!(values, |value: u64| value as f32),
        ColumnRef::Bool(values) => convert!(values, |value: bool| f32::from(u8::from(value))),
    }
}
