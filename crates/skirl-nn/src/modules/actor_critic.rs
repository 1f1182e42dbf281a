//! A policy and a value function on one set of parameters.

mod separate;

use super::chunks;
use super::mlp::{check_grads, check_widths, foreign_tape};
use super::stack::{GradPart, Reverse, Stack, StackSpec, StackTape, Transposed};
use crate::kernels::activation::Activation;
use crate::matrix::{Block, Mat, MatMut};
use crate::params::{ParamLayout, ParamStore};
use crate::tape::{Tape, TapeParts, TapeSpec};
use crate::{Module, NnError, SeparateOutputs};
use std::ops::Range;

/// What an [`ActorCritic`] is built from.
#[derive(Debug, Clone)]
pub struct ActorCriticSpec {
    /// Columns of the observation.
    pub obs_width: usize,
    /// Units of every hidden layer of the policy, and of the value function unless `vf_hidden` says otherwise.
    pub hidden: Vec<usize>,
    /// Whether there is a value function. Without one `vf_hidden` and `vf_share_layers` must be off.
    pub critic: bool,
    /// Units of every hidden layer of the value function; not with `vf_share_layers`.
    pub vf_hidden: Option<Vec<usize>>,
    /// Nonlinearity of the hidden layers.
    pub activation: Activation,
    /// Whether layer normalisation stands before every activation.
    pub layer_norm: bool,
    /// Whether policy and value function are two heads on the same hidden layers.
    pub vf_share_layers: bool,
    /// Columns of the distribution inputs, log standard deviations included.
    pub num_dist_inputs: usize,
    /// `Some(dim)`: the last `dim` distribution inputs are a free parameter, independent of the observation.
    pub free_log_std: Option<usize>,
    /// First value of the free log standard deviations.
    pub log_std_init: f32,
    /// Log standard deviations are clamped to ± this: the free ones, or without any the second half of the distribution
    /// inputs. `None`: not clamped. Only for Gaussian policies.
    pub log_std_clip: Option<f32>,
}

impl Default for ActorCriticSpec {
    /// One observation column, two hidden layers of 64 tanh units each, two distribution inputs, all separate.
    fn default() -> Self {
        Self {
            obs_width: 1,
            hidden: vec![64, 64],
            critic: true,
            vf_hidden: None,
            activation: Activation::Tanh,
            layer_norm: false,
            vf_share_layers: false,
            num_dist_inputs: 2,
            free_log_std: None,
            log_std_init: 0.0,
            log_std_clip: None,
        }
    }
}

/// Policy and value networks: input the observation, outputs `[distribution inputs, value]`, or `[distribution inputs]`
/// where there is no critic.
///
/// Parameters: `pi.{i}.weight`, `pi.{i}.bias`, `log_std` if free, `vf.{i}.…`; with shared layers `trunk.{i}.…`, and `pi.0`
/// and `vf.0` are the heads. All start at zero but normalisation gains (one) and `log_std`: initialise with
/// [`ParamStore::init_tensors`], then [`refresh`](Module::refresh).
#[derive(Debug, Clone)]
pub struct ActorCritic {
    params: ParamStore,
    transposed: Transposed,
    trunk: Option<Stack>,
    pi: Stack,
    vf: Option<Stack>,
    log_std: Option<FreeLogStd>,
    clip: Option<LogStdClip>,
    obs_width: [usize; 1],
    trunk_width: usize,
    output_widths: Vec<usize>,
    /// Where the parameters of the value function begin.
    vf_start: usize,
}

/// The free log standard deviations: where in the parameters, and which columns of the output.
#[derive(Debug, Clone)]
struct FreeLogStd {
    offset: usize,
    columns: Range<usize>,
}

#[derive(Debug, Clone)]
struct LogStdClip {
    limit: f32,
    columns: Range<usize>,
}

impl ActorCriticSpec {
    fn check(&self) -> Result<(), NnError> {
        check_widths("obs_width", &[self.obs_width])?;
        check_widths("hidden", &self.hidden)?;
        check_widths("vf_hidden", self.vf_hidden.as_deref().unwrap_or_default())?;
        check_widths("num_dist_inputs", &[self.num_dist_inputs])?;
        self.check_sharing()?;
        self.check_log_std()
    }

    fn check_sharing(&self) -> Result<(), NnError> {
        let refuse = |field, expected: &str, found: &str| {
            Err(NnError::Spec { field, expected: expected.to_owned(), found: found.to_owned() })
        };
        if self.vf_share_layers && self.vf_hidden.is_some() {
            return refuse("vf_hidden", "none with vf_share_layers", "layers of its own");
        }
        if !self.critic && (self.vf_share_layers || self.vf_hidden.is_some()) {
            return refuse("critic", "true with layers of a value function", "false");
        }
        if self.vf_share_layers && self.hidden.is_empty() {
            return refuse("hidden", "at least one layer with vf_share_layers", "none");
        }
        Ok(())
    }

