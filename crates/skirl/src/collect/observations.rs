//! Env-to-module connector: from an environment's columns to rows of the module's input.
//!
//! Flattens every space as Gymnasium does (one-hot for discrete parts, in depth-first order) and checks that all is finite.

use skirl_env::{Column, ColumnMut, ColumnRef, EnvError, Space};

use skirl_math::stats::ColumnMoments;

use super::normalizer::Normalizer;

/// Buffers and rules that turn observations of `rows` environments into `[rows, width]` floats.
#[derive(Debug)]
pub struct ObservationConnector {
    space: Space,
    width: usize,
    raw: Vec<Column>,
    direct: bool,
}

impl ObservationConnector {
    /// For `rows` environments with this observation space.
    pub fn new(space: Space, rows: usize) -> Self {
        let leaves = space.leaves();
        let direct =
            matches!(&space, Space::Box(_)) && leaves.iter().all(|leaf| leaf.dtype == skirl_env::DType::F32);
        let raw = leaves.iter().map(|leaf| Column::zeros(leaf.dtype, rows * leaf.size())).collect();
        let width = space.flat_width();
        Self { space, width, raw, direct }
    }

    /// Width of the module's input.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Lets `write` fill the columns of all rows, then leaves the flattened rows in `to` (`[rows, width]`).
    ///
    /// A single float box is written straight into `to`: no copy.
    pub fn fill(
        &mut self,
        to: &mut [f32],
        write: impl FnOnce(&mut [ColumnMut<'_>]) -> Result<(), EnvError>,
    ) -> Result<(), EnvError> {
        if self.direct {
            return write(&mut [ColumnMut::F32(to)]);
        }
        let mut columns: Vec<ColumnMut<'_>> = self.raw.iter_mut().map(Column::as_mut).collect();
        write(&mut columns)?;
        let columns: Vec<ColumnRef<'_>> = self.raw.iter().map(Column::as_ref).collect();
        let rows = to.len() / self.width.max(1);
        self.space.flatten_into(&columns, rows, to).map_err(EnvError::from)
    }

    /// As [`fill`](Self::fill), but only row `row` of `to` (still `[rows, width]`) is renewed: an environment was reset.
    pub fn fill_row(
        &mut self,
        row: usize,
        to: &mut [f32],
        write: impl FnOnce(&mut [ColumnMut<'_>]) -> Result<(), EnvError>,
    ) -> Result<(), EnvError> {
        if self.direct {
            return write(&mut [ColumnMut::F32(to)]);
        }
        let rows = to.len() / self.width.max(1);
        let mut columns: Vec<ColumnMut<'_>> = self.raw.iter_mut().map(Column::as_mut).collect();
        write(&mut columns)?;
        let columns: Vec<ColumnRef<'_>> = self.raw.iter().map(|column| row_of(column, row, rows)).collect();
        let to = &mut to[row * self.width..][..self.width];
        self.space.flatten_into(&columns, 1, to).map_err(EnvError::from)
    }

    /// Flattens one row given as its own columns.
    pub fn flatten_row(&self, columns: &[Column], to: &mut [f32]) -> Result<(), EnvError> {
        let columns: Vec<ColumnRef<'_>> = columns.iter().map(Column::as_ref).collect();
        self.space.flatten_into(&columns, 1, to).map_err(EnvError::from)
    }
}

fn row_of(column: &Column, row: usize, rows: usize) -> ColumnRef<'_> {
    let len = column.len() / rows.max(1);
    let whole = column.as_ref();
    whole.slice(row * len..(row + 1) * len).unwrap_or(whole)
}

/// First non-finite element of `[rows, width]`, as (row, element, value).
pub fn find_non_finite(rows: &[f32], width: usize) -> Option<(usize, usize, f32)> {
    // A sum is finite only if all is (or an overflow happened, which the slow search below sorts out).
    if rows.iter().sum::<f32>().is_finite() {
        return None;
    }
    let index = rows.iter().position(|value| !value.is_finite())?;
    Some((index / width.max(1), index % width.max(1), rows[index]))
}

/// Statistics that a rollout gathers for the normaliser: `[rows]` environments or agents, each with its own.
#[derive(Debug, Default)]
pub struct SeenObservations {
    rows: Vec<ColumnMoments>,
    width: usize,
}

impl SeenObservations {
    /// For `rows` environments and inputs of this width; empty (and free) where there is no normaliser.
    pub fn new(rows: usize, width: usize, used: bool) -> Self {
        Self { rows: if used { vec![ColumnMoments::new(width); rows] } else { Vec::new() }, width }
    }

    /// Adds the row's raw input to its statistics, then normalises it in place.
    pub fn observe(&mut self, normalizer: Option<&Normalizer>, row: usize, input: &mut [f32]) {
        let Some(normalizer) = normalizer else { return };
        if let Some(seen) = self.rows.get_mut(row) {
            seen.push_row(input);
        }
        normalizer.apply(input);
    }

    /// Hands out what was seen, in row order, and starts anew.
    pub fn take(&mut self) -> Vec<ColumnMoments> {
        self.rows.iter_mut().map(|row| std::mem::replace(row, ColumnMoments::new(self.width))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_non_finite_element_is_found_where_it_is() {
        assert_eq!(find_non_finite(&[1.0, 2.0, 3.0, 4.0], 2), None);
        let (row, element, value) = find_non_finite(&[1.0, 2.0, 3.0, f32::INFINITY], 2).unwrap();
        assert_eq!((row, element, value), (1, 1, f32::INFINITY));
        assert_eq!(find_non_finite(&[f32::MAX, f32::MAX], 2), None);
    }
}
