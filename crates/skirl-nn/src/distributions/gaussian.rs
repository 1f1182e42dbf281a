//! Independent normal numbers, plain or squashed by tanh. Inputs are `[mean | log_std]`.

use std::f32::consts::LN_2;

use skirl_math::rng::{StreamKey, kth_word, open_unit_f32};

use super::normal::quantile;
use super::rows::{Block, Column, Query, expect, expect_mat};
use super::{ActionsMut, ActionsRef, DistScratch, Distribution, Evaluated, EvaluatedGrad, Reparameterized};
use crate::NnError;
use crate::kernels::vmath;
use crate::matrix::{Mat, MatMut};
use crate::simd::{self, Kernel, LANES, Simd, dispatch};

/// `ln √(2π)`
const LN_SQRT_TAU: f32 = 0.918_938_5;
/// `ln √(2πe)`, the entropy of a standard normal number
const UNIT_ENTROPY: f32 = 1.418_938_5;

/// Independent normal numbers: action `j` has mean `inputs[j]` and standard deviation
/// `exp(inputs[width + j])`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DiagGaussian {
    width: usize,
}

/// Independent normal numbers squashed into (−1, 1): the environment gets `a = tanh(u)`, `u ~ N(mean, std²)`.
///
/// **The stored action is `u`, before squashing**; [`Distribution::squash`] yields `a`. So neither `atanh`
/// nor any clamp stands between an action and its log-density, and ratios stay exact where `tanh` has rounded
/// to ±1. Log-densities are of `a`:
///
/// `ln p(a) = ln N(u) − Σ ln(1 − tanh² u)`, with `ln(1 − tanh² u) = 2 (ln 2 − |u| − ln(1 + e^(−2|u|)))`.
///
/// Actions that come from elsewhere in (−1, 1) are stored by [`SquashedGaussian::unsquash`].
///
/// The entropy has no closed form: what is reported is `H[u] + Σ ln(1 − tanh² u)` at the given action,
/// unbiased if the action was drawn under `inputs`. Its gradient is the reparameterised one
/// (`u = mean + std·ε` with ε held fixed), unbiased as well. The mode is taken before squashing (`u = mean`),
/// and the KL divergence is that of the normal numbers, which squashing leaves unchanged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SquashedGaussian {
    width: usize,
}

fn check_width(width: usize) -> Result<usize, NnError> {
    if width > 0 {
        return Ok(width);
    }
    Err(NnError::Spec { field: "width", expected: "one number or more".into(), found: "0".into() })
}

impl DiagGaussian {
    /// This many numbers per action.
    ///
    /// # Errors
    /// [`NnError::Spec`] if there are none.
    pub fn new(width: usize) -> Result<Self, NnError> {
        check_width(width).map(|width| Self { width })
    }
}

impl SquashedGaussian {
    /// This many numbers per action.
    ///
    /// # Errors
    /// [`NnError::Spec`] if there are none.
    pub fn new(width: usize) -> Result<Self, NnError> {
        check_width(width).map(|width| Self { width })
    }

    /// Squashed actions `a` (of another program, of a dataset) as this distribution stores them, in place:
    /// `atanh(a)`, with `|a|` cut at `1 − 2⁻²⁴`, the largest `f32` below 1, so that `|u| ≤ 8.67`.
    pub fn unsquash(actions: &mut [f32]) {
        const LARGEST: f64 = 1.0 - 1.0 / 16_777_216.0;
        for a in actions {
            *a = f64::from(*a).clamp(-LARGEST, LARGEST).atanh() as f32;
        }
    }
}

/// `ln(1 − tanh² u)`: exact to rounding for any u.
#[inline(always)]
pub(super) fn ln_slope<S: Simd>(s: S, u: S::V) -> S::V {
    let v = s.abs(u);
    let tail = simd::softplus(s, s.mul(s.splat(-2.0), v));
    s.mul(s.splat(2.0), s.sub(s.sub(s.splat(LN_2), v), tail))
}

/// `ln N(x; mean, std²)`, and ln of the squashed density if so.
#[inline(always)]
fn log_density<S: Simd, const SQUASHED: bool>(s: S, x: S::V, mean: S::V, log_std: S::V) -> S::V {
    let z = s.mul(s.sub(x, mean), inverse_std(s, log_std));
    let l = s.fnma(s.mul(s.splat(0.5), z), z, s.sub(s.splat(-LN_SQRT_TAU), log_std));
    if SQUASHED { s.sub(l, ln_slope(s, x)) } else { l }
}

#[inline(always)]
fn inverse_std<S: Simd>(s: S, log_std: S::V) -> S::V {
    simd::exp(s, s.sub(s.splat(0.0), log_std))
}

/// The squares of `std_old/std_new` and of `(mean_old − mean_new)/std_new`.
#[inline(always)]
fn ratios<S: Simd>(s: S, old: [S::V; 2], new: [S::V; 2]) -> [S::V; 2] {
    let narrowing = simd::exp(s, s.mul(s.splat(2.0), s.sub(old[1], new[1])));
    let shift = s.mul(s.sub(old[0], new[0]), inverse_std(s, new[1]));
    [narrowing, s.mul(shift, shift)]
}