    fn check_log_std(&self) -> Result<(), NnError> {
        let refuse = |field, expected: String, found: String| Err(NnError::Spec { field, expected, found });
        if let Some(dim) = self.free_log_std
            && (dim == 0 || dim >= self.num_dist_inputs)
        {
            let expected = format!("from 1 to {} (num_dist_inputs - 1)", self.num_dist_inputs - 1);
            return refuse("free_log_std", expected, dim.to_string());
        }
        if !self.log_std_init.is_finite() {
            return refuse("log_std_init", "a finite number".to_owned(), self.log_std_init.to_string());
        }
        if let Some(limit) = self.log_std_clip
            && (limit.is_nan() || limit <= 0.0)
        {
            return refuse("log_std_clip", "a number above 0".to_owned(), limit.to_string());
        }
        Ok(())
    }

    /// The columns of the distribution inputs that are log standard deviations, if the policy is Gaussian.
    fn log_std_columns(&self) -> Range<usize> {
        let dim = self.free_log_std.unwrap_or(self.num_dist_inputs / 2);
        self.num_dist_inputs - dim..self.num_dist_inputs
    }

    fn stack<'a>(
        &'a self,
        name: &'a str,
        inputs: usize,
        hidden: &'a [usize],
        output: Option<usize>,
    ) -> StackSpec<'a> {
        StackSpec { name, inputs, hidden, output, activation: self.activation, layer_norm: self.layer_norm }
    }
}

impl ActorCritic {
    /// Builds it. Errors name the field that cannot be served.
    pub fn new(spec: &ActorCriticSpec) -> Result<Self, NnError> {
        spec.check()?;
        let mut layout = ParamLayout::new();
        let trunk = spec
            .vf_share_layers
            .then(|| Stack::new(&spec.stack("trunk", spec.obs_width, &spec.hidden, None), &mut layout, 0));
        let trunk_width = trunk.as_ref().map_or(0, |t| t.output_width(spec.obs_width));
        let (inputs, pi_hidden, vf_hidden) = match &trunk {
            Some(_) => (trunk_width, &[][..], &[][..]),
            None => (spec.obs_width, &spec.hidden[..], spec.vf_hidden.as_deref().unwrap_or(&spec.hidden)),
        };
        let start = trunk.as_ref().map_or(0, Stack::transposed_end);
        let net_outputs = spec.num_dist_inputs - spec.free_log_std.unwrap_or(0);
        let pi = Stack::new(&spec.stack("pi", inputs, pi_hidden, Some(net_outputs)), &mut layout, start);
        let end = pi.transposed_end();
        let columns = spec.log_std_columns();
        let log_std = spec
            .free_log_std
            .map(|dim| FreeLogStd { offset: layout.add_vector("log_std", dim), columns: columns.clone() });
        let vf_start = layout.len();
        let vf =
            spec.critic.then(|| Stack::new(&spec.stack("vf", inputs, vf_hidden, Some(1)), &mut layout, end));
        let mut module = Self {
            transposed: Transposed::default(),
            params: ParamStore::new(layout),
            trunk,
            pi,
            vf,
            log_std,
            clip: spec.log_std_clip.map(|limit| LogStdClip { limit, columns }),
            obs_width: [spec.obs_width],
            trunk_width,
            output_widths: [spec.num_dist_inputs].into_iter().chain(spec.critic.then_some(1)).collect(),
            vf_start,
        };
        module.init_constants(spec.log_std_init);
        module.transposed = Transposed::new(&module.stacks());
        module.refresh();
        Ok(module)
    }

    fn init_constants(&mut self, log_std: f32) {
        let params = self.params.values_mut();
        for stack in self.trunk.iter().chain([&self.pi]).chain(&self.vf) {
            stack.init_norms(params);
        }
        if let Some(free) = &self.log_std {
            params[free.offset..][..free.columns.len()].fill(log_std);
        }
    }

    /// In the order of the parameters.
    fn stacks(&self) -> Vec<&Stack> {
        self.trunk.iter().chain([&self.pi]).chain(&self.vf).collect()
    }

    /// Completes the distribution inputs of a chunk: free log standard deviations, clamping.
    fn finish_dist_inputs(&self, output: &mut MatMut<'_>) {
        if let Some(free) = &self.log_std {
            let limit = self.clip.as_ref().map_or(f32::INFINITY, |clip| clip.limit);
            for (j, value) in free.columns.clone().zip(&self.params.values()[free.offset..]) {
                output.fill_column(j, value.clamp(-limit, limit));
            }
            return;
        }
        let Some(clip) = &self.clip else { return };
        for i in 0..output.num_rows() {
            for x in &mut output.row_mut(i)[clip.columns.clone()] {
                *x = x.clamp(-clip.limit, clip.limit);
            }
        }
    }

