//! What the loss of a policy is made of: log-probability, entropy and divergence of each row, and the way back.

use std::ops::Range;

use skirl_nn::distributions::{DistScratch, Evaluated, EvaluatedGrad};
use skirl_nn::{Mat, Tape};

use super::LossContext;
use crate::contract::policy::{DIST_INPUTS, Policy};
use crate::error::Error;

/// Columns of one chunk, and the gradient of the loss with respect to each.
#[derive(Debug)]
pub struct ActionTerms {
    /// log π(a|s).
    pub logp: Vec<f32>,
    /// H(π(·|s)).
    pub entropy: Vec<f32>,
    /// KL(π_old ‖ π), where it is measured.
    pub kl: Vec<f32>,
    /// Gradient with respect to `logp`.
    pub d_logp: Vec<f32>,
    /// Gradient with respect to `entropy`.
    pub d_entropy: Vec<f32>,
    /// Gradient with respect to `kl`.
    pub d_kl: Vec<f32>,
    dist: DistScratch,
}

impl ActionTerms {
    /// For chunks of up to `max_rows` rows.
    pub fn new(policy: &Policy, max_rows: usize) -> Self {
        let column = || vec![0.0; max_rows];
        Self {
            logp: column(),
            entropy: column(),
            kl: column(),
            d_logp: column(),
            d_entropy: column(),
            d_kl: column(),
            dist: policy.dist.scratch(),
        }
    }

    /// Computes the terms of `rows` from the outputs in `tape`, lets `loss` fill in their gradients, and turns these into the
    /// gradient of the outputs. With `measure_kl` the divergence from the policy that acted is one of the terms.
    pub fn through(
        &mut self,
        context: LossContext<'_>,
        rows: Range<usize>,
        measure_kl: bool,
        tape: &mut Tape,
        loss: impl FnOnce(&mut Self),
    ) -> Result<(), Error> {
        let (policy, batch, n) = (context.policy, context.batch, rows.len());
        let actions = batch.actions.view(rows.start, rows.end);
        let width = batch.dist_width;
        let old = Mat::new(&batch.dist_inputs[rows.start * width..rows.end * width], n, width);
        let old = measure_kl.then_some(old);
        let evaluated =
            Evaluated { logp: &mut self.logp[..n], entropy: &mut self.entropy[..n], kl: &mut self.kl[..n] };
        policy.dist.evaluate(tape.output(DIST_INPUTS), actions, old, evaluated, &mut self.dist)?;
        loss(self);
        let (inputs, d_inputs) = tape.output_and_gradient(DIST_INPUTS);
        let d_out =
            EvaluatedGrad { logp: &self.d_logp[..n], entropy: &self.d_entropy[..n], kl: &self.d_kl[..n] };
        Ok(policy.dist.backward(inputs, actions, old, d_out, d_inputs, &mut self.dist)?)
    }
}
