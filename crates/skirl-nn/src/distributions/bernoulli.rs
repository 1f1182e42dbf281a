//! Independent bits, from their logits.

use skirl_math::rng::{StreamKey, kth_word, unit_f32};

use super::rows::{Block, Column, Query, expect, expect_mat};
use super::{ActionsMut, ActionsRef, DistScratch, Distribution, Evaluated, EvaluatedGrad};
use crate::NnError;
use crate::matrix::{Mat, MatMut};
use crate::simd::{self, Kernel, LANES, Simd, dispatch};

/// Several independent bits (a `MultiBinary` space), from the logits `ln p/(1−p)`. Actions are 0 or 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bernoulli {
    num_bits: usize,
}

impl Bernoulli {
    /// This many bits.
    ///
    /// # Errors
    /// [`NnError::Spec`] if there are none.
    pub fn new(num_bits: usize) -> Result<Self, NnError> {
        if num_bits == 0 {
            let (expected, found) = ("one bit or more".into(), "0".into());
            return Err(NnError::Spec { field: "num_bits", expected, found });
        }
        Ok(Self { num_bits })
    }
}

/// Larger logits are as good as certain; finite, so that probability zero times them is zero.
const CERTAIN: f32 = 1e30;

/// A logit within ±[`CERTAIN`]; NaN stays NaN.
#[inline(always)]
fn clamp<S: Simd>(s: S, logit: S::V) -> S::V {
    s.max(s.splat(-CERTAIN), s.min(s.splat(CERTAIN), logit))
}

#[inline(always)]
fn negate<S: Simd>(s: S, x: S::V) -> S::V {
    s.sub(s.splat(0.0), x)
}

/// `ln p(a)` for bits 0 or 1, given as a sign: +1 for 1, −1 for 0.
#[inline(always)]
fn logp<S: Simd>(s: S, logit: S::V, sign: S::V) -> S::V {
    negate(s, simd::softplus(s, negate(s, s.mul(sign, logit))))
}

/// `ln(1 + e^−|l|) + |l|·σ(−|l|)`
#[inline(always)]
fn entropy<S: Simd>(s: S, logit: S::V) -> S::V {
    let minus = negate(s, s.abs(logit));
    s.sub(simd::softplus(s, minus), s.mul(minus, simd::sigmoid(s, minus)))
}

/// `p_o (ln p_o − ln p_n) + (1−p_o) (ln (1−p_o) − ln (1−p_n))`
#[inline(always)]
fn kl<S: Simd>(s: S, old: S::V, new: S::V) -> S::V {
    let (minus_old, minus_new) = (negate(s, old), negate(s, new));
    let one = s.sub(simd::softplus(s, minus_new), simd::softplus(s, minus_old));
    let zero = s.sub(simd::softplus(s, new), simd::softplus(s, old));
    s.fma(simd::sigmoid(s, old), one, s.mul(simd::sigmoid(s, minus_old), zero))
}

/// Bit `j` of the block's actions as a sign; NaN for anything but 0 and 1.
#[inline(always)]
fn signs(actions: &[i64], width: usize, j: usize, block: Block) -> Column {
    block.get(actions, width, j).map(|bit| match bit {
        0 => -1.0,
        1 => 1.0,
        _ => f32::NAN,
    })
}

struct Evaluate<'a> {
    query: Query<'a, i64>,
    out: Evaluated<'a>,
    columns: &'a mut [Column],
}

impl Kernel for Evaluate<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self { query, out, columns } = self;
        let n = query.inputs.num_cols();
        let (logits, old_logits) = columns.split_at_mut(n);
        for block in Block::all(query.num_rows()) {
            block.gather(query.inputs, logits);
            if let Some(old) = query.old_inputs {
                block.gather(old, old_logits);
            }
            let mut sums = [s.splat(0.0); 3];
            for j in 0..n {
                let logit = clamp(s, s.load(&logits[j]));
                let sign = s.load(&signs(query.actions, n, j, block));
                sums[0] = s.add(sums[0], logp(s, logit, sign));
                sums[1] = s.add(sums[1], entropy(s, logit));
                if query.old_inputs.is_some() {
                    sums[2] = s.add(sums[2], kl(s, clamp(s, s.load(&old_logits[j])), logit));
                }
            }
            block.store(s, sums[0], out.logp);
            block.store(s, sums[1], out.entropy);
            block.store(s, sums[2], out.kl);
        }
    }
}

struct Backward<'a> {
    query: Query<'a, i64>,
    d_out: EvaluatedGrad<'a>,
    d_inputs: MatMut<'a>,
    columns: &'a mut [Column],
}

