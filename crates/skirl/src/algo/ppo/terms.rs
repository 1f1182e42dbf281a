//! The terms of the loss that are the same for all distributions, sixteen rows at a time.

use skirl_nn::simd::{self, Kernel, LANES, Simd, dispatch};

use super::loss::PpoLoss;

/// What [`surrogate`] reads, one number per row.
#[derive(Clone, Copy)]
pub(super) struct Acted<'a> {
    pub(super) logp: &'a [f32],
    pub(super) old_logp: &'a [f32],
    pub(super) advantages: &'a [f32],
}

/// Sums over the rows of one chunk.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct SurrogateSums {
    /// `−min(ρ A, clip(ρ) A)`.
    pub(super) loss: f32,
    /// Rows whose ratio is outside the range.
    pub(super) clipped: f32,
    /// Schulman's k3 estimate of KL(π_old ‖ π): (ρ − 1) − ln ρ, never negative but for rounding.
    pub(super) kl: f32,
}

struct Surrogate<'a> {
    acted: Acted<'a>,
    clip_param: f32,
    scale: f32,
    d_logp: &'a mut [f32],
}

impl Kernel for Surrogate<'_> {
    type Output = SurrogateSums;
    #[inline(always)]
    fn run<S: Simd>(self, s: S) -> SurrogateSums {
        let (zero, one) = (s.splat(0.0), s.splat(1.0));
        let (low, high) = (s.splat(1.0 - self.clip_param), s.splat(1.0 + self.clip_param));
        let scale = s.splat(-self.scale);
        let Acted { logp, old_logp, advantages } = self.acted;
        let mut sums = [zero; 3];
        for start in (0..self.d_logp.len()).step_by(LANES) {
            let (logp, old_logp) = (s.load_front(&logp[start..]), s.load_front(&old_logp[start..]));
            let advantage = s.load_front(&advantages[start..]);
            let log_ratio = s.sub(logp, old_logp);
            let ratio = simd::exp(s, log_ratio);
            let plain = s.mul(ratio, advantage);
            let bounded = s.mul(s.max(low, s.min(high, ratio)), advantage);
            // Where the bound is the smaller one, it does not move with the ratio.
            let d = s.select_lt(bounded, plain, zero, s.mul(plain, scale));
            s.store_front(d, &mut self.d_logp[start..]);
            let clipped = s.select_lt(high, ratio, one, s.select_lt(ratio, low, one, zero));
            sums[0] = s.sub(sums[0], s.min(bounded, plain));
            sums[1] = s.add(sums[1], clipped);
            sums[2] = s.add(sums[2], s.sub(s.sub(ratio, one), log_ratio));
        }
        // Not with `map`: a closure may be compiled without the instructions.
        let [loss, clipped, kl] = sums;
        SurrogateSums { loss: s.reduce_add(loss), clipped: s.reduce_add(clipped), kl: s.reduce_add(kl) }
    }
}

/// The clipped surrogate: fills `d_logp` with its derivative times `scale`.
pub(super) fn surrogate(acted: Acted<'_>, clip_param: f32, scale: f32, d_logp: &mut [f32]) -> SurrogateSums {
    dispatch(Surrogate { acted, clip_param, scale, d_logp })
}

/// What [`value_loss`] reads, one number per row.
#[derive(Clone, Copy)]
pub(super) struct Valued<'a> {
    pub(super) values: &'a [f32],
    pub(super) old_values: &'a [f32],
    pub(super) targets: &'a [f32],
}

/// Sums over the rows of one chunk.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct ValueSums {
    /// The loss, clipped as the options say.
    pub(super) loss: f32,
    /// The squared errors.
    pub(super) unclipped: f32,
}

struct ValueLoss<'a> {
    valued: Valued<'a>,
    loss: &'a PpoLoss,
    scale: f32,
    d_values: &'a mut [f32],
}

impl Kernel for ValueLoss<'_> {
    type Output = ValueSums;
    #[inline(always)]
    fn run<S: Simd>(self, s: S) -> ValueSums {
        let Valued { values, old_values, targets } = self.valued;
        let (zero, most) = (s.splat(0.0), s.splat(self.loss.vf_clip_param));
        let mut sums = [zero; 2];
        for start in (0..self.d_values.len()).step_by(LANES) {
            let (value, target) = (s.load_front(&values[start..]), s.load_front(&targets[start..]));
            let error = s.sub(value, target);
            let squared = s.mul(error, error);
            let (mut loss, mut half_gradient) = (squared, error);
            if self.loss.clip_range_vf.is_finite() {
                let old = s.load_front(&old_values[start..]);
                [loss, half_gradient] =
                    around_old(s, self.loss.clip_range_vf, [value, old, target], [loss, half_gradient]);
            }
            half_gradient = s.select_lt(most, loss, zero, half_gradient);
            loss = s.min(most, loss);
            s.store_front(s.mul(s.splat(2.0 * self.scale), half_gradient), &mut self.d_values[start..]);
            sums[0] = s.add(sums[0], loss);
            sums[1] = s.add(sums[1], squared);
        }
        ValueSums { loss: s.reduce_add(sums[0]), unclipped: s.reduce_add(sums[1]) }
    }
}

/// Loss and half its derivative, or those of the value clipped to ± `range` around the old one where they are worse.
#[inline(always)]
fn around_old<S: Simd>(s: S, range: f32, [value, old, target]: [S::V; 3], plain: [S::V; 2]) -> [S::V; 2] {
    let step = s.sub(value, old);
    let cut = s.max(s.splat(-range), s.min(s.splat(range), step));
    let bounded = s.sub(s.add(old, cut), target);
    let squared = s.mul(bounded, bounded);
    let moving = s.select_lt(s.abs(step), s.splat(range), bounded, s.splat(0.0));
    [s.select_lt(plain[0], squared, squared, plain[0]), s.select_lt(plain[0], squared, moving, plain[1])]
}

/// The loss of the value function: fills `d_values` with its derivative times `scale`.
pub(super) fn value_loss(valued: Valued<'_>, loss: &PpoLoss, scale: f32, d_values: &mut [f32]) -> ValueSums {
    dispatch(ValueLoss { valued, loss, scale, d_values })
}
