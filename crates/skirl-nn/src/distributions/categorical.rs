//! Categorical distributions over one or several choices, from unnormalised log-probabilities (logits).

use std::ops::Range;

use skirl_math::rng::{StreamKey, kth_word, unit_f32};

use super::rows::{Block, Column, FEW, Query, expect, expect_mat};
use super::{ActionsMut, ActionsRef, DistScratch, Distribution, Evaluated, EvaluatedGrad};
use crate::NnError;
use crate::matrix::{Mat, MatMut};
use crate::simd::{self, Kernel, LANES, Simd, dispatch};

/// Several independent categorical choices: component `c` is an index below `sizes[c]`. Inputs are the
/// components' logits one after the other.
///
/// Sampling inverts the cumulative distribution with one 24-bit uniform per component, so probabilities are
/// resolved to 2⁻²⁴: ample for thousands of choices, coarse beyond 10⁵.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MultiCategorical {
    ranges: Vec<Range<usize>>,
    num_inputs: usize,
}

impl MultiCategorical {
    /// Components with these numbers of choices.
    ///
    /// # Errors
    /// [`NnError::Spec`] if there is no component or one without choices.
    pub fn new(sizes: &[usize]) -> Result<Self, NnError> {
        if sizes.is_empty() || sizes.contains(&0) {
            return Err(NnError::Spec {
                field: "sizes",
                expected: "one component or more, each with one choice or more".into(),
                found: format!("{sizes:?}"),
            });
        }
        let ends = sizes.iter().scan(0, |end, &n| {
            *end += n;
            Some(*end)
        });
        let ranges: Vec<_> = ends.zip(sizes).map(|(end, &n)| end - n..end).collect();
        Ok(Self { num_inputs: sizes.iter().sum(), ranges })
    }
}

/// One choice among `n`, from its logits. Actions are indices from 0; a space that starts elsewhere adds its
/// start outside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Categorical(MultiCategorical);

impl Categorical {
    /// `n` choices.
    ///
    /// # Errors
    /// [`NnError::Spec`] if there are none.
    pub fn new(n: usize) -> Result<Self, NnError> {
        MultiCategorical::new(&[n]).map(Self)
    }
}

/// Logits below this count as masked. Finite, so that zero probability times it is zero.
const MASKED: f32 = -1e30;

/// Turns logits into log-probabilities, in place, and probabilities. Masked choices get probability exactly
/// 0.
///
/// Subtracting the largest logit before the logarithm of the sum keeps full precision even for logits of 1e4.
#[inline(always)]
fn log_softmax<S: Simd>(s: S, logits: &mut [Column], probs: &mut [Column]) {
    let masked = s.splat(MASKED);
    let mut largest = masked;
    for z in &mut *logits {
        // In this order a NaN stays.
        let clamped = s.max(masked, s.load(z));
        s.store(clamped, z);
        largest = s.max(largest, clamped);
    }
    let mut sum = s.splat(0.0);
    for (z, p) in logits.iter_mut().zip(&mut *probs) {
        let shifted = s.sub(s.load(z), largest);
        let e = simd::exp(s, shifted);
        sum = s.add(sum, e);
        s.store(shifted, z);
        s.store(e, p);
    }
    let (ln_sum, inverse) = (simd::ln(s, sum), s.div(s.splat(1.0), sum));
    for (z, p) in logits.iter_mut().zip(probs) {
        s.store(s.sub(s.load(z), ln_sum), z);
        s.store(s.mul(s.load(p), inverse), p);
    }
}

/// `−Σ p ln p`
#[inline(always)]
fn entropy<S: Simd>(s: S, logp: &[Column], probs: &[Column]) -> S::V {
    let mut h = s.splat(0.0);
    for (l, p) in logp.iter().zip(probs) {
        h = s.fnma(s.load(p), s.load(l), h);
    }
    h
}

