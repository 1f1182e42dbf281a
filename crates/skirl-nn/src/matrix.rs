//! Row-major matrices over borrowed memory, and the aligned memory they live in.

use std::ops::{Deref, DerefMut, Range};

use crate::kernels::linear::NARROW;
use crate::simd::LANES;

/// Smallest multiple of the vector width that holds `n`.
pub(crate) const fn padded(n: usize) -> usize {
    n.div_ceil(LANES) * LANES
}

/// A fixed-length `f32` array that starts on a 64-byte boundary, so that no vector straddles two cache lines.
#[derive(Debug, Default)]
pub struct AlignedVec {
    // The memory is allocated a little longer than asked for, and used from its first aligned element.
    memory: Vec<f32>,
    start: usize,
    len: usize,
}

impl AlignedVec {
    /// `len` zeros.
    pub fn zeros(len: usize) -> Self {
        let slack = LANES - 1;
        let memory = vec![0.0; len + slack];
        // `align_offset` may decline to answer (it does so under Miri); alignment is for speed only.
        let start = memory.as_ptr().align_offset(64).min(slack);
        Self { memory, start, len }
    }

    /// A copy of `values`.
    pub fn from_slice(values: &[f32]) -> Self {
        let mut new = Self::zeros(values.len());
        new.copy_from_slice(values);
        new
    }
}

impl Deref for AlignedVec {
    type Target = [f32];
    #[inline]
    fn deref(&self) -> &[f32] {
        &self.memory[self.start..self.start + self.len]
    }
}

impl DerefMut for AlignedVec {
    #[inline]
    fn deref_mut(&mut self) -> &mut [f32] {
        &mut self.memory[self.start..self.start + self.len]
    }
}

impl Clone for AlignedVec {
    fn clone(&self) -> Self {
        Self::from_slice(self)
    }
}

impl PartialEq for AlignedVec {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

/// A read-only row-major matrix: row `i` starts at `i * stride`.
#[derive(Debug, Clone, Copy)]
pub struct Mat<'a> {
    data: &'a [f32],
    rows: usize,
    cols: usize,
    stride: usize,
}

/// Elements that a matrix needs; saturates, so that an absurd size fails the bounds check instead of wrapping past it.
const fn span(rows: usize, cols: usize, stride: usize) -> usize {
    if rows == 0 { 0 } else { (rows - 1).saturating_mul(stride).saturating_add(cols) }
}

impl<'a> Mat<'a> {
    /// Rows without gaps between them.
    ///
    /// # Panics
    /// If `data` is shorter than `rows * cols`, as slicing does.
    #[inline]
    pub fn new(data: &'a [f32], rows: usize, cols: usize) -> Self {
        Self::with_stride(data, rows, cols, cols)
    }

    /// Rows that start `stride` elements apart.
    ///
    /// # Panics
    /// If `stride < cols`, or if `data` ends before the last element, as slicing does.
    #[inline]
    pub fn with_stride(data: &'a [f32], rows: usize, cols: usize, stride: usize) -> Self {
        assert!(cols <= stride || rows <= 1, "rows overlap: {cols} columns, stride {stride}");
        let _bounds = &data[..span(rows, cols, stride)];
        Self { data, rows, cols, stride }
    }

    /// Number of rows.
    #[inline]
    pub fn num_rows(&self) -> usize {
        self.rows
    }
    /// Number of columns.
    #[inline]
    pub fn num_cols(&self) -> usize {
        self.cols
    }
    /// Elements from the start of one row to the start of the next.
    #[inline]
    pub fn stride(&self) -> usize {
        self.stride
    }
    /// Everything from the first element on, gaps included.
    #[inline]
    pub fn data(&self) -> &'a [f32] {
        self.data
    }
    /// Row `i`.
    #[inline]
    pub fn row(&self, i: usize) -> &'a [f32] {
        self.wide_row(i, self.cols)
    }
    /// The first `width` elements from the start of row `i` on; may reach into the gap behind the row, and beyond.
    #[inline]
    pub(crate) fn wide_row(&self, i: usize, width: usize) -> &'a [f32] {
        debug_assert!(i < self.rows);
        &self.data[i * self.stride..][..width]
    }
    /// Some of the rows.
    #[inline]
    pub fn rows(&self, range: Range<usize>) -> Self {
        let rows = self.rows.min(range.end).saturating_sub(range.start);
        let data = &self.data[range.start.saturating_mul(self.stride).min(self.data.len())..];
        Self { data, rows, ..*self }
    }
    /// Some of the columns.
    #[inline]
    pub fn cols(&self, range: Range<usize>) -> Self {
        let cols = self.cols.min(range.end).saturating_sub(range.start);
        let data = &self.data[range.start.min(self.data.len())..];
        Self { data, cols, ..*self }
    }
    /// Whether every row has `width` elements of its own, gaps counted.
    #[inline]
    pub(crate) fn has_width(&self, width: usize) -> bool {
        (self.rows <= 1 || width <= self.stride) && span(self.rows, width, self.stride) <= self.data.len()
    }
}

