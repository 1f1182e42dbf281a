//! The policy-gradient loss (Williams 1992; Mnih et al. 2016) and its gradient with respect to the network's outputs.
//!
//! ```text
//! L = mean[ −log π(a|s) · A + c_v · ½ (V − R)² − c_e · H(π) ]
//! ```

use std::ops::Range;

use skirl_math::stats::sum;
use skirl_nn::Tape;
use skirl_nn::distributions::{DistScratch, Evaluated, EvaluatedGrad};

use crate::contract::policy::{DIST_INPUTS, Policy, VALUE};
use crate::error::Error;
use crate::learn::{Loss, LossContext};

/// Coefficients of one update; schedules are resolved before.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PolicyGradientLoss {
    /// c_v; `None`: there is no value function.
    pub vf_loss_coeff: Option<f32>,
    /// c_e.
    pub entropy_coeff: f32,
}

/// Names of the sums, in order; the last one with a value function only.
const STATS: [&str; 3] = ["policy_loss", "entropy", "vf_loss"];

/// Buffers for one chunk.
#[derive(Debug)]
pub struct PolicyGradientScratch {
    dist: DistScratch,
    logp: Vec<f32>,
    entropy: Vec<f32>,
    kl: Vec<f32>,
    d_logp: Vec<f32>,
    d_entropy: Vec<f32>,
}

impl PolicyGradientLoss {
    /// The loss from the means of its statistics.
    pub fn total(&self, means: &[f64]) -> f64 {
        let value = self.vf_loss_coeff.map_or(0.0, |coeff| f64::from(coeff) * means[2]);
        means[0] + value - f64::from(self.entropy_coeff) * means[1]
    }

    fn value_loss(&self, context: LossContext<'_>, rows: Range<usize>, tape: &mut Tape, stats: &mut [f64]) {
        let Some(coeff) = self.vf_loss_coeff else { return };
        let (values, mut d_values) = tape.output_and_gradient(VALUE);
        for (index, row) in rows.enumerate() {
            let error = values.row(index)[0] - context.batch.value_targets[row];
            d_values.row_mut(index)[0] = coeff * context.inverse_rows * error;
            stats[2] += 0.5 * f64::from(error * error);
        }
    }
}

impl Loss for PolicyGradientLoss {
    type Scratch = PolicyGradientScratch;

    fn scratch(&self, policy: &Policy, max_rows: usize) -> PolicyGradientScratch {
        let column = || vec![0.0; max_rows];
        PolicyGradientScratch {
            dist: policy.dist.scratch(),
            logp: column(),
            entropy: column(),
            kl: column(),
            d_logp: column(),
            d_entropy: column(),
        }
    }

    fn stats(&self) -> &'static [&'static str] {
        if self.vf_loss_coeff.is_some() { &STATS } else { &STATS[..2] }
    }

    fn evaluate(
        &self,
        context: LossContext<'_>,
        rows: Range<usize>,
        tape: &mut Tape,
        scratch: &mut PolicyGradientScratch,
        stats: &mut [f64],
    ) -> Result<(), Error> {
        let (policy, batch, n) = (context.policy, context.batch, rows.len());
        let actions = batch.actions.view(rows.start, rows.end);
        let PolicyGradientScratch { dist, logp, entropy, kl, d_logp, d_entropy } = scratch;
        let (logp, entropy, kl, d_logp) = (&mut logp[..n], &mut entropy[..n], &mut kl[..n], &mut d_logp[..n]);
        let (inputs, d_inputs) = tape.output_and_gradient(DIST_INPUTS);
        let out = Evaluated { logp: &mut *logp, entropy: &mut *entropy, kl: &mut *kl };
        policy.dist.evaluate(inputs, actions, None, out, dist)?;
        for ((d, logp), &advantage) in d_logp.iter_mut().zip(&*logp).zip(&batch.advantages[rows.clone()]) {
            *d = -advantage * context.inverse_rows;
            stats[0] -= f64::from(logp * advantage);
        }
        stats[1] += sum(entropy);
        d_entropy[..n].fill(-self.entropy_coeff * context.inverse_rows);
        // Without an old policy there is no divergence: its gradient is not read.
        let d_out = EvaluatedGrad { logp: d_logp, entropy: &d_entropy[..n], kl };
        policy.dist.backward(inputs, actions, None, d_out, d_inputs, dist)?;
        self.value_loss(context, rows, tape, stats);
        Ok(())
    }
}
