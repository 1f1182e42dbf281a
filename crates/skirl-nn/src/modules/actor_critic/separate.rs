//! Policy and value function one at a time, where they share no layers.

use std::ops::Range;

use super::ActorCritic;
use crate::matrix::Mat;
use crate::modules::chunks;
use crate::modules::mlp::foreign_tape;
use crate::modules::stack::{GradPart, Reverse};
use crate::tape::Tape;
use crate::{NnError, OutputUpdate, SeparateOutputs};

/// Index of the distribution inputs among the outputs; the other is the value.
const PI: usize = 0;

impl SeparateOutputs for ActorCritic {
    fn output_params(&self, output: usize) -> Range<usize> {
        if output == PI { 0..self.vf_start } else { self.vf_start..self.params.values().len() }
    }

    fn update_outputs(&mut self) -> Vec<OutputUpdate<'_>> {
        let (pi, vf, vf_start) = (&self.pi, self.vf.as_ref(), self.vf_start);
        let (params, version) = self.params.values_mut_and_version();
        let (pi_params, vf_params) = params.split_at_mut(vf_start);
        let vf_place = pi.transposed_end();
        let (pi_transposed, vf_transposed) = self.transposed.begin_refresh(version).split_at_mut(vf_place);
        let pi_refresh = move |params: &[f32]| pi.transpose(params, 0, pi_transposed, 0);
        let vf_refresh = move |params: &[f32]| {
            if let Some(vf) = vf {
                vf.transpose(params, vf_start, vf_transposed, vf_place);
            }
        };
        vec![
            OutputUpdate { params: pi_params, refresh: Box::new(pi_refresh) },
            OutputUpdate { params: vf_params, refresh: Box::new(vf_refresh) },
        ]
    }

    fn forward_output(&self, output: usize, inputs: &[Mat<'_>], tape: &mut Tape) -> Result<(), NnError> {
        tape.begin(inputs, None)?;
        let parts = tape.parts();
        let ([pi, vf], [pi_out, vf_out]) = (parts.stacks, parts.outputs) else { return Err(foreign_tape()) };
        let (params, obs) = (self.params.values(), parts.inputs.mat(parts.rows));
        for rows in chunks(parts.rows) {
            if output == PI {
                self.pi.forward(params, obs, rows.clone(), pi, pi_out);
                self.finish_dist_inputs(&mut pi_out.mat_mut(rows.end).rows(rows));
            } else if let Some(critic) = &self.vf {
                critic.forward(params, obs, rows, vf, vf_out);
            }
        }
        Ok(())
    }

    fn backward_output(&self, output: usize, tape: &mut Tape, grads: &mut [f32]) -> Result<(), NnError> {
        tape.begin_backward()?;
        self.transposed.check(&self.params)?;
        let Range { start, end } = self.output_params(output);
        if grads.len() != end - start {
            return Err(NnError::shape("gradient buffer of one output", end - start, grads.len()));
        }
        let grads = Some(GradPart { values: grads, start });
        let mut reverse = Reverse { params: self.params.values(), transposed: &self.transposed, grads };
        let rows = tape.rows();
        for rows in chunks(rows) {
            self.backward_output_chunk(output, tape, &mut reverse, rows)?;
        }
        Ok(())
    }
}

impl ActorCritic {
    fn backward_output_chunk(
        &self,
        output: usize,
        tape: &mut Tape,
        reverse: &mut Reverse<'_>,
        rows: Range<usize>,
    ) -> Result<(), NnError> {
        let parts = tape.parts();
        let ([pi, vf], [pi_out, vf_out]) = (parts.stacks, parts.outputs) else { return Err(foreign_tape()) };
        let obs = parts.inputs.mat(parts.rows);
        let d_output = &parts.d_outputs[output];
        if output == PI {
            if let Some(d) = pi.d_output() {
                self.start_pi_reverse(pi_out.mat(parts.rows), d_output, &rows, d);
            }
            self.pi.backward(reverse, obs, rows.clone(), pi, pi_out, None);
            if let Some(grads) = &mut reverse.grads {
                self.add_log_std_gradients(d_output.mat(parts.rows).rows(rows), grads);
            }
        } else {
            if let Some(d) = vf.d_output() {
                d.copy_rows(d_output, rows.clone());
            }
            if let Some(critic) = &self.vf {
                critic.backward(reverse, obs, rows, vf, vf_out, None);
            }
        }
        Ok(())
    }
}
