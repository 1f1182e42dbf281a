//! A stack of dense layers: what all native modules are made of.

use std::ops::Range;

use super::CHUNK;
use crate::kernels::activation::{self, Activation};
use crate::kernels::linear::{NARROW, Panels, panels_len};
use crate::kernels::through::NarrowGrads;
use crate::kernels::{layer_norm, linear, narrow, through};
use crate::matrix::{AlignedVec, Block, Mat, padded};
use crate::params::ParamLayout;

/// One dense layer: linear map, optional layer normalisation, activation. Offsets point into the flat parameters.
#[derive(Debug, Clone)]
struct Layer {
    inputs: usize,
    outputs: usize,
    activation: Activation,
    weight: usize,
    bias: usize,
    norm: Option<Norm>,
    /// Where the transposed weight lies in [`Transposed`]; narrow layers need none.
    transposed: usize,
}

#[derive(Debug, Clone)]
struct Norm {
    gain: usize,
    shift: usize,
}

/// Transposed weights of the wide layers of a module, for the reverse with respect to inputs.
#[derive(Debug, Clone, Default)]
pub(super) struct Transposed {
    values: AlignedVec,
    version: u64,
}

impl Transposed {
    pub(super) fn new(stacks: &[&Stack]) -> Self {
        let len = stacks.iter().map(|s| s.transposed_end).max().unwrap_or(0);
        Self { values: AlignedVec::zeros(len), version: 0 }
    }

    pub(super) fn refresh(&mut self, stacks: &[&Stack], params: &crate::ParamStore) {
        for stack in stacks {
            stack.transpose(params.values(), 0, &mut self.values, 0);
        }
        self.version = params.version();
    }

    /// The values, to be refreshed by hand for this version of the parameters.
    pub(super) fn begin_refresh(&mut self, version: u64) -> &mut [f32] {
        self.version = version;
        &mut self.values
    }

    /// An error unless refreshed since the parameters changed.
    pub(super) fn check(&self, params: &crate::ParamStore) -> Result<(), crate::NnError> {
        if self.version == params.version() { Ok(()) } else { Err(crate::NnError::StaleParams) }
    }
}

/// What one layer leaves for its reverse.
#[derive(Debug, Clone, Default)]
struct LayerTape {
    /// Output of the layer; empty for the last one, whose output is elsewhere.
    y: Block,
    /// Input of the activation, where the derivative needs it.
    x: Option<Block>,
    norm: Option<NormTape>,
    /// Gradient of the output, then of the linear map, of one chunk.
    d: Block,
}

#[derive(Debug, Clone, Default)]
struct NormTape {
    /// Output of the linear map, of one chunk.
    z: Block,
    normalised: Block,
    inverse_std: Vec<f32>,
}

/// What one forward pass through a stack leaves for its reverse.
#[derive(Debug, Clone, Default)]
pub(crate) struct StackTape {
    layers: Vec<LayerTape>,
}

impl StackTape {
    /// Where the gradient of the output of a chunk is put before [`Stack::backward`].
    pub(super) fn d_output(&mut self) -> Option<&mut Block> {
        self.layers.last_mut().map(|l| &mut l.d)
    }
}

/// Layers one after the other.
#[derive(Debug, Clone)]
pub(super) struct Stack {
    layers: Vec<Layer>,
    transposed_end: usize,
    /// Whether the last layer is an output of the module, a linear map alone.
    has_head: bool,
}

/// What a stack is built from.
pub(super) struct StackSpec<'a> {
    /// Prefix of the parameter names.
    pub(super) name: &'a str,
    pub(super) inputs: usize,
    pub(super) hidden: &'a [usize],
    /// Width of a final linear layer, if there is one.
    pub(super) output: Option<usize>,
    pub(super) activation: Activation,
    pub(super) layer_norm: bool,
}

/// Buffers that one reverse reads and writes.
pub(super) struct Reverse<'a> {
    pub(super) params: &'a [f32],
    pub(super) transposed: &'a Transposed,
    pub(super) grads: Option<GradPart<'a>>,
}

/// Gradients of the parameters from `start` on.
pub(super) struct GradPart<'a> {
    pub(super) values: &'a mut [f32],
    pub(super) start: usize,
}

impl GradPart<'_> {
    /// The gradients of a range of the parameters.
    pub(super) fn of(&mut self, params: Range<usize>) -> &mut [f32] {
        &mut self.values[params.start - self.start..params.end - self.start]
    }

    /// The gradients of three ranges of the parameters, in this order.
    fn of_three(&mut self, ranges: [Range<usize>; 3]) -> [&mut [f32]; 3] {
        let [first, second, third] = ranges.map(|range| range.start - self.start..range.end - self.start);
        let (low, high) = self.values.split_at_mut(third.start);
        let (low, middle) = low.split_at_mut(second.start);
        [&mut low[first], &mut middle[..second.len()], &mut high[..third.len()]]
    }
}

