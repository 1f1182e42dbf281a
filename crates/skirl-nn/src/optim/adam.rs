//! Adam (Kingma and Ba 2015) and AdamW (Loshchilov and Hutter 2019), as in PyTorch: epsilon outside the
//! square root, added after the bias correction.

use super::{Optimizer, StepPiece, check_decay, check_eps, check_lens, check_not_negative, cut, cut_mut};
use crate::NnError;
use crate::matrix::AlignedVec;
use crate::simd::{Kernel, LANES, Simd, dispatch};

/// How weight decay enters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WeightDecay {
    /// Adam's: added to the gradient (L2 regularisation).
    Coupled,
    /// AdamW's: parameters shrink by `lr·weight_decay` before the update.
    Decoupled,
}

/// Options of [`Adam`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AdamOptions {
    /// Decay of the running mean of gradients, in [0, 1).
    pub beta1: f64,
    /// Decay of the running mean of squared gradients, in [0, 1).
    pub beta2: f64,
    /// Added to the denominator; above 0.
    pub eps: f64,
    /// Strength of weight decay; 0 or more.
    pub weight_decay: f64,
    /// How weight decay enters.
    pub decay: WeightDecay,
}

impl AdamOptions {
    /// PyTorch's defaults of Adam: betas 0.9 and 0.999, eps 1e-8, no weight decay.
    pub const ADAM: Self =
        Self { beta1: 0.9, beta2: 0.999, eps: 1e-8, weight_decay: 0.0, decay: WeightDecay::Coupled };
    /// PyTorch's defaults of AdamW: the same with decoupled weight decay of 0.01.
    pub const ADAMW: Self = Self { weight_decay: 0.01, decay: WeightDecay::Decoupled, ..Self::ADAM };
}

/// The Adam optimizer. Buffers: `exp_avg`, `exp_avg_sq`.
#[derive(Debug, Clone)]
pub struct Adam {
    options: AdamOptions,
    num_steps: u64,
    exp_avg: AlignedVec,
    exp_avg_sq: AlignedVec,
}

impl Adam {
    /// For a flat array of this length.
    ///
    /// # Errors
    /// [`NnError::Spec`] for an option out of range.
    pub fn new(options: AdamOptions, len: usize) -> Result<Self, NnError> {
        check_decay("beta1", options.beta1)?;
        check_decay("beta2", options.beta2)?;
        check_eps(options.eps)?;
        check_not_negative("weight_decay", options.weight_decay)?;
        Ok(Self {
            options,
            num_steps: 0,
            exp_avg: AlignedVec::zeros(len),
            exp_avg_sq: AlignedVec::zeros(len),
        })
    }

    /// The factors of step number `num_steps`, computed in f64.
    fn factors(&self, lr: f64) -> Factors<f32> {
        let o = &self.options;
        let t = i32::try_from(self.num_steps).unwrap_or(i32::MAX);
        let correction = |beta: f64| 1.0 - beta.powi(t);
        let coupled = o.decay == WeightDecay::Coupled;
        Factors {
            l2: if coupled { o.weight_decay } else { 0.0 } as f32,
            shrink: if coupled { 1.0 } else { 1.0 - lr * o.weight_decay } as f32,
            one_minus_beta1: (1.0 - o.beta1) as f32,
            beta2: o.beta2 as f32,
            one_minus_beta2: (1.0 - o.beta2) as f32,
            inverse_root: (1.0 / correction(o.beta2).sqrt()) as f32,
            eps: o.eps as f32,
            step_size: (lr / correction(o.beta1)) as f32,
        }
    }
}

/// What multiplies what in one step.
#[derive(Clone, Copy)]
struct Factors<T> {
    l2: T,
    shrink: T,
    one_minus_beta1: T,
    beta2: T,
    one_minus_beta2: T,
    inverse_root: T,
    eps: T,
    step_size: T,
}

