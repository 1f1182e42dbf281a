//! What a policy's network gives for a block of observations.

use std::ops::Range;

use skirl_nn::Mat;

/// Outputs of one forward, or of some rows of it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Outputs<'a> {
    /// Inputs of the action distribution, `[rows, num_inputs]`.
    pub(super) dist_inputs: Mat<'a>,
    /// Values, `[rows, 1]`, where they come with the rest.
    pub(super) values: Option<Mat<'a>>,
}

impl Outputs<'_> {
    pub(super) fn rows(self, rows: Range<usize>) -> Self {
        Self {
            dist_inputs: self.dist_inputs.rows(rows.clone()),
            values: self.values.map(|values| values.rows(rows)),
        }
    }
}
