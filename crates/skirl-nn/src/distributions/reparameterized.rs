//! The reverse of sampling: gradients of a loss through drawn actions into the inputs they were drawn from.

use super::gaussian::ln_slope;
use super::rows::{Block, Column, Query, expect};
use super::{ActionsRef, DiagGaussian, DistScratch, Distribution, SquashedGaussian};
use crate::NnError;
use crate::matrix::{Mat, MatMut};
use crate::simd::{self, Kernel, Simd, dispatch};

/// A distribution whose draws are a differentiable function of its inputs and of noise that does not depend on them:
/// `u = mean + std·ε`. What soft actor-critic and stochastic value gradients need.
pub trait Reparameterized: Distribution {
    /// Overwrites `d_inputs` with the gradient with respect to `inputs` of a loss that depends on actions drawn under
    /// them and on the log-probabilities that [`Distribution::sample`] returned with them, the noise held fixed.
    ///
    /// `actions` are as stored; `d_actions`, `[rows, action_width]`, is the gradient with respect to what
    /// [`Distribution::squash`] makes of them, and `d_logp`, one element per row, that with respect to the
    /// log-probability.
    ///
    /// # Errors
    /// [`NnError::Shape`] if the arguments' sizes or kinds do not fit together.
    fn rsample_backward(
        &self,
        inputs: Mat<'_>,
        actions: ActionsRef<'_>,
        d_actions: Mat<'_>,
        d_logp: &[f32],
        d_inputs: MatMut<'_>,
        scratch: &mut DistScratch,
    ) -> Result<(), NnError>;
}

struct Reverse<'a, const SQUASHED: bool> {
    inputs: Mat<'a>,
    /// `[rows, width]`, before squashing.
    actions: Mat<'a>,
    d_actions: Mat<'a>,
    d_logp: &'a [f32],
    d_inputs: MatMut<'a>,
    columns: &'a mut [Column],
}

impl<const SQUASHED: bool> Kernel for Reverse<'_, SQUASHED> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(mut self, s: S) {
        let width = self.actions.num_cols();
        let (inputs, rest) = self.columns.split_at_mut(2 * width);
        let (actions, d_actions) = rest.split_at_mut(width);
        for block in Block::all(self.inputs.num_rows()) {
            block.gather(self.inputs, inputs);
            block.gather(self.actions, actions);
            block.gather(self.d_actions, d_actions);
            let d_logp = block.load(s, self.d_logp);
            for j in 0..width {
                let u = s.load(&actions[j]);
                let mut d_u = s.load(&d_actions[j]);
                if SQUASHED {
                    // da/du = 1 − tanh² u; and along the draw the log-density gains −ln(1 − tanh² u).
                    d_u = s.mul(d_u, simd::exp(s, ln_slope(s, u)));
                    d_u = s.fma(s.mul(s.splat(2.0), d_logp), simd::tanh(s, u), d_u);
                }
                // du/d mean = 1    du/d log_std = std·ε = u − mean    d ln N(u)/d log_std = −1 for fixed ε
                let offset = s.sub(u, s.load(&inputs[j]));
                s.store(d_u, &mut inputs[j]);
                s.store(s.sub(s.mul(d_u, offset), d_logp), &mut inputs[width + j]);
            }
            block.scatter(inputs, &mut self.d_inputs);
        }
    }
}

macro_rules! reparameterized {
    ($name:ty, $squashed:literal) => {
        impl Reparameterized for $name {
            fn rsample_backward(
                &self,
                inputs: Mat<'_>,
                actions: ActionsRef<'_>,
                d_actions: Mat<'_>,
                d_logp: &[f32],
                d_inputs: MatMut<'_>,
                scratch: &mut DistScratch,
            ) -> Result<(), NnError> {
                let (rows, width) = (inputs.num_rows(), self.action_width());
                let data = actions.continuous(rows, width)?;
                Query::new(2 * width, inputs, data, None)?;
                expect("d_logp", rows, d_logp.len())?;
                expect("rows of d_actions", rows, d_actions.num_rows())?;
                expect("columns of d_actions", width, d_actions.num_cols())?;
                expect("rows of d_inputs", rows, d_inputs.num_rows())?;
                expect("columns of d_inputs", 2 * width, d_inputs.num_cols())?;
                let (actions, columns) = (Mat::new(data, rows, width), scratch.columns(4 * width));
                dispatch(Reverse::<$squashed> { inputs, actions, d_actions, d_logp, d_inputs, columns });
                Ok(())
            }
        }
    };
}

reparameterized!(DiagGaussian, false);
reparameterized!(SquashedGaussian, true);
