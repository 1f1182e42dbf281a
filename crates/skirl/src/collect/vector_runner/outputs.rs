//! What a policy's network gives for a block of observations.

use std::ops::Range;

use skirl_nn::{Mat, Tape};

use crate::contract::policy::{DIST_INPUTS, Policy, VALUE};

/// Outputs of one forward, or of some rows of it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Outputs<'a> {
    /// Inputs of the action distribution, `[rows, num_inputs]`.
    pub(super) dist_inputs: Mat<'a>,
    /// Values, `[rows, 1]`, where the policy has some.
    pub(super) values: Option<Mat<'a>>,
}

impl<'a> Outputs<'a> {
    /// Of the forward that is on `tape`.
    pub(super) fn of(policy: &Policy, tape: &'a Tape) -> Self {
        Self { dist_inputs: tape.output(DIST_INPUTS), values: policy.has_value().then(|| tape.output(VALUE)) }
    }

    pub(super) fn rows(self, rows: Range<usize>) -> Self {
        Self {
            dist_inputs: self.dist_inputs.rows(rows.clone()),
            values: self.values.map(|values| values.rows(rows)),
        }
    }
}