impl Stack {
    /// Adds the parameters to `layout`; `transposed_start` is where its transposed weights begin.
    pub(super) fn new(spec: &StackSpec<'_>, layout: &mut ParamLayout, transposed_start: usize) -> Self {
        let hidden = spec.hidden.iter().map(|&width| (width, spec.activation, spec.layer_norm));
        let widths = hidden.chain(spec.output.map(|width| (width, Activation::Linear, false)));
        let has_head = spec.output.is_some();
        let mut stack = Self { layers: Vec::new(), transposed_end: transposed_start, has_head };
        let mut inputs = spec.inputs;
        for (i, (outputs, activation, has_norm)) in widths.enumerate() {
            let name = format!("{}.{i}", spec.name);
            let weight = layout.add_weight(format!("{name}.weight"), outputs, inputs);
            let bias = layout.add_vector(format!("{name}.bias"), outputs);
            let norm = has_norm.then(|| Norm {
                gain: layout.add_vector(format!("{name}.norm.weight"), outputs),
                shift: layout.add_vector(format!("{name}.norm.bias"), outputs),
            });
            let transposed = stack.transposed_end;
            let layer = Layer { inputs, outputs, activation, weight, bias, norm, transposed };
            if !layer.is_narrow() {
                stack.transposed_end += panels_len(outputs, inputs);
            }
            stack.layers.push(layer);
            inputs = outputs;
        }
        stack
    }

    /// Writes the transposed weights. `params` are those from `params_start` on, `to` those from `to_start` on.
    pub(super) fn transpose(&self, params: &[f32], params_start: usize, to: &mut [f32], to_start: usize) {
        for layer in self.layers.iter().filter(|layer| !layer.is_narrow()) {
            let weight = layer.weight_range();
            let weight = &params[weight.start - params_start..weight.end - params_start];
            let place = layer.transposed - to_start;
            let to = &mut to[place..place + panels_len(layer.outputs, layer.inputs)];
            linear::transpose(Panels::new(weight, layer.inputs, layer.outputs), to);
        }
    }

    /// Where the transposed weights of the next stack begin.
    pub(super) fn transposed_end(&self) -> usize {
        self.transposed_end
    }

    pub(super) fn output_width(&self, inputs: usize) -> usize {
        self.layers.last().map_or(inputs, |l| l.outputs)
    }

    /// Whether the first layer reads its input in whole vectors.
    pub(super) fn needs_padded_input(&self) -> bool {
        self.layers.first().is_some_and(Layer::is_narrow)
    }

    pub(super) fn tape(&self, max_rows: usize) -> StackTape {
        let last = self.layers.len().saturating_sub(1);
        let tape = |(i, layer): (usize, &Layer)| {
            let mut tape = layer.tape(max_rows, i == last);
            if i == last && self.has_head {
                tape.d = Block::of_outputs(max_rows.min(CHUNK), layer.outputs);
            }
            tape
        };
        StackTape { layers: self.layers.iter().enumerate().map(tape).collect() }
    }

    /// Sets the gains of the normalisations to one.
    pub(super) fn init_norms(&self, params: &mut [f32]) {
        for layer in &self.layers {
            if let Some(norm) = &layer.norm {
                params[norm.gain..][..layer.outputs].fill(1.0);
            }
        }
    }

    /// Computes `rows` of the output of the stack from the same rows of `x`.
    pub(super) fn forward(
        &self,
        params: &[f32],
        x: Mat<'_>,
        rows: Range<usize>,
        tape: &mut StackTape,
        output: &mut Block,
    ) {
        let last = self.layers.len().saturating_sub(1);
        for (i, layer) in self.layers.iter().enumerate() {
            let (before, after) = tape.layers.split_at_mut(i);
            let own = &mut after[0];
            let x = before.last().map_or(x, |l| l.y.mat(rows.end)).rows(rows.clone());
            if i == last {
                layer.forward(params, x, &rows, own, Some(&mut *output));
            } else {
                layer.forward(params, x, &rows, own, None);
            }
        }
    }

