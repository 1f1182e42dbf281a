//! RMSprop (Tieleman and Hinton 2012), as in PyTorch: epsilon outside the square root, not centred.

use super::{Optimizer, StepPiece, check_decay, check_eps, check_lens, check_not_negative, cut, cut_mut};
use crate::NnError;
use crate::matrix::AlignedVec;
use crate::simd::{Kernel, LANES, Simd, dispatch};

/// Options of [`RmsProp`]; the defaults are PyTorch's.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RmsPropOptions {
    /// Decay of the running mean of squared gradients, in [0, 1).
    pub alpha: f64,
    /// Added to the denominator; above 0.
    pub eps: f64,
    /// Momentum, in [0, 1); 0 for none.
    pub momentum: f64,
    /// Strength of L2 regularisation; 0 or more.
    pub weight_decay: f64,
}

impl Default for RmsPropOptions {
    fn default() -> Self {
        Self { alpha: 0.99, eps: 1e-8, momentum: 0.0, weight_decay: 0.0 }
    }
}

/// The RMSprop optimizer. Buffers: `square_avg`, and `momentum_buffer` (zeros where there is no momentum).
#[derive(Debug, Clone)]
pub struct RmsProp {
    options: RmsPropOptions,
    num_steps: u64,
    square_avg: AlignedVec,
    momentum_buffer: AlignedVec,
}

impl RmsProp {
    /// For a flat array of this length.
    ///
    /// # Errors
    /// [`NnError::Spec`] for an option out of range.
    pub fn new(options: RmsPropOptions, len: usize) -> Result<Self, NnError> {
        check_decay("alpha", options.alpha)?;
        check_eps(options.eps)?;
        check_decay("momentum", options.momentum)?;
        check_not_negative("weight_decay", options.weight_decay)?;
        Ok(Self {
            options,
            num_steps: 0,
            square_avg: AlignedVec::zeros(len),
            momentum_buffer: AlignedVec::zeros(len),
        })
    }
}

struct Step<'a> {
    params: &'a mut [f32],
    grads: &'a [f32],
    square_avg: &'a mut [f32],
    momentum_buffer: &'a mut [f32],
    options: RmsPropOptions,
    lr: f32,
}

#[derive(Clone, Copy)]
struct Factors<V> {
    l2: V,
    alpha: V,
    one_minus_alpha: V,
    eps: V,
    momentum: V,
    lr: V,
}

/// New `[param, square_avg, momentum_buffer]`.
#[inline(always)]
fn update<S: Simd>(s: S, f: &Factors<S::V>, p: S::V, g: S::V, v: S::V, b: S::V) -> [S::V; 3] {
    let g = s.fma(f.l2, p, g);
    let v = s.fma(f.alpha, v, s.mul(f.one_minus_alpha, s.mul(g, g)));
    let b = s.fma(f.momentum, b, s.div(g, s.add(s.sqrt(v), f.eps)));
    [s.fnma(f.lr, b, p), v, b]
}

impl Kernel for Step<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let o = &self.options;
        let f = Factors {
            l2: s.splat(o.weight_decay as f32),
            alpha: s.splat(o.alpha as f32),
            one_minus_alpha: s.splat((1.0 - o.alpha) as f32),
            eps: s.splat(o.eps as f32),
            momentum: s.splat(o.momentum as f32),
            lr: s.splat(self.lr),
        };
        let (params, params_rest) = self.params.as_chunks_mut::<LANES>();
        let (grads, grads_rest) = self.grads.as_chunks::<LANES>();
        let (squares, squares_rest) = self.square_avg.as_chunks_mut::<LANES>();
        let (momenta, momenta_rest) = self.momentum_buffer.as_chunks_mut::<LANES>();
        for (((p, g), v), b) in params.iter_mut().zip(grads).zip(squares).zip(momenta) {
            let new = update(s, &f, s.load(p), s.load(g), s.load(v), s.load(b));
            s.store(new[0], p);
            s.store(new[1], v);
            s.store(new[2], b);
        }
        if !params_rest.is_empty() {
            let [p, v, b] = [&*params_rest, squares_rest, momenta_rest].map(|x| s.load_partial(x));
            let new = update(s, &f, p, s.load_partial(grads_rest), v, b);
            s.store_partial(new[0], params_rest);
            s.store_partial(new[1], squares_rest);
            s.store_partial(new[2], momenta_rest);
        }
    }
}

impl Optimizer for RmsProp {
    fn pieces<'a>(
        &'a mut self,
        lens: &[usize],
        grads: &'a [f32],
        lr: f64,
    ) -> Result<Vec<StepPiece<'a>>, NnError> {
        check_lens(self.square_avg.len(), lens, grads)?;
        self.num_steps += 1;
        let (options, lr) = (self.options, lr as f32);
        let state = cut_mut(&mut self.square_avg, lens).zip(cut_mut(&mut self.momentum_buffer, lens));
        let pieces = cut(grads, lens).zip(state).map(|(grads, state)| -> StepPiece<'a> {
            let (square_avg, momentum_buffer) = state;
            Box::new(move |params| {
                dispatch(Step { params, grads, square_avg, momentum_buffer, options, lr });
            })
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
        vec![("square_avg", &self.square_avg), ("momentum_buffer", &self.momentum_buffer)]
    }

    fn buffers_mut(&mut self) -> Vec<(&'static str, &mut [f32])> {
        vec![("square_avg", &mut self.square_avg), ("momentum_buffer", &mut self.momentum_buffer)]
    }
}
