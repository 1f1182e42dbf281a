//! What one forward call leaves for its reverse.

use crate::NnError;
use crate::matrix::{Block, Mat, MatMut};
use crate::modules::StackTape;

/// Sizes of a [`Tape`].
#[derive(Debug, Clone, Default)]
pub struct TapeSpec {
    /// Most rows of a call.
    pub max_rows: usize,
    /// Columns of every input.
    pub input_widths: Vec<usize>,
    /// Columns of every output.
    pub output_widths: Vec<usize>,
    /// Columns of the state; 0 for a stateless module.
    pub state_width: usize,
    /// Whether the rows of the inputs are padded with zeros to whole vectors, for kernels that read them so.
    pub padded_inputs: bool,
    /// Columns of every private matrix of the module.
    pub scratch_widths: Vec<usize>,
}

/// The memory of one call of a module: inputs, outputs, private intermediates, and the gradients of all of them.
///
/// It is allocated once, for at most `max_rows` rows, and belongs to one call: a module that is called several times
/// before its reverse needs as many tapes. Inputs are copied into it, so the caller's need not outlive the call.
/// Gradients of outputs are whatever was last written; [`Tape::zero_d_outputs`] clears them.
#[derive(Debug, Clone)]
pub struct Tape {
    rows: usize,
    filled: bool,
    max_rows: usize,
    input_widths: Vec<usize>,
    inputs: Block,
    d_inputs: Block,
    outputs: Vec<Block>,
    d_outputs: Vec<Block>,
    state_in: Block,
    state_out: Block,
    d_state_in: Block,
    d_state_out: Block,
    scratch: Vec<Block>,
    pub(crate) stacks: Vec<StackTape>,
}

/// All matrices of a tape at once, for authors of modules.
#[derive(Debug)]
pub struct TapeParts<'t> {
    /// Rows of this call.
    pub rows: usize,
    /// The inputs, side by side.
    pub inputs: &'t Block,
    /// Gradients of the inputs, side by side.
    pub d_inputs: &'t mut Block,
    /// Outputs.
    pub outputs: &'t mut [Block],
    /// Gradients of the outputs, from the caller.
    pub d_outputs: &'t [Block],
    /// State before the call.
    pub state_in: &'t Block,
    /// State after the call.
    pub state_out: &'t mut Block,
    /// Gradient of the state before the call.
    pub d_state_in: &'t mut Block,
    /// Gradient of the state after the call, from the caller.
    pub d_state_out: &'t Block,
    /// Private matrices.
    pub scratch: &'t mut [Block],
    pub(crate) stacks: &'t mut [StackTape],
}

impl Tape {
    /// Allocates the memory.
    pub fn new(spec: &TapeSpec) -> Self {
        let block = |cols: usize| Block::zeros(spec.max_rows, cols);
        let blocks = |widths: &[usize]| widths.iter().map(|&w| block(w)).collect::<Vec<_>>();
        let outputs =
            || spec.output_widths.iter().map(|&w| Block::of_outputs(spec.max_rows, w)).collect::<Vec<_>>();
        let input_width = spec.input_widths.iter().sum();
        Self {
            rows: 0,
            filled: false,
            max_rows: spec.max_rows,
            input_widths: spec.input_widths.clone(),
            inputs: if spec.padded_inputs {
                block(input_width)
            } else {
                Block::compact(spec.max_rows, input_width)
            },
            d_inputs: block(input_width),
            outputs: outputs(),
            d_outputs: outputs(),
            state_in: block(spec.state_width),
            state_out: block(spec.state_width),
            d_state_in: block(spec.state_width),
            d_state_out: block(spec.state_width),
            scratch: blocks(&spec.scratch_widths),
            stacks: Vec::new(),
        }
    }