/// A mutable row-major matrix: row `i` starts at `i * stride`.
#[derive(Debug)]
pub struct MatMut<'a> {
    data: &'a mut [f32],
    rows: usize,
    cols: usize,
    stride: usize,
}

impl<'a> MatMut<'a> {
    /// Rows without gaps between them.
    ///
    /// # Panics
    /// If `data` is shorter than `rows * cols`, as slicing does.
    #[inline]
    pub fn new(data: &'a mut [f32], rows: usize, cols: usize) -> Self {
        Self::with_stride(data, rows, cols, cols)
    }

    /// Rows that start `stride` elements apart.
    ///
    /// # Panics
    /// If `stride < cols`, or if `data` ends before the last element, as slicing does.
    #[inline]
    pub fn with_stride(data: &'a mut [f32], rows: usize, cols: usize, stride: usize) -> Self {
        let Mat { rows, cols, stride, .. } = Mat::with_stride(data, rows, cols, stride);
        Self { data, rows, cols, stride }
    }

    /// Number of rows.
    #[inline]
    pub fn num_rows(&self) -> usize {
        self.rows
    }
    /// Number of columns.
    #[inline]
    pub fn num_cols(&self) -> usize {
        self.cols
    }
    /// Elements from the start of one row to the start of the next.
    #[inline]
    pub fn stride(&self) -> usize {
        self.stride
    }
    /// Everything from the first element on, gaps included.
    #[inline]
    pub fn data_mut(&mut self) -> &mut [f32] {
        self.data
    }
    /// Row `i`.
    #[inline]
    pub fn row(&self, i: usize) -> &[f32] {
        self.as_ref().row(i)
    }
    /// Row `i`.
    #[inline]
    pub fn row_mut(&mut self, i: usize) -> &mut [f32] {
        let cols = self.cols;
        self.wide_row_mut(i, cols)
    }
    #[inline]
    pub(crate) fn wide_row_mut(&mut self, i: usize, width: usize) -> &mut [f32] {
        debug_assert!(i < self.rows);
        &mut self.data[i * self.stride..][..width]
    }
    /// A read-only view.
    #[inline]
    pub fn as_ref(&self) -> Mat<'_> {
        Mat { data: self.data, rows: self.rows, cols: self.cols, stride: self.stride }
    }
    /// A shorter-lived view of the same memory.
    #[inline]
    pub fn reborrow(&mut self) -> MatMut<'_> {
        MatMut { data: self.data, rows: self.rows, cols: self.cols, stride: self.stride }
    }
    /// Some of the rows.
    #[inline]
    pub fn rows(self, range: Range<usize>) -> Self {
        let rows = self.rows.min(range.end).saturating_sub(range.start);
        let start = range.start.saturating_mul(self.stride).min(self.data.len());
        Self { data: &mut self.data[start..], rows, ..self }
    }
    /// Some of the columns.
    #[inline]
    pub fn cols(self, range: Range<usize>) -> Self {
        let cols = self.cols.min(range.end).saturating_sub(range.start);
        let start = range.start.min(self.data.len());
        Self { data: &mut self.data[start..], cols, ..self }
    }
    /// Sets every element to `value`; gaps are left alone.
    pub fn fill(&mut self, value: f32) {
        for i in 0..self.rows {
            self.row_mut(i).fill(value);
        }
    }
    /// Sets every element of column `j` to `value`.
    pub fn fill_column(&mut self, j: usize, value: f32) {
        for i in 0..self.rows {
            self.data[i * self.stride + j] = value;
        }
    }
    /// Copies the elements of a matrix of the same shape; gaps are left alone.
    ///
    /// # Panics
    /// If the shapes differ, as `copy_from_slice` does.
    pub fn copy_from(&mut self, from: Mat<'_>) {
        assert_eq!((self.rows, self.cols), (from.rows, from.cols), "shapes of a matrix copy");
        let whole = span(self.rows, self.cols, self.stride);
        if self.cols == self.stride && self.stride == from.stride {
            self.data[..whole].copy_from_slice(&from.data[..whole]);
            return;
        }
        match self.cols {
            1 => self.copy_narrow::<1>(from),
            2 => self.copy_narrow::<2>(from),
            3 => self.copy_narrow::<3>(from),
            4 => self.copy_narrow::<4>(from),
            _ => (0..self.rows).for_each(|i| self.row_mut(i).copy_from_slice(from.row(i))),
        }
    }

    /// With the width known when compiled: a row is a move or two, not a call.
    fn copy_narrow<const COLS: usize>(&mut self, from: Mat<'_>) {
        for i in 0..self.rows {
            let (to, from) = (&mut self.data[i * self.stride..], &from.data[i * from.stride..]);
            if let (Some(to), Some(from)) = (to.first_chunk_mut::<COLS>(), from.first_chunk::<COLS>()) {
                *to = *from;
            }
        }
    }
}

