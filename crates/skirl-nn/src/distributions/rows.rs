//! Sixteen rows as columns, and the checks that all distributions share.

use super::{ActionsMut, ActionsRef, Evaluated, EvaluatedGrad};
use crate::NnError;
use crate::matrix::{Mat, MatMut};
use crate::simd::{LANES, Simd};

/// One number of each of 16 rows.
pub(super) type Column = [f32; LANES];

/// Up to this many columns are faster copied one by one; more, row by row.
pub(super) const FEW: usize = 4;

/// The rows `first..first + lanes`, at most 16.
#[derive(Debug, Clone, Copy)]
pub(super) struct Block {
    pub(super) first: usize,
    pub(super) lanes: usize,
}

impl Block {
    /// The blocks of `rows` rows, in order.
    pub(super) fn all(rows: usize) -> impl Iterator<Item = Self> {
        (0..rows).step_by(LANES).map(move |first| Self { first, lanes: LANES.min(rows - first) })
    }

    /// `columns[j][lane] = m[first + lane][j]`. Lanes past the last row keep what they held: no lane reads
    /// another.
    #[inline(always)]
    pub(super) fn gather(self, m: Mat<'_>, columns: &mut [Column]) {
        if columns.len() > FEW {
            for lane in 0..self.lanes.min(LANES) {
                let row = m.row(self.first + lane);
                for (column, &x) in columns.iter_mut().zip(row) {
                    column[lane] = x;
                }
            }
            return;
        }
        let stride = m.stride().max(1);
        let data = &m.data()[self.first * stride..];
        if stride == columns.len() {
            return self.gather_compact(data, columns);
        }
        for (j, column) in columns.iter_mut().enumerate() {
            let numbers = data[j..].iter().step_by(stride);
            for (to, &x) in column[..self.lanes].iter_mut().zip(numbers) {
                *to = x;
            }
        }
    }

    /// The reverse of [`gather`](Self::gather).
    #[inline(always)]
    pub(super) fn scatter(self, columns: &[Column], m: &mut MatMut<'_>) {
        if columns.len() > FEW {
            for lane in 0..self.lanes.min(LANES) {
                let row = m.row_mut(self.first + lane);
                for (column, x) in columns.iter().zip(row) {
                    *x = column[lane];
                }
            }
            return;
        }
        let stride = m.stride().max(1);
        let data = &mut m.data_mut()[self.first * stride..];
        if stride == columns.len() {
            return self.scatter_compact(columns, data);
        }
        for (j, column) in columns.iter().enumerate() {
            let numbers = data[j..].iter_mut().step_by(stride);
            for (&x, to) in column[..self.lanes].iter().zip(numbers) {
                *to = x;
            }
        }
    }

    /// Rows without gaps, of [`FEW`] columns at most.
    #[inline(always)]
    fn gather_compact(self, data: &[f32], columns: &mut [Column]) {
        let mut padded = [0.0; FEW * LANES];
        let mut rows = data;
        if self.lanes < LANES {
            let len = self.lanes * columns.len();
            padded[..len].copy_from_slice(&data[..len]);
            rows = &padded;
        }
        match columns {
            [one] => split_rows(rows, [one]),
            [a, b] => split_rows(rows, [a, b]),
            [a, b, c] => split_rows(rows, [a, b, c]),
            [a, b, c, d] => split_rows(rows, [a, b, c, d]),
            _ => {}
        }
    }

    /// The reverse of [`gather_compact`](Self::gather_compact).
    #[inline(always)]
    fn scatter_compact(self, columns: &[Column], data: &mut [f32]) {
        if self.lanes == LANES {
            return join_columns(columns, data);
        }
        let mut padded = [0.0; FEW * LANES];
        join_columns(columns, &mut padded);
        let len = self.lanes * columns.len();
        data[..len].copy_from_slice(&padded[..len]);
    }

    /// Number `j` of every row of a row-major slice.
    #[inline(always)]
    pub(super) fn get<T: Copy + Default>(self, from: &[T], width: usize, j: usize) -> [T; LANES] {
        // The common case is one move.
        if let (1, Some(whole)) = (width, from[self.first * width..].first_chunk::<LANES>()) {
            return *whole;
        }
        let mut column = [T::default(); LANES];
        let numbers = from[self.first * width + j..].iter().step_by(width);
        for (to, &x) in column[..self.lanes].iter_mut().zip(numbers) {
            *to = x;
        }
        column
    }

    /// Writes number `j` of every row of a row-major slice.
    #[inline(always)]
    pub(super) fn put<T: Copy>(self, column: [T; LANES], to: &mut [T], width: usize, j: usize) {
        if let (1, Some(whole)) = (width, to[self.first * width..].first_chunk_mut::<LANES>()) {
            *whole = column;
            return;
        }
        let numbers = to[self.first * width + j..].iter_mut().step_by(width);
        for (&x, to) in column[..self.lanes].iter().zip(numbers) {
            *to = x;
        }
    }

    /// This block's part of a slice with one element per row.
    #[inline(always)]
    pub(super) fn load<S: Simd>(self, s: S, from: &[f32]) -> S::V {
        s.load_front(&from[self.first..])
    }

    /// Writes this block's part of a slice with one element per row.
    #[inline(always)]
    pub(super) fn store<S: Simd>(self, s: S, v: S::V, to: &mut [f32]) {
        s.store_front(v, &mut to[self.first..]);
    }
}

