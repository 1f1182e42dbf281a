//! The PPO loss (Schulman et al. 2017, equations 7 to 9) and its gradient with respect to the network's outputs.
//!
//! ```text
//! ρ = π(a|s) / π_old(a|s)
//! L = mean[ −min(ρ A, clip(ρ, 1−ε, 1+ε) A) + c_v · L_v − c_e · H(π) + β · KL(π_old ‖ π) ]
//! L_v = (V − R)²                                    clamped to at most vf_clip_param (RLlib), or
//!       max((V − R)², (V_old + clip(V − V_old, ±c) − R)²)   with clip_range_vf (the PPO authors' code, CleanRL)
//! ```

use std::ops::Range;

use skirl_nn::Tape;

use super::terms::{Acted, Valued, surrogate, value_loss};
use crate::contract::policy::{DIST_INPUTS, Policy, VALUE};
use crate::error::Error;
use crate::learn::{ActionTerms, Loss, LossContext};

/// Coefficients of one update; schedules are resolved before.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PpoLoss {
    /// ε.
    pub clip_param: f32,
    /// c_v.
    pub vf_loss_coeff: f32,
    /// Upper bound of the squared value error; infinite: none.
    pub vf_clip_param: f32,
    /// c of the value clipping around V_old; infinite: none.
    pub clip_range_vf: f32,
    /// c_e.
    pub entropy_coeff: f32,
    /// β.
    pub kl_coeff: f32,
    /// Whether KL(π_old ‖ π) is measured; β may be 0 all the same, and must be able to grow again.
    pub measure_kl: bool,
    /// Whether the value function is trained.
    pub use_critic: bool,
}

/// Names of the sums, in order.
pub const STATS: [&str; 7] =
    ["policy_loss", "vf_loss", "vf_loss_unclipped", "entropy", "mean_kl_loss", "clip_fraction", "approx_kl"];
/// Index of KL(π_old ‖ π).
pub const MEAN_KL: usize = 4;
/// Index of the Schulman estimate of KL(π_old ‖ π), used for early stopping.
pub const APPROX_KL: usize = 6;

/// Buffers for one chunk.
#[derive(Debug)]
pub struct PpoScratch {
    terms: ActionTerms,
}

impl Loss for PpoLoss {
    type Scratch = PpoScratch;

    fn scratch(&self, policy: &Policy, max_rows: usize) -> PpoScratch {
        PpoScratch { terms: ActionTerms::new(policy, max_rows) }
    }

    fn stats(&self) -> &'static [&'static str] {
        &STATS
    }

    fn total(&self, means: &[f64]) -> f64 {
        let vf_loss_coeff = if self.use_critic { f64::from(self.vf_loss_coeff) } else { 0.0 };
        means[0] + vf_loss_coeff * means[1] - f64::from(self.entropy_coeff) * means[3]
            + f64::from(self.kl_coeff) * means[MEAN_KL]
    }

    fn is_separate(&self) -> bool {
        true
    }

    fn evaluate(
        &self,
        outputs: Range<usize>,
        context: LossContext<'_>,
        rows: Range<usize>,
        tape: &mut Tape,
        scratch: &mut PpoScratch,
        stats: &mut [f64],
    ) -> Result<(), Error> {
        if outputs.contains(&DIST_INPUTS) {
            self.policy_loss(context, rows.clone(), tape, scratch, stats)?;
        }
        if outputs.contains(&VALUE) {
            self.value_loss(context, rows, tape, stats)?;
        }
        Ok(())
    }
}

impl PpoLoss {
    /// Clipped surrogate, entropy and KL divergence: all that depends on the distribution's inputs.
    fn policy_loss(
        &self,
        context: LossContext<'_>,
        rows: Range<usize>,
        tape: &mut Tape,
        scratch: &mut PpoScratch,
        stats: &mut [f64],
    ) -> Result<(), Error> {
        let (batch, n) = (context.batch, rows.len());
        scratch.terms.through(context, rows.clone(), self.measure_kl, tape, |terms| {
            let (old_logp, advantages) = (&batch.logp[rows.clone()], &batch.advantages[rows.clone()]);
            let acted = Acted { logp: &terms.logp[..n], old_logp, advantages };
            let d_logp = &mut terms.d_logp[..n];
            let sums = surrogate(acted, self.clip_param, context.inverse_rows, d_logp);
            terms.d_entropy[..n].fill(-self.entropy_coeff * context.inverse_rows);
            terms.d_kl[..n].fill(self.kl_coeff * context.inverse_rows);
            stats[0] += f64::from(sums.loss);
            stats[3] += skirl_math::stats::sum(&terms.entropy[..n]);
            stats[MEAN_KL] += if self.measure_kl { skirl_math::stats::sum(&terms.kl[..n]) } else { 0.0 };
            stats[5] += f64::from(sums.clipped);
            stats[APPROX_KL] += f64::from(sums.kl);
        })
    }

    /// All that depends on the value.
    fn value_loss(
        &self,
        context: LossContext<'_>,
        rows: Range<usize>,
        tape: &mut Tape,
        stats: &mut [f64],
    ) -> Result<(), Error> {
        let batch = context.batch;
        let (values, d_values) = tape.column_and_gradient(VALUE)?;
        let (old_values, targets) = (&batch.values[rows.clone()], &batch.value_targets[rows]);
        let scale = if self.use_critic { self.vf_loss_coeff * context.inverse_rows } else { 0.0 };
        let sums = value_loss(Valued { values, old_values, targets }, self, scale, d_values);
        stats[1] += f64::from(sums.loss);
        stats[2] += f64::from(sums.unclipped);
        Ok(())
    }
}