/// Where mean `j`, log-deviation `j` and action `j` of a block lie.
struct Columns<'a> {
    mean: &'a mut [Column],
    log_std: &'a mut [Column],
    old_mean: &'a mut [Column],
    old_log_std: &'a mut [Column],
    action: &'a mut [Column],
}

impl<'a> Columns<'a> {
    const PER_NUMBER: usize = 5;

    #[inline(always)]
    fn gather(all: &'a mut [Column], query: &Query<'_, f32>, block: Block) -> Self {
        let width = all.len() / Self::PER_NUMBER;
        let (new, rest) = all.split_at_mut(2 * width);
        let (old, action) = rest.split_at_mut(2 * width);
        block.gather(query.inputs, new);
        if let Some(inputs) = query.old_inputs {
            block.gather(inputs, old);
        }
        if width == 1 {
            action[0] = block.get(query.actions, width, 0);
        } else {
            for lane in 0..block.lanes {
                let row = &query.actions[(block.first + lane) * width..][..width];
                for (column, &x) in action.iter_mut().zip(row) {
                    column[lane] = x;
                }
            }
        }
        let (mean, log_std) = new.split_at_mut(width);
        let (old_mean, old_log_std) = old.split_at_mut(width);
        Self { mean, log_std, old_mean, old_log_std, action }
    }
}

struct Evaluate<'a, const SQUASHED: bool> {
    query: Query<'a, f32>,
    out: Evaluated<'a>,
    columns: &'a mut [Column],
}

impl<const SQUASHED: bool> Kernel for Evaluate<'_, SQUASHED> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self { query, out, columns } = self;
        let half = s.splat(0.5);
        for block in Block::all(query.num_rows()) {
            let c = Columns::gather(columns, &query, block);
            let mut sums = [s.splat(0.0); 3];
            for j in 0..c.mean.len() {
                let new = [s.load(&c.mean[j]), s.load(&c.log_std[j])];
                let x = s.load(&c.action[j]);
                sums[0] = s.add(sums[0], log_density::<S, SQUASHED>(s, x, new[0], new[1]));
                sums[1] = s.add(sums[1], s.add(new[1], s.splat(UNIT_ENTROPY)));
                if SQUASHED {
                    sums[1] = s.add(sums[1], ln_slope(s, x));
                }
                if query.old_inputs.is_some() {
                    let old = [s.load(&c.old_mean[j]), s.load(&c.old_log_std[j])];
                    let [narrowing, shift] = ratios(s, old, new);
                    let quadratic = s.sub(s.mul(half, s.add(narrowing, shift)), half);
                    sums[2] = s.add(sums[2], s.add(quadratic, s.sub(new[1], old[1])));
                }
            }
            block.store(s, sums[0], out.logp);
            block.store(s, sums[1], out.entropy);
            block.store(s, sums[2], out.kl);
        }
    }
}

struct Backward<'a, const SQUASHED: bool> {
    query: Query<'a, f32>,
    d_out: EvaluatedGrad<'a>,
    d_inputs: MatMut<'a>,
    columns: &'a mut [Column],
}

impl<const SQUASHED: bool> Kernel for Backward<'_, SQUASHED> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self { query, d_out, mut d_inputs, columns } = self;
        let one = s.splat(1.0);
        for block in Block::all(query.num_rows()) {
            let c = Columns::gather(columns, &query, block);
            let (d_logp, d_entropy) = (block.load(s, d_out.logp), block.load(s, d_out.entropy));
            for j in 0..c.mean.len() {
                let new = [s.load(&c.mean[j]), s.load(&c.log_std[j])];
                let x = s.load(&c.action[j]);
                let inverse = inverse_std(s, new[1]);
                let offset = s.sub(x, new[0]);
                let z = s.mul(offset, inverse);
                // d logp/d mean = z/std    d logp/d log_std = z² − 1    dH/d log_std = 1
                let mut d_mean = s.mul(d_logp, s.mul(z, inverse));
                let mut d_log_std = s.fma(d_logp, s.sub(s.mul(z, z), one), d_entropy);
                if SQUASHED {
                    // d ln(1 − tanh² u)/du = −2 tanh u, and u moves with mean and log_std.
                    let slope = s.mul(d_entropy, s.mul(s.splat(-2.0), simd::tanh(s, x)));
                    d_mean = s.add(d_mean, slope);
                    d_log_std = s.fma(slope, offset, d_log_std);
                }
                if query.old_inputs.is_some() {
                    // dKL/d mean = (mean − mean_old)/std²    dKL/d log_std = 1 − narrowing − shift
                    let d_kl = block.load(s, d_out.kl);
                    let old = [s.load(&c.old_mean[j]), s.load(&c.old_log_std[j])];
                    let [narrowing, shift] = ratios(s, old, new);
                    let pull = s.mul(s.mul(s.sub(new[0], old[0]), inverse), inverse);
                    d_mean = s.fma(d_kl, pull, d_mean);
                    d_log_std = s.fma(d_kl, s.sub(s.sub(one, narrowing), shift), d_log_std);
                }
                s.store(d_mean, &mut c.mean[j]);
                s.store(d_log_std, &mut c.log_std[j]);
            }
            let num_inputs = 2 * c.mean.len();
            block.scatter(&columns[..num_inputs], &mut d_inputs);
        }
    }
}

