//! Stochastic gradient descent with momentum, plain or Nesterov's (Sutskever et al. 2013), as in PyTorch.

use super::{Optimizer, StepPiece, check_decay, check_lens, check_not_negative, cut, cut_mut};
use crate::NnError;
use crate::matrix::AlignedVec;
use crate::simd::{Kernel, LANES, Simd, dispatch};

/// Options of [`Sgd`]; by default plain gradient descent.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct SgdOptions {
    /// Momentum, in [0, 1); 0 for none.
    pub momentum: f64,
    /// Nesterov's form; needs momentum.
    pub nesterov: bool,
    /// Strength of L2 regularisation; 0 or more.
    pub weight_decay: f64,
}

/// Stochastic gradient descent. Buffer: `momentum_buffer` (the last gradient where there is no momentum).
#[derive(Debug, Clone)]
pub struct Sgd {
    options: SgdOptions,
    num_steps: u64,
    momentum_buffer: AlignedVec,
}

impl Sgd {
    /// For a flat array of this length.
    ///
    /// # Errors
    /// [`NnError::Spec`] for an option out of range, or Nesterov's form without momentum.
    pub fn new(options: SgdOptions, len: usize) -> Result<Self, NnError> {
        check_decay("momentum", options.momentum)?;
        check_not_negative("weight_decay", options.weight_decay)?;
        if options.nesterov && options.momentum == 0.0 {
            let expected = "a number in (0, 1), as nesterov is set".to_owned();
            return Err(NnError::Spec { field: "momentum", expected, found: "0".to_owned() });
        }
        Ok(Self { options, num_steps: 0, momentum_buffer: AlignedVec::zeros(len) })
    }
}

struct Step<'a> {
    params: &'a mut [f32],
    grads: &'a [f32],
    momentum_buffer: &'a mut [f32],
    options: SgdOptions,
    lr: f32,
}

#[derive(Clone, Copy)]
struct Factors<V> {
    l2: V,
    momentum: V,
    /// Of the buffer and of the gradient in the direction of descent.
    direction: [V; 2],
    lr: V,
}

/// New `[param, momentum_buffer]`.
#[inline(always)]
fn update<S: Simd>(s: S, f: &Factors<S::V>, p: S::V, g: S::V, b: S::V) -> [S::V; 2] {
    let g = s.fma(f.l2, p, g);
    let b = s.fma(f.momentum, b, g);
    let d = s.fma(f.direction[0], b, s.mul(f.direction[1], g));
    [s.fnma(f.lr, d, p), b]
}

impl Kernel for Step<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let o = &self.options;
        let momentum = o.momentum as f32;
        let direction = if o.nesterov { [momentum, 1.0] } else { [1.0, 0.0] };
        let f = Factors {
            l2: s.splat(o.weight_decay as f32),
            momentum: s.splat(momentum),
            direction: [s.splat(direction[0]), s.splat(direction[1])],
            lr: s.splat(self.lr),
        };
        let (params, params_rest) = self.params.as_chunks_mut::<LANES>();
        let (grads, grads_rest) = self.grads.as_chunks::<LANES>();
        let (momenta, momenta_rest) = self.momentum_buffer.as_chunks_mut::<LANES>();
        for ((p, g), b) in params.iter_mut().zip(grads).zip(momenta) {
            let new = update(s, &f, s.load(p), s.load(g), s.load(b));
            s.store(new[0], p);
            s.store(new[1], b);
        }
        if !params_rest.is_empty() {
            let (p, b) = (s.load_partial(params_rest), s.load_partial(momenta_rest));
            let new = update(s, &f, p, s.load_partial(grads_rest), b);
            s.store_partial(new[0], params_rest);
            s.store_partial(new[1], momenta_rest);
        }
    }
}

impl Optimizer for Sgd {
    fn pieces<'a>(
        &'a mut self,
        lens: &[usize],
        grads: &'a [f32],
        lr: f64,
    ) -> Result<Vec<StepPiece<'a>>, NnError> {
        check_lens(self.momentum_buffer.len(), lens, grads)?;
        self.num_steps += 1;
        let (options, lr) = (self.options, lr as f32);
        let state = cut_mut(&mut self.momentum_buffer, lens);
        let pieces = cut(grads, lens).zip(state).map(|(grads, momentum_buffer)| -> StepPiece<'a> {
            Box::new(move |params| dispatch(Step { params, grads, momentum_buffer, options, lr }))
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
        vec![("momentum_buffer", &self.momentum_buffer)]
    }

    fn buffers_mut(&mut self) -> Vec<(&'static str, &mut [f32])> {
        vec![("momentum_buffer", &mut self.momentum_buffer)]
    }
}