/// A matrix that owns its memory. Rows are padded to whole vectors with zeros, but for inputs and outputs of modules
/// that no kernel reads in whole vectors.
#[derive(Debug, Clone, Default)]
pub struct Block {
    data: AlignedVec,
    max_rows: usize,
    cols: usize,
    stride: usize,
}

impl Block {
    /// Zeros, for up to `max_rows` rows of `cols` columns.
    pub fn zeros(max_rows: usize, cols: usize) -> Self {
        let stride = match padded(cols) {
            // Rows a multiple of 512 bytes apart would compete for the same few cache sets.
            wide if wide > 0 && wide % 128 == 0 => wide + LANES,
            other => other,
        };
        Self { data: AlignedVec::zeros(max_rows * stride), max_rows, cols, stride }
    }

    /// Zeros without padding: for matrices that are only read element by element.
    pub(crate) fn compact(max_rows: usize, cols: usize) -> Self {
        Self { data: AlignedVec::zeros(max_rows * cols), max_rows, cols, stride: cols }
    }

    /// Zeros, for the outputs of a module: those of a narrow layer are read number by number and need no padding.
    pub(crate) fn of_outputs(max_rows: usize, cols: usize) -> Self {
        if cols <= NARROW { Self::compact(max_rows, cols) } else { Self::zeros(max_rows, cols) }
    }

    /// Number of rows it can hold.
    pub fn max_rows(&self) -> usize {
        self.max_rows
    }
    /// Number of columns.
    pub fn num_cols(&self) -> usize {
        self.cols
    }
    /// The first `rows` rows.
    #[inline]
    pub fn mat(&self, rows: usize) -> Mat<'_> {
        Mat::with_stride(&self.data, rows, self.cols, self.stride)
    }
    /// The first `rows` rows. Gaps behind the rows must stay zero.
    #[inline]
    pub fn mat_mut(&mut self, rows: usize) -> MatMut<'_> {
        MatMut::with_stride(&mut self.data, rows, self.cols, self.stride)
    }
    /// The first `rows` rows of a block without gaps, one after the other.
    #[inline]
    pub(crate) fn numbers(&self, rows: usize) -> &[f32] {
        debug_assert_eq!(self.stride, self.cols);
        &self.data[..rows * self.cols]
    }
    /// The first `rows` rows of a block without gaps, one after the other.
    #[inline]
    pub(crate) fn numbers_mut(&mut self, rows: usize) -> &mut [f32] {
        debug_assert_eq!(self.stride, self.cols);
        &mut self.data[..rows * self.cols]
    }
    /// Copies rows of the same width, gaps included where both have the same layout.
    #[inline]
    pub(crate) fn copy_rows(&mut self, from: &Block, range: Range<usize>) {
        let rows = range.len();
        if self.stride == from.stride && self.cols == from.cols {
            let source = &from.data[range.start * from.stride..][..rows * from.stride];
            self.data[..rows * self.stride].copy_from_slice(source);
        } else {
            let cols = self.cols;
            self.mat_mut(rows).copy_from(from.mat(range.end).rows(range).cols(0..cols));
        }
    }
}
