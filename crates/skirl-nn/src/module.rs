//! The contract of a module: a function with a reverse.

use std::fmt::Debug;

use crate::NnError;
use crate::matrix::Mat;
use crate::params::{Grads, ParamStore};
use crate::tape::Tape;

/// A function of some inputs, an optional state and parameters, with a reverse.
///
/// Everything that belongs to a call is in its [`Tape`], so one module may be called many times before any reverse, and
/// by many threads. Gradients are the caller's; without them `backward` differentiates through a frozen module.
///
/// # Order of operations
/// - `forward(batch)` row `i` equals `forward(row i)` bit for bit, whatever the batch.
/// - Parameter gradients are summed over the rows of consecutive chunks of [`CHUNK`](crate::CHUNK) rows, starting from
///   zero, and every chunk's sum is then added to the buffer. Chunk gradients that were computed apart and are added in
///   order therefore give the same bytes as one call.
pub trait Module: Debug + Send + Sync {
    /// The parameters.
    fn params(&self) -> &ParamStore;
    /// The parameters, to be changed; call [`refresh`](Self::refresh) afterwards.
    fn params_mut(&mut self) -> &mut ParamStore;
    /// Rebuilds what is derived from the parameters (transposed copies for `backward`).
    fn refresh(&mut self);
    /// Columns of every input.
    fn input_widths(&self) -> &[usize];
    /// Columns of every output.
    fn output_widths(&self) -> &[usize];
    /// Columns of the state; 0 for a stateless module.
    fn state_width(&self) -> usize {
        0
    }
    /// Memory for calls of up to `max_rows` rows.
    fn tape(&self, max_rows: usize) -> Tape;
    /// Computes outputs and new state into `tape`. Inputs are `[rows, width]`; `state` is `None` for a stateless
    /// module. Errors on wrong shapes or too many rows; nothing is allocated otherwise.
    fn forward(&self, inputs: &[Mat<'_>], state: Option<Mat<'_>>, tape: &mut Tape) -> Result<(), NnError>;
    /// The reverse of the call recorded on `tape`: reads the gradients of its outputs and state, **adds** parameter
    /// gradients into `grads` if given, fills the gradients of the inputs if `d_inputs`, and that of the prior state.
    /// Errors if the tape is empty, the parameters were not refreshed, or `grads` has another layout.
    fn backward(&self, tape: &mut Tape, grads: Option<&mut Grads>, d_inputs: bool) -> Result<(), NnError>;
    /// A copy of its own.
    fn boxed_clone(&self) -> Box<dyn Module>;
}

impl Clone for Box<dyn Module> {
    fn clone(&self) -> Self {
        self.boxed_clone()
    }
}