    /// Gradients of the policy network's outputs of a chunk, into `d`: zero where the output was clamped.
    fn start_pi_reverse(&self, output: Mat<'_>, d_output: &Block, rows: &Range<usize>, d: &mut Block) {
        d.copy_rows(d_output, rows.clone());
        let (None, Some(clip)) = (&self.log_std, &self.clip) else { return };
        let mut d = d.mat_mut(rows.len());
        for (i, row) in rows.clone().enumerate() {
            let output = output.row(row);
            for j in clip.columns.clone().filter(|&j| output[j].abs() >= clip.limit) {
                d.row_mut(i)[j] = 0.0;
            }
        }
    }

    /// Adds the gradients of the free log standard deviations of a chunk.
    fn add_log_std_gradients(&self, d_output: Mat<'_>, grads: &mut GradPart<'_>) {
        let Some(free) = &self.log_std else { return };
        let limit = self.clip.as_ref().map_or(f32::INFINITY, |c| c.limit);
        for (j, column) in free.columns.clone().enumerate() {
            if self.params.values()[free.offset + j].abs() > limit {
                continue;
            }
            let mut sum = 0.0;
            for i in 0..d_output.num_rows() {
                sum += d_output.row(i)[column];
            }
            grads.of(free.offset + j..free.offset + j + 1)[0] += sum;
        }
    }

    fn forward_chunk(&self, parts: &mut TapeParts<'_>, rows: Range<usize>) -> Result<(), NnError> {
        let params = self.params.values();
        let Some((pi_out, vf_outs)) = parts.outputs.split_first_mut() else { return Err(foreign_tape()) };
        let obs = parts.inputs.mat(parts.rows);
        match (&self.trunk, &self.vf, &mut *parts.stacks, vf_outs) {
            (None, None, [pi], []) => self.pi.forward(params, obs, rows.clone(), pi, pi_out),
            (None, Some(critic), [pi, vf], [vf_out]) => {
                self.pi.forward(params, obs, rows.clone(), pi, pi_out);
                critic.forward(params, obs, rows.clone(), vf, vf_out);
            }
            (Some(trunk), Some(critic), [trunk_tape, pi, vf], [vf_out]) => {
                let features = &mut parts.scratch[0];
                trunk.forward(params, obs, rows.clone(), trunk_tape, features);
                let features = features.mat(parts.rows);
                self.pi.forward(params, features, rows.clone(), pi, pi_out);
                critic.forward(params, features, rows.clone(), vf, vf_out);
            }
            _ => return Err(foreign_tape()),
        }
        self.finish_dist_inputs(&mut pi_out.mat_mut(rows.end).rows(rows));
        Ok(())
    }

    fn backward_chunk(
        &self,
        parts: &mut TapeParts<'_>,
        reverse: &mut Reverse<'_>,
        rows: Range<usize>,
        d_inputs: bool,
    ) -> Result<(), NnError> {
        let Some((pi_out, vf_out)) = parts.outputs.split_first() else { return Err(foreign_tape()) };
        let (split, heads) = parts.stacks.split_at_mut(usize::from(self.trunk.is_some()));
        let Some((pi, vf)) = heads.split_first_mut() else { return Err(foreign_tape()) };
        if let Some(d) = pi.d_output() {
            self.start_pi_reverse(pi_out.mat(parts.rows), &parts.d_outputs[0], &rows, d);
        }
        let Some(critic) = &self.vf else {
            let x = parts.inputs.mat(parts.rows);
            let d_x = d_inputs.then(|| parts.d_inputs.mat_mut(rows.end).rows(rows.clone()));
            self.pi.backward(reverse, x, rows, pi, pi_out, d_x);
            return Ok(());
        };
        let ([vf], [vf_out]) = (vf, vf_out) else { return Err(foreign_tape()) };
        if let Some(d) = vf.d_output() {
            d.copy_rows(&parts.d_outputs[1], rows.clone());
        }
        let obs = parts.inputs.mat(parts.rows);
        let d_obs = d_inputs.then(|| parts.d_inputs.mat_mut(rows.end).rows(rows.clone()));
        match (&self.trunk, split) {
            (Some(trunk), [trunk_tape]) => {
                let [features, d_vf] = parts.scratch else { return Err(foreign_tape()) };
                let x = features.mat(parts.rows);
                let Some(d_trunk) = trunk_tape.d_output() else { return Err(foreign_tape()) };
                let mut d_pi = d_trunk.mat_mut(rows.len());
                self.pi.backward(reverse, x, rows.clone(), pi, pi_out, Some(d_pi.reborrow()));
                let d_heads = d_vf.mat_mut(rows.len());
                critic.backward(reverse, x, rows.clone(), vf, vf_out, Some(d_heads));
                add(d_pi, d_vf.mat(rows.len()));
                trunk.backward(reverse, obs, rows, trunk_tape, features, d_obs);
            }
            _ => {
                let (stacks, outputs) = ([(&self.pi, pi), (critic, vf)], [pi_out, vf_out]);
                backward_separate(reverse, obs, &rows, stacks, outputs, d_obs, parts.scratch);
            }
        }
        Ok(())
    }
}

