//! The trait of a loss: plain Rust, in closed form, with its gradient with respect to the module's outputs.

use std::ops::Range;

use skirl_nn::Tape;

use super::Batch;
use crate::contract::Policy;
use crate::error::Error;

/// What a loss sees of the update around it.
#[derive(Debug, Clone, Copy)]
pub struct LossContext<'a> {
    /// The policy being trained (its distribution; the weights are in the tape's outputs already).
    pub policy: &'a Policy,
    /// All rows of the epoch.
    pub batch: &'a Batch,
    /// 1 / rows of the minibatch: every mean is over the minibatch, of which the chunk is a part.
    pub inverse_rows: f32,
}

/// A loss over chunks of rows.
pub trait Loss: Sync {
    /// Buffers of one thread.
    type Scratch: Send;

    /// Buffers for chunks of up to `max_rows` rows.
    fn scratch(&self, policy: &Policy, max_rows: usize) -> Self::Scratch;

    /// Names of the statistics, in the order of `stats`; sums over rows, divided by the rows at the end.
    fn stats(&self) -> &'static [&'static str];

    /// The loss itself from the means of its statistics, for reports.
    fn total(&self, means: &[f64]) -> f64;

    /// Reads the outputs of `rows` in `tape`, writes the gradient of the mean loss with respect to each output into it, and adds this chunk's sums to `stats`.
    fn evaluate(
        &self,
        context: LossContext<'_>,
        rows: Range<usize>,
        tape: &mut Tape,
        scratch: &mut Self::Scratch,
        stats: &mut [f64],
    ) -> Result<(), Error>;

    /// The loss as one term for each output, if no term needs two of them.
    fn separate(&self) -> Option<&dyn SeparateLoss<Scratch = Self::Scratch>> {
        None
    }
}

/// A loss that is a sum of terms of one output each, so that several threads can take an output each.
pub trait SeparateLoss: Loss {
    /// [`Loss::evaluate`] for one output: the other outputs in `tape` are not filled, their gradients and statistics are left
    /// alone. Evaluating all outputs one by one gives the same bytes.
    fn evaluate_output(
        &self,
        output: usize,
        context: LossContext<'_>,
        rows: Range<usize>,
        tape: &mut Tape,
        scratch: &mut Self::Scratch,
        stats: &mut [f64],
    ) -> Result<(), Error>;
}