    /// Rows of the last forward call.
    pub fn rows(&self) -> usize {
        self.rows
    }
    /// Most rows of a call.
    pub fn max_rows(&self) -> usize {
        self.max_rows
    }
    /// Output `i`, `[rows, output_widths[i]]`.
    #[inline]
    pub fn output(&self, i: usize) -> Mat<'_> {
        self.outputs[i].mat(self.rows)
    }
    /// Where the caller writes the gradient of output `i`, `[rows, output_widths[i]]`.
    #[inline]
    pub fn d_output_mut(&mut self, i: usize) -> MatMut<'_> {
        self.d_outputs[i].mat_mut(self.rows)
    }
    /// Output `i` and where to write its gradient, together.
    #[inline]
    pub fn output_and_gradient(&mut self, i: usize) -> (Mat<'_>, MatMut<'_>) {
        (self.outputs[i].mat(self.rows), self.d_outputs[i].mat_mut(self.rows))
    }
    /// Output `i`, one number per row, and where to write its gradient.
    ///
    /// # Errors
    /// [`NnError::Shape`] if it has more columns than one.
    #[inline]
    pub fn column_and_gradient(&mut self, i: usize) -> Result<(&[f32], &mut [f32]), NnError> {
        let (output, gradient) = (&self.outputs[i], &mut self.d_outputs[i]);
        match output.num_cols() {
            1 => Ok((output.numbers(self.rows), gradient.numbers_mut(self.rows))),
            cols => Err(NnError::shape("columns of an output", 1, cols)),
        }
    }
    /// All outputs and all their gradients, to be viewed with [`Block::mat`] and [`Block::mat_mut`] at
    /// [`rows`](Self::rows) rows.
    #[inline]
    pub fn outputs_and_gradients(&mut self) -> (&[Block], &mut [Block]) {
        (&self.outputs, &mut self.d_outputs)
    }
    /// Sets the gradients of all outputs and of the state to zero.
    pub fn zero_d_outputs(&mut self) {
        for block in self.d_outputs.iter_mut().chain([&mut self.d_state_out]) {
            block.mat_mut(self.rows).fill(0.0);
        }
    }
    /// Gradient of input `i`, filled by a `backward` that was asked for it.
    #[inline]
    pub fn d_input(&self, i: usize) -> Mat<'_> {
        let start: usize = self.input_widths[..i].iter().sum();
        self.d_inputs.mat(self.rows).cols(start..start + self.input_widths[i])
    }
    /// The state after the call, `[rows, state_width]`.
    pub fn state(&self) -> Mat<'_> {
        self.state_out.mat(self.rows)
    }
    /// Where the caller writes the gradient of the state after the call.
    pub fn d_state_mut(&mut self) -> MatMut<'_> {
        self.d_state_out.mat_mut(self.rows)
    }
    /// Gradient of the state before the call, filled by `backward`.
    pub fn d_input_state(&self) -> Mat<'_> {
        self.d_state_in.mat(self.rows)
    }

    /// Starts a forward call: checks the inputs and the state, and copies them. For authors of modules.
    pub fn begin(&mut self, inputs: &[Mat<'_>], state: Option<Mat<'_>>) -> Result<(), NnError> {
        self.filled = false;
        let rows = self.check_inputs(inputs)?;
        self.check_state(rows, state)?;
        self.rows = rows;
        let mut start = 0;
        for (input, &width) in inputs.iter().zip(&self.input_widths) {
            self.inputs.mat_mut(rows).cols(start..start + width).copy_from(*input);
            start += width;
        }
        if let Some(state) = state {
            self.state_in.mat_mut(rows).copy_from(state);
        }
        self.filled = true;
        Ok(())
    }

    fn check_inputs(&self, inputs: &[Mat<'_>]) -> Result<usize, NnError> {
        if inputs.len() != self.input_widths.len() {
            return Err(NnError::shape("number of inputs", self.input_widths.len(), inputs.len()));
        }
        let rows = inputs.first().map_or(0, Mat::num_rows);
        if rows > self.max_rows {
            return Err(NnError::shape("rows of a call", format!("at most {}", self.max_rows), rows));
        }
        for (i, (input, &width)) in inputs.iter().zip(&self.input_widths).enumerate() {
            if (input.num_rows(), input.num_cols()) != (rows, width) {
                return Err(shape_error(&format!("input {i}"), (rows, width), input));
            }
        }
        Ok(rows)
    }

    fn check_state(&self, rows: usize, state: Option<Mat<'_>>) -> Result<(), NnError> {
        let width = self.state_in.num_cols();
        match state {
            Some(s) if (s.num_rows(), s.num_cols()) != (rows, width) => {
                Err(shape_error("state", (rows, width), &s))
            }
            None if width > 0 => Err(NnError::shape("state", format!("[{rows}, {width}]"), "none")),
            _ => Ok(()),
        }
    }

    /// Starts a backward call: an error unless a forward call has filled the tape. For authors of modules.
    pub fn begin_backward(&self) -> Result<(), NnError> {
        if self.filled { Ok(()) } else { Err(NnError::EmptyTape) }
    }

    /// All matrices at once. For authors of modules.
    pub fn parts(&mut self) -> TapeParts<'_> {
        TapeParts {
            rows: self.rows,
            inputs: &self.inputs,
            d_inputs: &mut self.d_inputs,
            outputs: &mut self.outputs,
            d_outputs: &self.d_outputs,
            state_in: &self.state_in,
            state_out: &mut self.state_out,
            d_state_in: &mut self.d_state_in,
            d_state_out: &self.d_state_out,
            scratch: &mut self.scratch,
            stacks: &mut self.stacks,
        }
    }
}

fn shape_error(what: &str, expected: (usize, usize), found: &Mat<'_>) -> NnError {
    let (rows, cols) = expected;
    NnError::shape(what, format!("[{rows}, {cols}]"), format!("[{}, {}]", found.num_rows(), found.num_cols()))
}