/// The reverse of policy and value function with layers of their own.
fn backward_separate(
    reverse: &mut Reverse<'_>,
    obs: Mat<'_>,
    rows: &Range<usize>,
    [(policy, pi), (critic, vf)]: [(&Stack, &mut StackTape); 2],
    [pi_out, vf_out]: [&Block; 2],
    d_obs: Option<MatMut<'_>>,
    scratch: &mut [Block],
) {
    let Some(mut d_obs) = d_obs else {
        policy.backward(reverse, obs, rows.clone(), pi, pi_out, None);
        critic.backward(reverse, obs, rows.clone(), vf, vf_out, None);
        return;
    };
    let d_vf = &mut scratch[0];
    policy.backward(reverse, obs, rows.clone(), pi, pi_out, Some(d_obs.reborrow()));
    let d_rows = Some(d_vf.mat_mut(rows.len()));
    critic.backward(reverse, obs, rows.clone(), vf, vf_out, d_rows);
    add(d_obs, d_vf.mat(rows.len()));
}

/// `sum += other`.
fn add(mut sum: MatMut<'_>, other: Mat<'_>) {
    for i in 0..sum.num_rows() {
        for (x, &y) in sum.row_mut(i).iter_mut().zip(other.row(i)) {
            *x += y;
        }
    }
}

impl Module for ActorCritic {
    fn params(&self) -> &ParamStore {
        &self.params
    }
    fn params_mut(&mut self) -> &mut ParamStore {
        &mut self.params
    }
    fn refresh(&mut self) {
        let mut transposed = std::mem::take(&mut self.transposed);
        for stack in self.trunk.iter().chain([&self.pi]).chain(&self.vf) {
            transposed.refresh(&[stack], &self.params);
        }
        self.transposed = transposed;
    }
    fn input_widths(&self) -> &[usize] {
        &self.obs_width
    }
    fn output_widths(&self) -> &[usize] {
        &self.output_widths
    }

    fn tape(&self, max_rows: usize) -> Tape {
        // With shared layers their output, and in any case the value function's part of the gradient below the heads.
        let scratch_widths = match self.trunk {
            Some(_) => vec![self.trunk_width, self.trunk_width],
            None => vec![self.obs_width[0]],
        };
        let mut tape = Tape::new(&TapeSpec {
            max_rows,
            input_widths: self.obs_width.to_vec(),
            output_widths: self.output_widths.clone(),
            padded_inputs: self.stacks().into_iter().any(Stack::needs_padded_input),
            scratch_widths,
            ..TapeSpec::default()
        });
        tape.stacks = self.stacks().into_iter().map(|s| s.tape(max_rows)).collect();
        tape
    }

    fn forward(&self, inputs: &[Mat<'_>], state: Option<Mat<'_>>, tape: &mut Tape) -> Result<(), NnError> {
        tape.begin(inputs, state)?;
        let mut parts = tape.parts();
        for rows in chunks(parts.rows) {
            self.forward_chunk(&mut parts, rows)?;
        }
        Ok(())
    }

    fn backward(&self, tape: &mut Tape, grads: Option<&mut [f32]>, d_inputs: bool) -> Result<(), NnError> {
        tape.begin_backward()?;
        self.transposed.check(&self.params)?;
        check_grads(&self.params, grads.as_deref())?;
        let grads = grads.map(|values| GradPart { values, start: 0 });
        let mut reverse = Reverse { params: self.params.values(), transposed: &self.transposed, grads };
        let mut parts = tape.parts();
        for rows in chunks(parts.rows) {
            self.backward_chunk(&mut parts, &mut reverse, rows.clone(), d_inputs)?;
            if let Some(grads) = &mut reverse.grads {
                let d_output = parts.d_outputs[0].mat(parts.rows).rows(rows);
                self.add_log_std_gradients(d_output, grads);
            }
        }
        Ok(())
    }

    fn separate_outputs(&self) -> Option<&dyn SeparateOutputs> {
        if self.trunk.is_none() && self.vf.is_some() { Some(self) } else { None }
    }

    fn separate_outputs_mut(&mut self) -> Option<&mut dyn SeparateOutputs> {
        if self.trunk.is_none() && self.vf.is_some() { Some(self) } else { None }
    }

    fn boxed_clone(&self) -> Box<dyn Module> {
        Box::new(self.clone())
    }
}