/// Whether each lane's choice is number `j`: `yes` where it is, else `no`.
#[inline(always)]
fn where_chosen<S: Simd>(s: S, choices: S::V, j: usize, yes: S::V, no: S::V) -> S::V {
    let j = j as f32;
    let from_j = s.select_lt(s.splat(j - 0.5), choices, yes, no);
    s.select_lt(choices, s.splat(j + 0.5), from_j, no)
}

/// The choices as numbers to compare; those that do not exist equal none.
#[inline(always)]
fn comparable<S: Simd>(s: S, choices: &[i64; LANES]) -> S::V {
    s.load(&choices.map(|choice| choice as f32))
}

/// The column's element of each lane's own choice; NaN for a choice that does not exist.
#[inline(always)]
fn pick<S: Simd>(s: S, columns: &[Column], choices: &[i64; LANES]) -> S::V {
    if columns.len() <= FEW {
        let (choices, mut picked) = (comparable(s, choices), s.splat(f32::NAN));
        for (j, column) in columns.iter().enumerate() {
            picked = where_chosen(s, choices, j, s.load(column), picked);
        }
        return picked;
    }
    let mut picked = [0.0; LANES];
    for (lane, (to, &choice)) in picked.iter_mut().zip(choices).enumerate() {
        // A negative number becomes a huge one.
        *to = columns.get(choice as usize).map_or(f32::NAN, |column| column[lane]);
    }
    s.load(&picked)
}

/// Adds `d` to the column of each lane's own choice.
#[inline(always)]
fn add_to_chosen<S: Simd>(s: S, columns: &mut [Column], choices: &[i64; LANES], d: S::V) {
    if columns.len() <= FEW {
        let choices = comparable(s, choices);
        for (j, column) in columns.iter_mut().enumerate() {
            let part = where_chosen(s, choices, j, d, s.splat(0.0));
            s.store(s.add(s.load(column), part), column);
        }
        return;
    }
    let mut each = [0.0; LANES];
    s.store(d, &mut each);
    for (lane, (&choice, d)) in choices.iter().zip(each).enumerate() {
        if let Some(column) = usize::try_from(choice).ok().and_then(|a| columns.get_mut(a)) {
            column[lane] += d;
        }
    }
}

struct Evaluate<'a> {
    dist: &'a MultiCategorical,
    query: Query<'a, i64>,
    out: Evaluated<'a>,
    columns: &'a mut [Column],
}

impl Kernel for Evaluate<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self { dist, query, out, columns } = self;
        let n = dist.num_inputs;
        let (logp, rest) = columns.split_at_mut(n);
        let (probs, rest) = rest.split_at_mut(n);
        let (old_logp, old_probs) = rest.split_at_mut(n);
        for block in Block::all(query.num_rows()) {
            block.gather(query.inputs, logp);
            if let Some(old) = query.old_inputs {
                block.gather(old, old_logp);
            }
            let mut sums = [s.splat(0.0); 3];
            for (c, range) in dist.ranges.iter().enumerate() {
                let (l, p) = (&mut logp[range.clone()], &mut probs[range.clone()]);
                log_softmax(s, l, p);
                let picked = pick(s, l, &block.get(query.actions, dist.ranges.len(), c));
                sums[0] = s.add(sums[0], picked);
                sums[1] = s.add(sums[1], entropy(s, l, p));
                if query.old_inputs.is_some() {
                    let (ol, op) = (&mut old_logp[range.clone()], &mut old_probs[range.clone()]);
                    log_softmax(s, ol, op);
                    for ((ol, op), l) in ol.iter().zip(op.iter()).zip(l.iter()) {
                        sums[2] = s.fma(s.load(op), s.sub(s.load(ol), s.load(l)), sums[2]);
                    }
                }
            }
            block.store(s, sums[0], out.logp);
            block.store(s, sums[1], out.entropy);
            block.store(s, sums[2], out.kl);
        }
    }
}

