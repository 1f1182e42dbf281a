//! The action column of a table: integers for discrete distributions, floats for continuous ones.

use serde::{Deserialize, Serialize};
use skirl_nn::distributions::{ActionsMut, ActionsRef};

/// Actions of many rows, row-major `[rows, width]`, as the distribution draws them (before unsquashing).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Actions {
    /// Categorical, multi-categorical and Bernoulli actions, counted from zero.
    Discrete {
        /// `[rows, width]`.
        data: Vec<i64>,
        /// Sub-actions of one row.
        width: usize,
    },
    /// Gaussian actions.
    Continuous {
        /// `[rows, width]`.
        data: Vec<f32>,
        /// Components of one row.
        width: usize,
    },
}

impl Actions {
    /// Zeros for `rows` rows.
    pub fn zeros(discrete: bool, width: usize, rows: usize) -> Self {
        if discrete {
            Self::Discrete { data: vec![0; rows * width], width }
        } else {
            Self::Continuous { data: vec![0.0; rows * width], width }
        }
    }

    /// A column of the same kind and width without rows.
    pub fn empty(&self) -> Self {
        Self::zeros(matches!(self, Self::Discrete { .. }), self.width(), 0)
    }

    /// Sub-actions or components of one row.
    pub fn width(&self) -> usize {
        match self {
            Self::Discrete { width, .. } | Self::Continuous { width, .. } => *width,
        }
    }

    /// Rows held.
    pub fn rows(&self) -> usize {
        let width = self.width().max(1);
        match self {
            Self::Discrete { data, .. } => data.len() / width,
            Self::Continuous { data, .. } => data.len() / width,
        }
    }

    /// A view of rows `[start, end)`.
    pub fn view(&self, start: usize, end: usize) -> ActionsRef<'_> {
        match self {
            Self::Discrete { data, width } => {
                ActionsRef::Discrete { data: &data[start * width..end * width], width: *width }
            }
            Self::Continuous { data, width } => {
                ActionsRef::Continuous { data: &data[start * width..end * width], width: *width }
            }
        }
    }

    /// A writable view of rows `[start, end)`.
    pub fn view_mut(&mut self, start: usize, end: usize) -> ActionsMut<'_> {
        match self {
            Self::Discrete { data, width } => {
                ActionsMut::Discrete { data: &mut data[start * *width..end * *width], width: *width }
            }
            Self::Continuous { data, width } => {
                ActionsMut::Continuous { data: &mut data[start * *width..end * *width], width: *width }
            }
        }
    }

    /// Copies `source` rows (`rows[i]` to row `i` here). Both must be of one kind and width, and the rows in range.
    pub fn gather(&mut self, source: &Self, rows: &[u32]) {
        match (self, source) {
            (Self::Discrete { data, width }, Self::Discrete { data: from, .. }) => {
                gather(data, from, *width, rows);
            }
            (Self::Continuous { data, width }, Self::Continuous { data: from, .. }) => {
                gather(data, from, *width, rows);
            }
            _ => debug_assert!(false, "action columns of two kinds"),
        }
    }

    /// Copies `rows` neighbouring rows of `source`, from row `from` on, to row `to` here.
    pub fn copy_rows(&mut self, to: usize, source: ActionsRef<'_>, from: usize, rows: usize) {
        match (self, source) {
            (Self::Discrete { data, width }, ActionsRef::Discrete { data: other, .. }) => {
                data[to * *width..][..rows * *width]
                    .copy_from_slice(&other[from * *width..][..rows * *width]);
            }
            (Self::Continuous { data, width }, ActionsRef::Continuous { data: other, .. }) => {
                data[to * *width..][..rows * *width]
                    .copy_from_slice(&other[from * *width..][..rows * *width]);
            }
            _ => debug_assert!(false, "action columns of two kinds"),
        }
    }

    /// Grows or shrinks to `rows` rows; new rows are zero.
    pub fn resize(&mut self, rows: usize) {
        match self {
            Self::Discrete { data, width } => data.resize(rows * *width, 0),
            Self::Continuous { data, width } => data.resize(rows * *width, 0.0),
        }
    }
}

/// Copies `rows` of `[_, width]` into the front of `to`.
pub fn gather<T: Copy>(to: &mut [T], from: &[T], width: usize, rows: &[u32]) {
    match width {
        1 => gather_narrow::<T, 1>(to, from, rows),
        2 => gather_narrow::<T, 2>(to, from, rows),
        3 => gather_narrow::<T, 3>(to, from, rows),
        4 => gather_narrow::<T, 4>(to, from, rows),
        _ => {
            for (slot, &row) in to.chunks_exact_mut(width.max(1)).zip(rows) {
                slot.copy_from_slice(&from[row as usize * width..][..width]);
            }
        }
    }
}

/// With the width known when compiled: a row is a move or two, not a call.
fn gather_narrow<T: Copy, const WIDTH: usize>(to: &mut [T], from: &[T], rows: &[u32]) {
    let from = from.as_chunks::<WIDTH>().0;
    for (slot, &row) in to.as_chunks_mut::<WIDTH>().0.iter_mut().zip(rows) {
        *slot = from[row as usize];
    }
}
