//! A multi-layer perceptron.

use super::chunks;
use super::stack::{GradPart, Reverse, Stack, StackSpec, Transposed};
use crate::kernels::activation::Activation;
use crate::matrix::Mat;
use crate::params::{ParamLayout, ParamStore};
use crate::tape::{Tape, TapeSpec};
use crate::{Module, NnError};

/// What an [`Mlp`] is built from.
#[derive(Debug, Clone)]
pub struct MlpSpec {
    /// Prefix of the parameter names: `{name}.0.weight`, `{name}.0.bias`, …
    pub name: String,
    /// Columns of every input; several inputs are put side by side (observation and action of a critic).
    pub input_widths: Vec<usize>,
    /// Units of every hidden layer; may be empty.
    pub hidden: Vec<usize>,
    /// Columns of the output, of a linear layer.
    pub output_width: usize,
    /// Nonlinearity of the hidden layers.
    pub activation: Activation,
    /// Whether layer normalisation stands before every activation.
    pub layer_norm: bool,
}

impl Default for MlpSpec {
    /// One input and one output column, two hidden layers of 64 tanh units, named `net`.
    fn default() -> Self {
        Self {
            name: "net".to_owned(),
            input_widths: vec![1],
            hidden: vec![64, 64],
            output_width: 1,
            activation: Activation::Tanh,
            layer_norm: false,
        }
    }
}

/// Dense layers with a nonlinearity between them, the last one linear.
///
/// One output, `[rows, output_width]`. Parameters `{name}.{i}.weight` `[out, in]` and `{name}.{i}.bias` `[out]`, and with
/// layer normalisation `{name}.{i}.norm.weight` and `.norm.bias`. All start at zero but the normalisation gains, which
/// start at one: initialise with [`ParamStore::init_tensors`], then [`refresh`](Module::refresh).
#[derive(Debug, Clone)]
pub struct Mlp {
    params: ParamStore,
    stack: Stack,
    transposed: Transposed,
    input_widths: Vec<usize>,
    output_widths: [usize; 1],
}

impl Mlp {
    /// Builds it. Errors if a width is zero.
    pub fn new(spec: &MlpSpec) -> Result<Self, NnError> {
        check_widths("input_widths", &spec.input_widths)?;
        check_widths("hidden", &spec.hidden)?;
        check_widths("output_width", &[spec.output_width])?;
        let mut layout = ParamLayout::new();
        let stack_spec = StackSpec {
            name: &spec.name,
            inputs: spec.input_widths.iter().sum(),
            hidden: &spec.hidden,
            output: Some(spec.output_width),
            activation: spec.activation,
            layer_norm: spec.layer_norm,
        };
        let stack = Stack::new(&stack_spec, &mut layout, 0);
        let mut params = ParamStore::new(layout);
        stack.init_norms(params.values_mut());
        let mut mlp = Self {
            transposed: Transposed::new(&[&stack]),
            params,
            stack,
            input_widths: spec.input_widths.clone(),
            output_widths: [spec.output_width],
        };
        mlp.refresh();
        Ok(mlp)
    }
}

/// An error naming `field` if a width is zero, or if they are so large that sizes would overflow.
pub(super) fn check_widths(field: &'static str, widths: &[usize]) -> Result<(), NnError> {
    const LIMIT: usize = 1 << 24;
    match widths.iter().find(|&&w| w == 0 || w > LIMIT) {
        None => Ok(()),
        Some(w) => {
            Err(NnError::Spec { field, expected: format!("widths from 1 to {LIMIT}"), found: w.to_string() })
        }
    }
}

/// An error unless `grads` has the layout of `params`.
pub(super) fn check_grads(params: &ParamStore, grads: Option<&[f32]>) -> Result<(), NnError> {
    let expected = params.values().len();
    match grads.map(<[f32]>::len) {
        Some(found) if found != expected => Err(NnError::shape("gradient buffer", expected, found)),
        _ => Ok(()),
    }
}

impl Module for Mlp {
    fn params(&self) -> &ParamStore {
        &self.params
    }
    fn params_mut(&mut self) -> &mut ParamStore {
        &mut self.params
    }
    fn refresh(&mut self) {
        self.transposed.refresh(&[&self.stack], &self.params);
    }
    fn input_widths(&self) -> &[usize] {
        &self.input_widths
    }
    fn output_widths(&self) -> &[usize] {
        &self.output_widths
    }

    fn tape(&self, max_rows: usize) -> Tape {
        let mut tape = Tape::new(&TapeSpec {
            max_rows,
            input_widths: self.input_widths.clone(),
            output_widths: self.output_widths.to_vec(),
            padded_inputs: self.stack.needs_padded_input(),
            ..TapeSpec::default()
        });
        tape.stacks = vec![self.stack.tape(max_rows)];
        tape
    }

    fn forward(&self, inputs: &[Mat<'_>], state: Option<Mat<'_>>, tape: &mut Tape) -> Result<(), NnError> {
        tape.begin(inputs, state)?;
        let parts = tape.parts();
        let [stack] = parts.stacks else { return Err(foreign_tape()) };
        let x = parts.inputs.mat(parts.rows);
        for rows in chunks(parts.rows) {
            self.stack.forward(self.params.values(), x, rows, stack, &mut parts.outputs[0]);
        }
        Ok(())
    }

    fn backward(&self, tape: &mut Tape, grads: Option<&mut [f32]>, d_inputs: bool) -> Result<(), NnError> {
        tape.begin_backward()?;
        self.transposed.check(&self.params)?;
        check_grads(&self.params, grads.as_deref())?;
        let grads = grads.map(|values| GradPart { values, start: 0 });
        let mut reverse = Reverse { params: self.params.values(), transposed: &self.transposed, grads };
        let parts = tape.parts();
        let [stack] = parts.stacks else { return Err(foreign_tape()) };
        let x = parts.inputs.mat(parts.rows);
        for rows in chunks(parts.rows) {
            if let Some(d) = stack.d_output() {
                d.copy_rows(&parts.d_outputs[0], rows.clone());
            }
            let d_x = d_inputs.then(|| parts.d_inputs.mat_mut(rows.end).rows(rows.clone()));
            self.stack.backward(&mut reverse, x, rows, stack, &parts.outputs[0], d_x);
        }
        Ok(())
    }

    fn boxed_clone(&self) -> Box<dyn Module> {
        Box::new(self.clone())
    }
}

/// The tape was made by another module.
pub(super) fn foreign_tape() -> NnError {
    NnError::shape("tape", "one made by this module's `tape`", "one of another module")
}