struct Backward<'a> {
    dist: &'a MultiCategorical,
    query: Query<'a, i64>,
    d_out: EvaluatedGrad<'a>,
    d_inputs: MatMut<'a>,
    columns: &'a mut [Column],
}

impl Kernel for Backward<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self { dist, query, d_out, mut d_inputs, columns } = self;
        let n = dist.num_inputs;
        let (logp, rest) = columns.split_at_mut(n);
        let (probs, rest) = rest.split_at_mut(n);
        let (old_logp, old_probs) = rest.split_at_mut(n);
        for block in Block::all(query.num_rows()) {
            block.gather(query.inputs, logp);
            let d_logp = block.load(s, d_out.logp);
            let d_entropy = block.load(s, d_out.entropy);
            if let Some(old) = query.old_inputs {
                block.gather(old, old_logp);
            }
            for (c, range) in dist.ranges.iter().enumerate() {
                let (l, p) = (&mut logp[range.clone()], &mut probs[range.clone()]);
                log_softmax(s, l, p);
                let h = entropy(s, l, p);
                // d logp/dz = 1[a] − p    dH/dz = −p (ln p + H)    dKL/dz = p − p_old
                for (l, p) in l.iter_mut().zip(p.iter()) {
                    let factor = s.fma(d_entropy, s.add(s.load(l), h), d_logp);
                    s.store(s.sub(s.splat(0.0), s.mul(s.load(p), factor)), l);
                }
                if query.old_inputs.is_some() {
                    let d_kl = block.load(s, d_out.kl);
                    let (ol, op) = (&mut old_logp[range.clone()], &mut old_probs[range.clone()]);
                    log_softmax(s, ol, op);
                    for ((grad, p), op) in l.iter_mut().zip(p.iter()).zip(op.iter()) {
                        s.store(s.fma(d_kl, s.sub(s.load(p), s.load(op)), s.load(grad)), grad);
                    }
                }
                add_to_chosen(s, l, &block.get(query.actions, dist.ranges.len(), c), d_logp);
            }
            block.scatter(logp, &mut d_inputs);
        }
    }
}

/// Index of the first largest column of every lane.
#[inline(always)]
fn argmax<S: Simd>(s: S, columns: &[Column]) -> S::V {
    let (mut best, mut index) = (s.splat(f32::NEG_INFINITY), s.splat(0.0));
    for (j, z) in columns.iter().enumerate() {
        let z = s.load(z);
        index = s.select_lt(best, z, s.splat(j as f32), index);
        best = s.max(z, best);
    }
    index
}

/// The first choice whose cumulative probability exceeds `u`: how many do not. Should rounding leave none,
/// the most probable one. A choice of probability 0 is never the first to exceed.
#[inline(always)]
fn invert<S: Simd>(s: S, probs: &[Column], u: S::V) -> S::V {
    let (zero, one) = (s.splat(0.0), s.splat(1.0));
    let (mut cumulative, mut index) = (zero, zero);
    for p in probs {
        cumulative = s.add(cumulative, s.load(p));
        index = s.add(index, s.select_lt(u, cumulative, zero, one));
    }
    s.select_lt(u, cumulative, index, argmax(s, probs))
}

struct Sample<'a> {
    dist: &'a MultiCategorical,
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
        let Self { dist, inputs, keys, counter, actions, logp, columns } = self;
        let (log_probs, probs) = columns.split_at_mut(dist.num_inputs);
        let width = dist.ranges.len();
        for block in Block::all(inputs.num_rows()) {
            block.gather(inputs, log_probs);
            let mut words = [0; LANES];
            for (word, key) in words.iter_mut().zip(&keys[block.first..]) {
                *word = key.word(counter);
            }
            let mut total = s.splat(0.0);
            for (c, range) in dist.ranges.iter().enumerate() {
                let (l, p) = (&mut log_probs[range.clone()], &mut probs[range.clone()]);
                log_softmax(s, l, p);
                let uniforms = words.map(|w| unit_f32(kth_word(w, c as u64)));
                let mut index = [0.0; LANES];
                s.store(invert(s, p, s.load(&uniforms)), &mut index);
                let chosen = index.map(|x| x as i64);
                block.put(chosen, actions, width, c);
                total = s.add(total, pick(s, l, &chosen));
            }
            block.store(s, total, logp);
        }
    }
}