    /// The reverse of one chunk, from the gradient in [`StackTape::d_output`]: adds parameter gradients if wanted, and
    /// writes that of the input into `d_x` (its first rows) if wanted. `output` is what `forward` wrote.
    pub(super) fn backward(
        &self,
        reverse: &mut Reverse<'_>,
        x: Mat<'_>,
        rows: Range<usize>,
        tape: &mut StackTape,
        output: &Block,
        mut d_x: Option<crate::MatMut<'_>>,
    ) {
        let last = self.layers.len().saturating_sub(1);
        // Whether the layer after has taken the gradient through this one's activation, and counted its bias.
        let mut is_through = false;
        for (i, layer) in self.layers.iter().enumerate().rev() {
            let (before, after) = tape.layers.split_at_mut(i);
            let own = &mut after[0];
            let with_bias = !is_through;
            if !is_through {
                layer.backward_to_linear(reverse, &rows, own, (i == last).then_some(output));
            }
            let dz = own.d.mat(rows.len());
            let Some(previous) = before.last_mut() else {
                layer.add_gradients(reverse, x.rows(rows.clone()), dz, with_bias);
                if let Some(d_x) = d_x.take() {
                    layer.input_gradient(reverse, dz, d_x);
                }
                continue;
            };
            is_through = self.layers[i - 1].lets_through() && reverse.grads.is_some();
            if is_through {
                layer.backward_through(&self.layers[i - 1], reverse, &rows, dz, previous, with_bias);
            } else {
                let x = previous.y.mat(rows.end).rows(rows.clone());
                layer.add_gradients(reverse, x, dz, with_bias);
                layer.input_gradient(reverse, dz, previous.d.mat_mut(rows.len()));
            }
        }
    }
}

impl Layer {
    fn is_narrow(&self) -> bool {
        self.outputs <= NARROW
    }

    fn weight_range(&self) -> Range<usize> {
        let len = if self.is_narrow() {
            self.outputs * padded(self.inputs)
        } else {
            panels_len(self.inputs, self.outputs)
        };
        self.weight..self.weight + len
    }

    fn vector(&self, offset: usize) -> Range<usize> {
        offset..offset + padded(self.outputs)
    }

