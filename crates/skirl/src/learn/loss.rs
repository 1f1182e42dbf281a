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

    /// Whether every term needs one output only. Then threads may be given an output each; evaluating the outputs one by
    /// one must give the bytes of evaluating them together.
    fn is_separate(&self) -> bool {
        false
    }

    /// Reads these outputs of `rows` in `tape`, writes the gradient of the mean loss with respect to each of them into it, and
    /// adds this chunk's sums to `stats`. The outputs are all of them, or a single one if the loss
    /// [is separate](Self::is_separate): the others are not filled then, and their gradients and sums are left alone.
    fn evaluate(
        &self,
        outputs: Range<usize>,
        context: LossContext<'_>,
        rows: Range<usize>,
        tape: &mut Tape,
        scratch: &mut Self::Scratch,
        stats: &mut [f64],
    ) -> Result<(), Error>;
}
