//! The contract of a module: a function with a reverse.

use std::fmt::Debug;
use std::ops::Range;

use crate::NnError;
use crate::matrix::Mat;
use crate::params::ParamStore;
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
    /// `grads` are in the flat layout of the parameters ([`Grads`](crate::Grads)).
    /// Errors if the tape is empty, the parameters were not refreshed, or `grads` has another length.
    fn backward(&self, tape: &mut Tape, grads: Option<&mut [f32]>, d_inputs: bool) -> Result<(), NnError>;
    /// The module seen as one function for each output, if its outputs share nothing.
    fn separate_outputs(&self) -> Option<&dyn SeparateOutputs> {
        None
    }
    /// The same, to change the parameters of each output by itself.
    fn separate_outputs_mut(&mut self) -> Option<&mut dyn SeparateOutputs> {
        None
    }
    /// A copy of its own.
    fn boxed_clone(&self) -> Box<dyn Module>;
}

/// Rebuilds what is derived from the parameters that it is given.
pub type Refresh<'a> = Box<dyn FnOnce(&[f32]) + Send + 'a>;

/// The parameters of one output on their way to new values.
pub struct OutputUpdate<'a> {
    /// The parameters, in the flat layout.
    pub params: &'a mut [f32],
    /// Rebuilds what is derived from them; takes the new parameters.
    pub refresh: Refresh<'a>,
}

impl Debug for OutputUpdate<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OutputUpdate").field("params", &self.params.len()).finish_non_exhaustive()
    }
}

/// A module whose outputs share neither parameters nor intermediate values: each is computed and reversed alone, with the
/// same bytes as by [`Module::forward`] and [`Module::backward`].
///
/// Threads that learn together then take an output each, and neither weights nor gradients travel between their caches.
pub trait SeparateOutputs: Module {
    /// The parameters of output `output` in the flat array. The ranges of all outputs are disjoint, in order, and cover it.
    fn output_params(&self, output: usize) -> Range<usize>;
    /// The parameters of every output, to be changed and then refreshed, on several threads if need be. The module may be
    /// used again when every [`OutputUpdate::refresh`] has run.
    fn update_outputs(&mut self) -> Vec<OutputUpdate<'_>>;
    /// Computes output `output` into `tape`, and leaves the other outputs alone. Errors as [`Module::forward`].
    fn forward_output(&self, output: usize, inputs: &[Mat<'_>], tape: &mut Tape) -> Result<(), NnError>;
    /// The reverse of output `output`: **adds** the gradients of its parameters to `grads`, as long as
    /// [`output_params`](Self::output_params). Errors as [`Module::backward`].
    fn backward_output(&self, output: usize, tape: &mut Tape, grads: &mut [f32]) -> Result<(), NnError>;
}

impl Clone for Box<dyn Module> {
    fn clone(&self) -> Self {
        self.boxed_clone()
    }
}