struct Mode<'a> {
    dist: &'a MultiCategorical,
    inputs: Mat<'a>,
    actions: &'a mut [i64],
    columns: &'a mut [Column],
}

impl Kernel for Mode<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let width = self.dist.ranges.len();
        for block in Block::all(self.inputs.num_rows()) {
            block.gather(self.inputs, self.columns);
            for (c, range) in self.dist.ranges.iter().enumerate() {
                let mut index = [0.0; LANES];
                s.store(argmax(s, &self.columns[range.clone()]), &mut index);
                block.put(index.map(|x| x as i64), self.actions, width, c);
            }
        }
    }
}

impl Distribution for MultiCategorical {
    fn num_inputs(&self) -> usize {
        self.num_inputs
    }

    fn action_width(&self) -> usize {
        self.ranges.len()
    }

    fn is_discrete(&self) -> bool {
        true
    }

    fn scratch(&self) -> DistScratch {
        DistScratch::new(4 * self.num_inputs)
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
        expect_mat("inputs", rows, self.num_inputs, inputs)?;
        expect("keys", rows, keys.len())?;
        expect("logp", rows, logp.len())?;
        let actions = actions.discrete(rows, self.action_width())?;
        let columns = scratch.columns(2 * self.num_inputs);
        dispatch(Sample { dist: self, inputs, keys, counter, actions, logp, columns });
        Ok(())
    }

    fn mode(
        &self,
        inputs: Mat<'_>,
        actions: ActionsMut<'_>,
        scratch: &mut DistScratch,
    ) -> Result<(), NnError> {
        expect_mat("inputs", inputs.num_rows(), self.num_inputs, inputs)?;
        let actions = actions.discrete(inputs.num_rows(), self.action_width())?;
        dispatch(Mode { dist: self, inputs, actions, columns: scratch.columns(self.num_inputs) });
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
        let actions = actions.discrete(inputs.num_rows(), self.action_width())?;
        let query = Query::new(self.num_inputs, inputs, actions, old_inputs)?;
        out.check(inputs.num_rows())?;
        dispatch(Evaluate { dist: self, query, out, columns: scratch.columns(4 * self.num_inputs) });
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
        let actions = actions.discrete(inputs.num_rows(), self.action_width())?;
        let query = Query::new(self.num_inputs, inputs, actions, old_inputs)?;
        d_out.check(&query, &d_inputs)?;
        let columns = scratch.columns(4 * self.num_inputs);
        dispatch(Backward { dist: self, query, d_out, d_inputs, columns });
        Ok(())
    }
}

impl Distribution for Categorical {
    fn num_inputs(&self) -> usize {
        self.0.num_inputs()
    }

    fn action_width(&self) -> usize {
        1
    }

    fn is_discrete(&self) -> bool {
        true
    }

    fn scratch(&self) -> DistScratch {
        self.0.scratch()
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
        self.0.sample(inputs, keys, counter, actions, logp, scratch)
    }

    fn mode(
        &self,
        inputs: Mat<'_>,
        actions: ActionsMut<'_>,
        scratch: &mut DistScratch,
    ) -> Result<(), NnError> {
        self.0.mode(inputs, actions, scratch)
    }

    fn evaluate(
        &self,
        inputs: Mat<'_>,
        actions: ActionsRef<'_>,
        old_inputs: Option<Mat<'_>>,
        out: Evaluated<'_>,
        scratch: &mut DistScratch,
    ) -> Result<(), NnError> {
        self.0.evaluate(inputs, actions, old_inputs, out, scratch)
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
        self.0.backward(inputs, actions, old_inputs, d_out, d_inputs, scratch)
    }
}