    fn panels<'a>(&self, params: &'a [f32]) -> Panels<'a> {
        Panels::new(&params[self.weight_range()], self.inputs, self.outputs)
    }

    fn tape(&self, max_rows: usize, is_last: bool) -> LayerTape {
        let chunk = max_rows.min(CHUNK);
        LayerTape {
            y: if is_last { Block::default() } else { Block::zeros(max_rows, self.outputs) },
            x: self.activation.needs_input().then(|| Block::zeros(max_rows, self.outputs)),
            norm: self.norm.as_ref().map(|_| NormTape {
                z: Block::zeros(chunk, self.outputs),
                normalised: Block::zeros(max_rows, self.outputs),
                inverse_std: vec![0.0; max_rows],
            }),
            d: Block::zeros(chunk, self.outputs),
        }
    }

    fn forward(
        &self,
        params: &[f32],
        x: Mat<'_>,
        rows: &Range<usize>,
        tape: &mut LayerTape,
        output: Option<&mut Block>,
    ) {
        let LayerTape { y, x: kept, norm, .. } = tape;
        let y = output.unwrap_or(y);
        if self.lets_through() && !self.is_narrow() {
            let (bias, y) = (&params[self.vector(self.bias)], y.mat_mut(rows.end).rows(rows.clone()));
            return through::forward(self.activation, x, self.panels(params), bias, y);
        }
        // The linear map writes straight to where the next step reads.
        let target = match kept {
            Some(kept) => kept,
            None => &mut *y,
        };
        match norm {
            None => self.linear(params, x, target.mat_mut(rows.end).rows(rows.clone())),
            Some(norm) => {
                self.linear(params, x, norm.z.mat_mut(rows.len()));
                self.normalise(params, rows, norm, target);
            }
        }
        match kept {
            Some(kept) => {
                let from = kept.mat(rows.end).rows(rows.clone());
                activation::forward(self.activation, from, y.mat_mut(rows.end).rows(rows.clone()));
            }
            // An output of the module, which need not be padded.
            None if self.activation == Activation::Linear => {}
            None => activation::forward_in_place(self.activation, y.mat_mut(rows.end).rows(rows.clone())),
        }
    }

    fn linear(&self, params: &[f32], x: Mat<'_>, out: crate::MatMut<'_>) {
        let bias = &params[self.vector(self.bias)];
        if self.is_narrow() {
            narrow::forward(x, &params[self.weight_range()], bias, out.cols(0..self.outputs));
        } else {
            linear::forward(x, self.panels(params), Some(bias), out);
        }
    }

    fn normalise(&self, params: &[f32], rows: &Range<usize>, tape: &mut NormTape, y: &mut Block) {
        let Some(norm) = &self.norm else { return };
        layer_norm::forward(
            tape.z.mat(rows.len()),
            &params[self.vector(norm.gain)],
            &params[self.vector(norm.shift)],
            tape.normalised.mat_mut(rows.end).rows(rows.clone()),
            &mut tape.inverse_std[rows.clone()],
            y.mat_mut(rows.end).rows(rows.clone()),
        );
    }

    /// Turns the gradient of the layer's output in `tape.d` into that of its linear map.
    fn backward_to_linear(
        &self,
        reverse: &mut Reverse<'_>,
        rows: &Range<usize>,
        tape: &mut LayerTape,
        output: Option<&Block>,
    ) {
        let LayerTape { y, x, norm, d } = tape;
        if self.activation != Activation::Linear {
            let y = output.unwrap_or(y).mat(rows.end).rows(rows.clone()).cols(0..self.outputs);
            let x = x.as_ref().map_or(y, |x| x.mat(rows.end).rows(rows.clone()));
            activation::backward(self.activation, x, y, d.mat_mut(rows.len()));
        }
        let (Some(tape), Some(norm)) = (norm, &self.norm) else { return };
        let normalised = tape.normalised.mat(rows.end).rows(rows.clone());
        if let Some(grads) = &mut reverse.grads {
            layer_norm::gain_gradient(normalised, d.mat(rows.len()), grads.of(self.vector(norm.gain)));
            linear::bias_gradient(d.mat(rows.len()), grads.of(self.vector(norm.shift)));
        }
        let gain = &reverse.params[self.vector(norm.gain)];
        layer_norm::input_gradient(normalised, &tape.inverse_std[rows.clone()], gain, d.mat_mut(rows.len()));
    }

    /// Adds the gradient of the weight, and of the bias if it is not counted yet.
    fn add_gradients(&self, reverse: &mut Reverse<'_>, x: Mat<'_>, dz: Mat<'_>, with_bias: bool) {
        let Some(grads) = &mut reverse.grads else { return };
        let dw = grads.of(self.weight_range());
        if self.is_narrow() {
            narrow::weight_gradient(x, dz, dw);
        } else {
            linear::weight_gradient(x, dz, dw);
        }
        let db = grads.of(self.vector(self.bias));
        match with_bias {
            false => {}
            true if self.is_narrow() => narrow::bias_gradient(dz, db),
            true => linear::bias_gradient(dz, db),
        }
    }

    /// Whether the layer behind this one can take the gradient through this one's activation.
    fn lets_through(&self) -> bool {
        self.norm.is_none() && through::serves(self.activation)
    }

    /// From `dz`, the gradient of this layer's linear map: that of its weight, of its bias if not counted yet, of the
    /// linear map of the layer before, and of that one's bias.
    fn backward_through(
        &self,
        before: &Self,
        reverse: &mut Reverse<'_>,
        rows: &Range<usize>,
        dz: Mat<'_>,
        tape: &mut LayerTape,
        with_bias: bool,
    ) {
        let LayerTape { y, d, .. } = tape;
        let (y, dv) = (y.mat(rows.end).rows(rows.clone()), d.mat_mut(rows.len()));
        if self.is_narrow() {
            let Some(grads) = &mut reverse.grads else { return };
            let w = &reverse.params[self.weight_range()];
            let places = [before.vector(before.bias), self.weight_range(), self.vector(self.bias)];
            let [db_before, dw, db] = grads.of_three(places);
            let grads = NarrowGrads { dw, db: with_bias.then_some(db), db_before };
            through::narrow(before.activation, dz, w, y, grads, dv);
        } else {
            self.add_gradients(reverse, y, dz, with_bias);
            let Some(grads) = &mut reverse.grads else { return };
            let db_before = grads.of(before.vector(before.bias));
            let wt = self.transposed_panels(reverse.transposed);
            through::wide(before.activation, dz, wt, y, db_before, dv);
        }
    }

    fn input_gradient(&self, reverse: &Reverse<'_>, dz: Mat<'_>, dx: crate::MatMut<'_>) {
        if self.is_narrow() {
            narrow::input_gradient(dz, &reverse.params[self.weight_range()], dx);
        } else {
            linear::forward(dz, self.transposed_panels(reverse.transposed), None, dx);
        }
    }

    /// The panels of the transposed weight.
    fn transposed_panels<'a>(&self, transposed: &'a Transposed) -> Panels<'a> {
        let len = panels_len(self.outputs, self.inputs);
        Panels::new(&transposed.values[self.transposed..][..len], self.outputs, self.inputs)
    }
}
