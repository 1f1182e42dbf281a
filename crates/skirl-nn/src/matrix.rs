//! Row-major views.

/// A read-only row-major view.
#[derive(Debug, Clone, Copy)]
pub struct Mat<'a> {
    data: &'a [f32],
    rows: usize,
    cols: usize,
    stride: usize,
}
/// A mutable row-major view.
#[derive(Debug)]
pub struct MatMut<'a> {
    data: &'a mut [f32],
    rows: usize,
    cols: usize,
    stride: usize,
}
impl<'a> Mat<'a> {
    /// Dense.
    pub fn new(data: &'a [f32], rows: usize, cols: usize) -> Self {
        Self { data: &data[..rows * cols], rows, cols, stride: cols }
    }
    /// Rows.
    pub fn num_rows(&self) -> usize {
        self.rows
    }
    /// Columns.
    pub fn num_cols(&self) -> usize {
        self.cols
    }
    /// Row.
    pub fn row(&self, i: usize) -> &'a [f32] {
        &self.data[i * self.stride..][..self.cols]
    }
}
impl<'a> MatMut<'a> {
    /// Dense.
    pub fn new(data: &'a mut [f32], rows: usize, cols: usize) -> Self {
        Self { data: &mut data[..rows * cols], rows, cols, stride: cols }
    }
    /// Rows.
    pub fn num_rows(&self) -> usize {
        self.rows
    }
    /// Columns.
    pub fn num_cols(&self) -> usize {
        self.cols
    }
    /// Row.
    pub fn row_mut(&mut self, i: usize) -> &mut [f32] {
        &mut self.data[i * self.stride..][..self.cols]
    }
}