impl Kernel for Backward<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self { query, d_out, mut d_inputs, columns } = self;
        let n = query.inputs.num_cols();
        let (logits, old_logits) = columns.split_at_mut(n);
        for block in Block::all(query.num_rows()) {
            block.gather(query.inputs, logits);
            let d_logp = block.load(s, d_out.logp);
            let d_entropy = block.load(s, d_out.entropy);
            if let Some(old) = query.old_inputs {
                block.gather(old, old_logits);
            }
            for j in 0..n {
                let logit = clamp(s, s.load(&logits[j]));
                let sign = s.load(&signs(query.actions, n, j, block));
                let (p, q) = (simd::sigmoid(s, logit), simd::sigmoid(s, negate(s, logit)));
                // d logp/dl = ±σ(∓l)    dH/dl = −l p (1−p)    dKL/dl = p − p_old
                let miss = simd::sigmoid(s, negate(s, s.mul(sign, logit)));
                let mut grad = s.mul(d_logp, s.mul(sign, miss));
                grad = s.fnma(s.mul(d_entropy, logit), s.mul(p, q), grad);
                if query.old_inputs.is_some() {
                    let old_p = simd::sigmoid(s, clamp(s, s.load(&old_logits[j])));
                    grad = s.fma(block.load(s, d_out.kl), s.sub(p, old_p), grad);
                }
                s.store(grad, &mut logits[j]);
            }
            block.scatter(logits, &mut d_inputs);
        }
    }
}

struct Sample<'a> {
    inputs: Mat<'a>,
    keys: &'a [StreamKey],
    counter: u64,
    actions: &'a mut [i64],
    logp: &'a mut [f32],
    columns: &'a mut [Column],
}

impl Kernel for Sample<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let n = self.inputs.num_cols();
        for block in Block::all(self.inputs.num_rows()) {
            block.gather(self.inputs, self.columns);
            let mut words = [0; LANES];
            for (word, key) in words.iter_mut().zip(&self.keys[block.first..]) {
                *word = key.word(self.counter);
            }
            let mut total = s.splat(0.0);
            for (j, column) in self.columns.iter().enumerate() {
                let logit = clamp(s, s.load(column));
                let uniform = words.map(|w| unit_f32(kth_word(w, j as u64)));
                let p = simd::sigmoid(s, logit);
                let sign = s.select_lt(s.load(&uniform), p, s.splat(1.0), s.splat(-1.0));
                total = s.add(total, logp(s, logit, sign));
                let mut bits = [0.0; LANES];
                s.store(sign, &mut bits);
                block.put(bits.map(|b| i64::from(b > 0.0)), self.actions, n, j);
            }
            block.store(s, total, self.logp);
        }
    }
}

impl Distribution for Bernoulli {
    fn num_inputs(&self) -> usize {
        self.num_bits
    }

    fn action_width(&self) -> usize {
        self.num_bits
    }

    fn is_discrete(&self) -> bool {
        true
    }

    fn scratch(&self) -> DistScratch {
        DistScratch::new(2 * self.num_bits)
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
        expect_mat("inputs", rows, self.num_bits, inputs)?;
        expect("keys", rows, keys.len())?;
        expect("logp", rows, logp.len())?;
        let actions = actions.discrete(rows, self.num_bits)?;
        let columns = scratch.columns(self.num_bits);
        dispatch(Sample { inputs, keys, counter, actions, logp, columns });
        Ok(())
    }

    fn mode(
        &self,
        inputs: Mat<'_>,
        actions: ActionsMut<'_>,
        _scratch: &mut DistScratch,
    ) -> Result<(), NnError> {
        expect_mat("inputs", inputs.num_rows(), self.num_bits, inputs)?;
        let actions = actions.discrete(inputs.num_rows(), self.num_bits)?;
        for (i, bits) in actions.chunks_exact_mut(self.num_bits).enumerate() {
            for (bit, &logit) in bits.iter_mut().zip(inputs.row(i)) {
                *bit = i64::from(logit > 0.0);
            }
        }
        Ok(())
    }

    fn evaluate(
        &self,
        inputs: Mat<'_>,
        actions: ActionsRef<'_>,
        old_inputs: Option<Mat<'_>>,
        out: Evaluated<'_>,
        scratch: &mut DistScratch,
    ) -> Result<(), NnError> {
        let actions = actions.discrete(inputs.num_rows(), self.num_bits)?;
        let query = Query::new(self.num_bits, inputs, actions, old_inputs)?;
        out.check(inputs.num_rows())?;
        dispatch(Evaluate { query, out, columns: scratch.columns(2 * self.num_bits) });
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
        let actions = actions.discrete(inputs.num_rows(), self.num_bits)?;
        let query = Query::new(self.num_bits, inputs, actions, old_inputs)?;
        d_out.check(&query, &d_inputs)?;
        dispatch(Backward { query, d_out, d_inputs, columns: scratch.columns(2 * self.num_bits) });
        Ok(())
    }
}
