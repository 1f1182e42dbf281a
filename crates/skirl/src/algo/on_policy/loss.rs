//! The policy-gradient loss (Williams 1992; Mnih et al. 2016) and its gradient with respect to the network's outputs.
//!
//! ```text
//! L = mean[ −log π(a|s) · A + c_v · ½ (V − R)² − c_e · H(π) ]
//! ```

use std::ops::Range;

use skirl_math::stats::sum;
use skirl_nn::Tape;

use crate::contract::policy::{DIST_INPUTS, Policy, VALUE};
use crate::error::Error;
use crate::learn::{ActionTerms, Loss, LossContext};

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

impl PolicyGradientLoss {
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
    type Scratch = ActionTerms;

    fn scratch(&self, policy: &Policy, max_rows: usize) -> ActionTerms {
        ActionTerms::new(policy, max_rows)
    }

    fn stats(&self) -> &'static [&'static str] {
        if self.vf_loss_coeff.is_some() { &STATS } else { &STATS[..2] }
    }

    fn total(&self, means: &[f64]) -> f64 {
        let value = self.vf_loss_coeff.map_or(0.0, |coeff| f64::from(coeff) * means[2]);
        means[0] + value - f64::from(self.entropy_coeff) * means[1]
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
        terms: &mut ActionTerms,
        stats: &mut [f64],
    ) -> Result<(), Error> {
        if outputs.contains(&VALUE) {
            self.value_loss(context, rows.clone(), tape, stats);
        }
        if !outputs.contains(&DIST_INPUTS) {
            return Ok(());
        }
        let advantages = &context.batch.advantages[rows.clone()];
        terms.through(context, rows.clone(), false, tape, |terms| {
            for ((d, logp), &advantage) in terms.d_logp.iter_mut().zip(&terms.logp).zip(advantages) {
                *d = -advantage * context.inverse_rows;
                stats[0] -= f64::from(logp * advantage);
            }
            stats[1] += sum(&terms.entropy[..rows.len()]);
            terms.d_entropy.fill(-self.entropy_coeff * context.inverse_rows);
        })
    }
}
