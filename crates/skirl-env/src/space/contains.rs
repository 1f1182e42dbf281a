//! Whether a value belongs to a space.

use super::{Leaf, Space, SpaceError};
use crate::column::ColumnRef;

impl Space {
    /// Checks that row `row` of the columns is a value of this space: column types, bounds, no NaN.
    pub fn contains(&self, leaves: &[ColumnRef<'_>], row: usize) -> Result<(), SpaceError> {
        let own = self.leaves();
        if own.len() != leaves.len() {
            return Err(SpaceError::WrongLeafCount { expected: own.len(), found: leaves.len() });
        }
        own.iter().zip(leaves).try_for_each(|(leaf, column)| leaf.contains(column, row))
    }
}

impl Leaf {
    /// Checks that row `row` of `column` is a value of this leaf.
    pub fn contains(&self, column: &ColumnRef<'_>, row: usize) -> Result<(), SpaceError> {
        check_dtype(self, column)?;
        let size = self.size();
        let Some(values) = column.slice(row * size..(row + 1) * size) else {
            return Err(SpaceError::WrongLength {
                leaf: self.label(),
                expected: (row + 1) * size,
                found: column.len(),
            });
        };
        for index in 0..size {
            let value = values.get_f64(index).unwrap_or(f64::NAN);
            let (low, high) = self.bounds(index);
            // Written so that NaN fails.
            if !(low <= value && value <= high) {
                return Err(SpaceError::OutOfBounds { leaf: self.label(), index, value, low, high });
            }
        }
        Ok(())
    }

    /// Lowest and highest value of element `index`.
    pub fn bounds(&self, index: usize) -> (f64, f64) {
        let integers = |start: i64, n: i64| (start as f64, (start + n - 1) as f64);
        match &self.space {
            Space::Discrete(space) => integers(space.start, space.n),
            Space::MultiDiscrete(space) => integers(
                space.start.get(index).copied().unwrap_or(0),
                space.nvec.get(index).copied().unwrap_or(0),
            ),
            Space::MultiBinary { .. } => (0.0, 1.0),
            Space::Box(space) => (
                space.low.get(index).copied().unwrap_or(f64::NEG_INFINITY),
                space.high.get(index).copied().unwrap_or(f64::INFINITY),
            ),
            Space::Dict(_) | Space::Tuple(_) => (f64::NEG_INFINITY, f64::INFINITY),
        }
    }
}

/// Checks type and length of a column of `rows` values.
pub(super) fn check_column(leaf: &Leaf, column: &ColumnRef<'_>, rows: usize) -> Result<(), SpaceError> {
    check_dtype(leaf, column)?;
    let expected = rows * leaf.size();
    if column.len() != expected {
        return Err(SpaceError::WrongLength { leaf: leaf.label(), expected, found: column.len() });
    }
    Ok(())
}

fn check_dtype(leaf: &Leaf, column: &ColumnRef<'_>) -> Result<(), SpaceError> {
    if column.dtype() == leaf.dtype {
        return Ok(());
    }
    Err(SpaceError::WrongDType { leaf: leaf.label(), expected: leaf.dtype, found: column.dtype() })
}
