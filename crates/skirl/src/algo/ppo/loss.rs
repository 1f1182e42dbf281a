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
use skirl_nn::kernels::vmath;

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
    ratio: Vec<f32>,
}

impl Loss for PpoLoss {
    type Scratch = PpoScratch;

    fn scratch(&self, policy: &Policy, max_rows: usize) -> PpoScratch {
        PpoScratch { terms: ActionTerms::new(policy, max_rows), ratio: vec![0.0; max_rows] }
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
            self.value_loss(context, rows, tape, stats);
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
        let ratio = &mut scratch.ratio[..n];
        scratch.terms.through(context, rows.clone(), self.measure_kl, tape, |terms| {
            let (old_logp, advantages) = (&batch.logp[rows.clone()], &batch.advantages[rows.clone()]);
            self.surrogate(&terms.logp[..n], old_logp, advantages, ratio, &mut terms.d_logp[..n], stats);
            terms.d_logp[..n].iter_mut().for_each(|d| *d *= context.inverse_rows);
            terms.d_entropy[..n].fill(-self.entropy_coeff * context.inverse_rows);
            terms.d_kl[..n].fill(self.kl_coeff * context.inverse_rows);
            stats[3] += skirl_math::stats::sum(&terms.entropy[..n]);
            stats[MEAN_KL] += if self.measure_kl { skirl_math::stats::sum(&terms.kl[..n]) } else { 0.0 };
        })
    }

    /// The clipped surrogate of each row: fills `d_logp` with its derivative (not yet divided by the rows).
    fn surrogate(
        &self,
        logp: &[f32],
        old_logp: &[f32],
        advantages: &[f32],
        ratio: &mut [f32],
        d_logp: &mut [f32],
        stats: &mut [f64],
    ) {
        for ((ratio, new), old) in ratio.iter_mut().zip(logp).zip(old_logp) {
            *ratio = new - old;
        }
        // Schulman's k3 estimate of KL(π_old ‖ π): (ρ − 1) − ln ρ, always positive.
        let log_ratio = skirl_math::stats::sum(ratio);
        vmath::exp(ratio);
        let (low, high) = (1.0 - self.clip_param, 1.0 + self.clip_param);
        let (mut loss, mut clipped) = (0.0f64, 0u32);
        for ((&ratio, &advantage), d) in ratio.iter().zip(advantages).zip(d_logp) {
            let plain = ratio * advantage;
            let bounded = ratio.clamp(low, high) * advantage;
            *d = if plain <= bounded { -plain } else { 0.0 };
            loss -= f64::from(plain.min(bounded));
            clipped += u32::from(!(low..=high).contains(&ratio));
        }
        stats[0] += loss;
        stats[5] += f64::from(clipped);
        stats[APPROX_KL] += skirl_math::stats::sum(ratio) - ratio.len() as f64 - log_ratio;
    }

    fn value_loss(&self, context: LossContext<'_>, rows: Range<usize>, tape: &mut Tape, stats: &mut [f64]) {
        let batch = context.batch;
        let (values, mut d_values) = tape.output_and_gradient(VALUE);
        let scale = if self.use_critic { self.vf_loss_coeff * context.inverse_rows } else { 0.0 };
        let (mut sum, mut unclipped_sum) = (0.0f64, 0.0f64);
        for (index, row) in rows.enumerate() {
            let (value, target, old) = (values.row(index)[0], batch.value_targets[row], batch.values[row]);
            let (loss, gradient, unclipped) = self.value_row(value, target, old);
            sum += f64::from(loss);
            unclipped_sum += f64::from(unclipped);
            d_values.row_mut(index)[0] = scale * gradient;
        }
        stats[1] += sum;
        stats[2] += unclipped_sum;
    }

    /// Loss, its derivative with respect to the value, and the squared error without any clipping.
    fn value_row(&self, value: f32, target: f32, old: f32) -> (f32, f32, f32) {
        let error = value - target;
        let unclipped = error * error;
        let (mut loss, mut gradient) = (unclipped, 2.0 * error);
        if self.clip_range_vf.is_finite() {
            let step = (value - old).clamp(-self.clip_range_vf, self.clip_range_vf);
            let bounded = old + step - target;
            if bounded * bounded > loss {
                loss = bounded * bounded;
                gradient = if (value - old).abs() < self.clip_range_vf { 2.0 * bounded } else { 0.0 };
            }
        }
        if loss > self.vf_clip_param {
            loss = self.vf_clip_param;
            gradient = 0.0;
        }
        (loss, gradient, unclipped)
    }
}