/// With the width known when compiled, the moves become a few shuffles.
#[inline(always)]
fn split_rows<const N: usize>(data: &[f32], columns: [&mut Column; N]) {
    let Some(rows) = data.as_chunks::<N>().0.first_chunk::<LANES>() else { return };
    for (j, column) in columns.into_iter().enumerate() {
        *column = std::array::from_fn(|lane| rows[lane][j]);
    }
}

#[inline(always)]
fn join_columns(columns: &[Column], data: &mut [f32]) {
    match columns {
        [one] => join_rows([one], data),
        [a, b] => join_rows([a, b], data),
        [a, b, c] => join_rows([a, b, c], data),
        [a, b, c, d] => join_rows([a, b, c, d], data),
        _ => {}
    }
}

#[inline(always)]
fn join_rows<const N: usize>(columns: [&Column; N], data: &mut [f32]) {
    let Some(rows) = data.as_chunks_mut::<N>().0.first_chunk_mut::<LANES>() else { return };
    for (lane, row) in rows.iter_mut().enumerate() {
        *row = columns.map(|column| column[lane]);
    }
}

/// `expected == found`, or an error that says which argument it is about.
pub(super) fn expect(what: &str, expected: usize, found: usize) -> Result<(), NnError> {
    if expected == found { Ok(()) } else { Err(NnError::shape(what, expected, found)) }
}

/// The matrix has this many columns and rows.
pub(super) fn expect_mat(what: &str, rows: usize, cols: usize, m: Mat<'_>) -> Result<(), NnError> {
    if m.num_rows() == rows && m.num_cols() == cols {
        return Ok(());
    }
    Err(NnError::shape(what, format!("[{rows}, {cols}]"), format!("[{}, {}]", m.num_rows(), m.num_cols())))
}

/// What `evaluate` and `backward` read.
#[derive(Clone, Copy)]
pub(super) struct Query<'a, A> {
    pub(super) inputs: Mat<'a>,
    /// Row-major.
    pub(super) actions: &'a [A],
    pub(super) old_inputs: Option<Mat<'a>>,
}

impl<'a, A> Query<'a, A> {
    pub(super) fn new(
        num_inputs: usize,
        inputs: Mat<'a>,
        actions: &'a [A],
        old_inputs: Option<Mat<'a>>,
    ) -> Result<Self, NnError> {
        expect_mat("inputs", inputs.num_rows(), num_inputs, inputs)?;
        if let Some(old) = old_inputs {
            expect_mat("old_inputs", inputs.num_rows(), num_inputs, old)?;
        }
        Ok(Self { inputs, actions, old_inputs })
    }

    pub(super) fn num_rows(&self) -> usize {
        self.inputs.num_rows()
    }
}

impl<'a> ActionsRef<'a> {
    /// The elements, if they are integers and fit.
    pub(super) fn discrete(self, rows: usize, width: usize) -> Result<&'a [i64], NnError> {
        match self {
            Self::Discrete { data, width: found } => {
                expect("width of actions", width, found)?;
                expect("actions", rows * width, data.len())?;
                Ok(data)
            }
            Self::Continuous { .. } => Err(NnError::shape("actions", "Discrete", "Continuous")),
        }
    }

    /// The elements, if they are real numbers and fit.
    pub(super) fn continuous(self, rows: usize, width: usize) -> Result<&'a [f32], NnError> {
        match self {
            Self::Continuous { data, width: found } => {
                expect("width of actions", width, found)?;
                expect("actions", rows * width, data.len())?;
                Ok(data)
            }
            Self::Discrete { .. } => Err(NnError::shape("actions", "Continuous", "Discrete")),
        }
    }
}

impl<'a> ActionsMut<'a> {
    /// The elements, if they are integers and fit.
    pub(super) fn discrete(self, rows: usize, width: usize) -> Result<&'a mut [i64], NnError> {
        match self {
            Self::Discrete { data, width: found } => {
                expect("width of actions", width, found)?;
                expect("actions", rows * width, data.len())?;
                Ok(data)
            }
            Self::Continuous { .. } => Err(NnError::shape("actions", "Discrete", "Continuous")),
        }
    }

    /// The elements, if they are real numbers and fit.
    pub(super) fn continuous(self, rows: usize, width: usize) -> Result<&'a mut [f32], NnError> {
        match self {
            Self::Continuous { data, width: found } => {
                expect("width of actions", width, found)?;
                expect("actions", rows * width, data.len())?;
                Ok(data)
            }
            Self::Discrete { .. } => Err(NnError::shape("actions", "Continuous", "Discrete")),
        }
    }
}

impl Evaluated<'_> {
    pub(super) fn check(&self, rows: usize) -> Result<(), NnError> {
        expect("logp", rows, self.logp.len())?;
        expect("entropy", rows, self.entropy.len())?;
        expect("kl", rows, self.kl.len())
    }
}

impl EvaluatedGrad<'_> {
    pub(super) fn check(&self, query: &Query<'_, impl Copy>, d_inputs: &MatMut<'_>) -> Result<(), NnError> {
        let rows = query.num_rows();
        expect("d_logp", rows, self.logp.len())?;
        expect("d_entropy", rows, self.entropy.len())?;
        if query.old_inputs.is_some() {
            expect("d_kl", rows, self.kl.len())?;
        }
        let (expected, found) = ((rows, query.inputs.num_cols()), (d_inputs.num_rows(), d_inputs.num_cols()));
        if expected == found {
            return Ok(());
        }
        Err(NnError::shape("d_inputs", format!("{expected:?}"), format!("{found:?}")))
    }
}