impl Factors<f32> {
    #[inline(always)]
    fn splat<S: Simd>(self, s: S) -> Factors<S::V> {
        Factors {
            l2: s.splat(self.l2),
            shrink: s.splat(self.shrink),
            one_minus_beta1: s.splat(self.one_minus_beta1),
            beta2: s.splat(self.beta2),
            one_minus_beta2: s.splat(self.one_minus_beta2),
            inverse_root: s.splat(self.inverse_root),
            eps: s.splat(self.eps),
            step_size: s.splat(self.step_size),
        }
    }
}

struct Step<'a> {
    params: &'a mut [f32],
    grads: &'a [f32],
    exp_avg: &'a mut [f32],
    exp_avg_sq: &'a mut [f32],
    factors: Factors<f32>,
}

/// New `[param, exp_avg, exp_avg_sq]`.
#[inline(always)]
fn update<S: Simd>(s: S, f: &Factors<S::V>, p: S::V, g: S::V, m: S::V, v: S::V) -> [S::V; 3] {
    let g = s.fma(f.l2, p, g);
    let m = s.fma(f.one_minus_beta1, s.sub(g, m), m);
    let v = s.fma(f.beta2, v, s.mul(f.one_minus_beta2, s.mul(g, g)));
    let denominator = s.fma(s.sqrt(v), f.inverse_root, f.eps);
    let p = s.fnma(f.step_size, s.div(m, denominator), s.mul(f.shrink, p));
    [p, m, v]
}

impl Kernel for Step<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let f = self.factors.splat(s);
        let (params, params_rest) = self.params.as_chunks_mut::<LANES>();
        let (grads, grads_rest) = self.grads.as_chunks::<LANES>();
        let (means, means_rest) = self.exp_avg.as_chunks_mut::<LANES>();
        let (squares, squares_rest) = self.exp_avg_sq.as_chunks_mut::<LANES>();
        for (((p, g), m), v) in params.iter_mut().zip(grads).zip(means).zip(squares) {
            let new = update(s, &f, s.load(p), s.load(g), s.load(m), s.load(v));
            s.store(new[0], p);
            s.store(new[1], m);
            s.store(new[2], v);
        }
        if !params_rest.is_empty() {
            let [p, m, v] = [&*params_rest, means_rest, squares_rest].map(|x| s.load_partial(x));
            let new = update(s, &f, p, s.load_partial(grads_rest), m, v);
            s.store_partial(new[0], params_rest);
            s.store_partial(new[1], means_rest);
            s.store_partial(new[2], squares_rest);
        }
    }
}

impl Optimizer for Adam {
    fn pieces<'a>(
        &'a mut self,
        lens: &[usize],
        grads: &'a [f32],
        lr: f64,
    ) -> Result<Vec<StepPiece<'a>>, NnError> {
        check_lens(self.exp_avg.len(), lens, grads)?;
        self.num_steps += 1;
        let factors = self.factors(lr);
        let state = cut_mut(&mut self.exp_avg, lens).zip(cut_mut(&mut self.exp_avg_sq, lens));
        let pieces = cut(grads, lens).zip(state).map(|(grads, (exp_avg, exp_avg_sq))| -> StepPiece<'a> {
            Box::new(move |params| dispatch(Step { params, grads, exp_avg, exp_avg_sq, factors }))
        });
        Ok(pieces.collect())
    }

    fn num_steps(&self) -> u64 {
        self.num_steps
    }

    fn set_num_steps(&mut self, num_steps: u64) {
        self.num_steps = num_steps;
    }

    fn buffers(&self) -> Vec<(&'static str, &[f32])> {
        vec![("exp_avg", &self.exp_avg), ("exp_avg_sq", &self.exp_avg_sq)]
    }

    fn buffers_mut(&mut self) -> Vec<(&'static str, &mut [f32])> {
        vec![("exp_avg", &mut self.exp_avg), ("exp_avg_sq", &mut self.exp_avg_sq)]
    }
}