struct Sample<'a, const SQUASHED: bool> {
    inputs: Mat<'a>,
    keys: &'a [StreamKey],
    counter: u64,
    actions: &'a mut [f32],
    logp: &'a mut [f32],
    columns: &'a mut [Column],
}

impl<const SQUASHED: bool> Kernel for Sample<'_, SQUASHED> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let width = self.inputs.num_cols() / 2;
        for block in Block::all(self.inputs.num_rows()) {
            block.gather(self.inputs, self.columns);
            let mut words = [0; LANES];
            for (word, key) in words.iter_mut().zip(&self.keys[block.first..]) {
                *word = key.word(self.counter);
            }
            let mut total = s.splat(0.0);
            for j in 0..width {
                let (mean, log_std) = (s.load(&self.columns[j]), s.load(&self.columns[width + j]));
                let uniform = words.map(|w| open_unit_f32(kth_word(w, j as u64)));
                let noise = quantile(s, s.load(&uniform));
                let x = s.fma(simd::exp(s, log_std), noise, mean);
                total = s.add(total, log_density::<S, SQUASHED>(s, x, mean, log_std));
                let mut column = [0.0; LANES];
                s.store(x, &mut column);
                block.put(column, self.actions, width, j);
            }
            block.store(s, total, self.logp);
        }
    }
}

fn copy_means(width: usize, inputs: Mat<'_>, actions: ActionsMut<'_>) -> Result<(), NnError> {
    expect_mat("inputs", inputs.num_rows(), 2 * width, inputs)?;
    let actions = actions.continuous(inputs.num_rows(), width)?;
    for (i, action) in actions.chunks_exact_mut(width).enumerate() {
        action.copy_from_slice(&inputs.row(i)[..width]);
    }
    Ok(())
}

/// The methods that differ between the two only in a type parameter.
macro_rules! gaussian {
    ($name:ty, $squashed:literal $(, $squash:item)?) => {
        impl Distribution for $name {
            fn num_inputs(&self) -> usize {
                2 * self.width
            }

            fn action_width(&self) -> usize {
                self.width
            }

            fn is_discrete(&self) -> bool {
                false
            }

            fn scratch(&self) -> DistScratch {
                DistScratch::new(Columns::PER_NUMBER * self.width)
            }

            $($squash)?

            fn reparameterized(&self) -> Option<&dyn Reparameterized> {
                Some(self)
            }

            fn sample(
                &self,
                inputs: Mat<'_>,
                keys: &[StreamKey],
                counter: u64,
                actions: ActionsMut<'_>,
                logp: &mut [f32],
                scratch: &mut DistScratch,
            ) -> Result<(), NnError> {
                let rows = inputs.num_rows();
                expect_mat("inputs", rows, 2 * self.width, inputs)?;
                expect("keys", rows, keys.len())?;
                expect("logp", rows, logp.len())?;
                let actions = actions.continuous(rows, self.width)?;
                let columns = scratch.columns(2 * self.width);
                dispatch(Sample::<$squashed> { inputs, keys, counter, actions, logp, columns });
                Ok(())
            }

            fn mode(
                &self,
                inputs: Mat<'_>,
                actions: ActionsMut<'_>,
                _scratch: &mut DistScratch,
            ) -> Result<(), NnError> {
                copy_means(self.width, inputs, actions)
            }

            fn evaluate(
                &self,
                inputs: Mat<'_>,
                actions: ActionsRef<'_>,
                old_inputs: Option<Mat<'_>>,
                out: Evaluated<'_>,
                scratch: &mut DistScratch,
            ) -> Result<(), NnError> {
                let actions = actions.continuous(inputs.num_rows(), self.width)?;
                let query = Query::new(2 * self.width, inputs, actions, old_inputs)?;
                out.check(inputs.num_rows())?;
                let columns = scratch.columns(Columns::PER_NUMBER * self.width);
                dispatch(Evaluate::<$squashed> { query, out, columns });
                Ok(())
            }

            fn backward(
                &self,
                inputs: Mat<'_>,
                actions: ActionsRef<'_>,
                old_inputs: Option<Mat<'_>>,
                d_out: EvaluatedGrad<'_>,
                d_inputs: MatMut<'_>,
                scratch: &mut DistScratch,
            ) -> Result<(), NnError> {
                let actions = actions.continuous(inputs.num_rows(), self.width)?;
                let query = Query::new(2 * self.width, inputs, actions, old_inputs)?;
                d_out.check(&query, &d_inputs)?;
                let columns = scratch.columns(Columns::PER_NUMBER * self.width);
                dispatch(Backward::<$squashed> { query, d_out, d_inputs, columns });
                Ok(())
            }
        }
    };
}

gaussian!(DiagGaussian, false);
gaussian!(
    SquashedGaussian,
    true,
    fn squash(&self, actions: &mut [f32]) {
        vmath::tanh(actions);
    }
);
