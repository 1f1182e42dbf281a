//! Distributions over actions, parameterised by the rows of a network's output.
//!
//! Each distribution is vectorised over rows (16 at a time) and has its gradients in closed form. Three laws
//! hold for all:
//!
//! * **Rows are independent.** What a row yields depends on nothing but that row's inputs, action and stream:
//!   not on the batch size, its position, or its neighbours.
//! * **`sample` and `evaluate` agree.** The log-probability that [`Distribution::sample`] returns is, bit for
//!   bit, the one that [`Distribution::evaluate`] returns for that action under those inputs; the ratio of a
//!   first PPO minibatch is exactly 1, and its KL divergence exactly 0.
//! * **Log space.** Logits of ±10⁴ and masks of −∞ give finite results and exact zeros, never NaN. An action
//!   outside the space has log-probability NaN, so that a mistake does not pass as a rare event.
//!
//! Inputs hold finite numbers, except for −∞ in categorical and ±∞ in Bernoulli logits. NaN inputs give NaN
//! results.

mod bernoulli;
mod categorical;
mod gaussian;
mod normal;
mod reparameterized;
mod rows;

pub use bernoulli::Bernoulli;
pub use categorical::{Categorical, MultiCategorical};
pub use gaussian::{DiagGaussian, SquashedGaussian};
pub use reparameterized::Reparameterized;

use skirl_math::rng::StreamKey;

use crate::NnError;
use crate::matrix::{Mat, MatMut};
use crate::simd::LANES;

/// Actions of several rows, row-major.
#[derive(Debug, Clone, Copy)]
pub enum ActionsRef<'a> {
    /// Indices or bits, `[rows, width]`.
    Discrete {
        /// Row-major elements.
        data: &'a [i64],
        /// Numbers per row.
        width: usize,
    },
    /// Real numbers, `[rows, width]`.
    Continuous {
        /// Row-major elements.
        data: &'a [f32],
        /// Numbers per row.
        width: usize,
    },
}

/// Where actions of several rows are written, row-major.
#[derive(Debug)]
pub enum ActionsMut<'a> {
    /// Indices or bits, `[rows, width]`.
    Discrete {
        /// Row-major elements.
        data: &'a mut [i64],
        /// Numbers per row.
        width: usize,
    },
    /// Real numbers, `[rows, width]`.
    Continuous {
        /// Row-major elements.
        data: &'a mut [f32],
        /// Numbers per row.
        width: usize,
    },
}

/// Where [`Distribution::evaluate`] writes, one element per row.
#[derive(Debug)]
pub struct Evaluated<'a> {
    /// Log-probability (or log-density) of the action, in nats.
    pub logp: &'a mut [f32],
    /// Entropy, in nats.
    pub entropy: &'a mut [f32],
    /// KL(old‖new), in nats; 0 where no old inputs are given.
    pub kl: &'a mut [f32],
}

/// Gradients of a loss with respect to what [`Evaluated`] holds, one element per row.
#[derive(Debug, Clone, Copy)]
pub struct EvaluatedGrad<'a> {
    /// With respect to the log-probability.
    pub logp: &'a [f32],
    /// With respect to the entropy.
    pub entropy: &'a [f32],
    /// With respect to KL(old‖new); not read where no old inputs are given.
    pub kl: &'a [f32],
}

/// Working memory of a distribution. Holds no state between calls.
#[derive(Debug, Clone, Default)]
pub struct DistScratch {
    columns: Vec<[f32; LANES]>,
}

impl DistScratch {
    fn new(num_columns: usize) -> Self {
        Self { columns: vec![[0.0; LANES]; num_columns] }
    }

    /// At least `num_columns` columns: grows when made for a smaller distribution.
    fn columns(&mut self, num_columns: usize) -> &mut [[f32; LANES]] {
        if self.columns.len() < num_columns {
            self.columns.resize(num_columns, [0.0; LANES]);
        }
        &mut self.columns[..num_columns]
    }
}

/// A family of distributions over actions; one member per row of inputs.
///
/// The methods that return a `Result` return [`NnError::Shape`] if the arguments' sizes or kinds do not fit
/// together.
pub trait Distribution: std::fmt::Debug + Send + Sync {
    /// Width of the network's output that parameterises one row.
    fn num_inputs(&self) -> usize;
    /// Numbers per action.
    fn action_width(&self) -> usize;
    /// Whether actions are integers ([`ActionsRef::Discrete`]) or real numbers.
    fn is_discrete(&self) -> bool;
    /// Working memory for the other methods; one per thread.
    fn scratch(&self) -> DistScratch;
    /// Turns stored actions into those handed to the environment, in place. The identity, except for
    /// [`SquashedGaussian`], which stores actions before squashing.
    fn squash(&self, _actions: &mut [f32]) {}

    /// The same distribution, if its draws are a differentiable function of its inputs.
    fn reparameterized(&self) -> Option<&dyn Reparameterized> {
        None
    }

    /// Draws one action per row and its log-probability. Row `i` draws from stream `keys[i]` at `counter` and
    /// from nowhere else; use one counter per environment step. A row that needs several uniforms takes the
    /// words `keys[i].word_at(counter, 0), …`.
    fn sample(
        &self,
        inputs: Mat<'_>,
        keys: &[StreamKey],
        counter: u64,
        actions: ActionsMut<'_>,
        logp: &mut [f32],
        scratch: &mut DistScratch,
    ) -> Result<(), NnError>;

    /// The most probable action of every row (the first of several equal ones).
    fn mode(
        &self,
        inputs: Mat<'_>,
        actions: ActionsMut<'_>,
        scratch: &mut DistScratch,
    ) -> Result<(), NnError>;

    /// Log-probability and entropy of every row, and the KL divergence from the distribution of `old_inputs`.
    fn evaluate(
        &self,
        inputs: Mat<'_>,
        actions: ActionsRef<'_>,
        old_inputs: Option<Mat<'_>>,
        out: Evaluated<'_>,
        scratch: &mut DistScratch,
    ) -> Result<(), NnError>;

    /// The reverse of [`evaluate`](Self::evaluate) at the same arguments: overwrites `d_inputs` with the
    /// gradient with respect to `inputs`. Computes everything anew, so nothing has to be kept from
    /// `evaluate`.
    fn backward(
        &self,
        inputs: Mat<'_>,
        actions: ActionsRef<'_>,
        old_inputs: Option<Mat<'_>>,
        d_out: EvaluatedGrad<'_>,
        d_inputs: MatMut<'_>,
        scratch: &mut DistScratch,
    ) -> Result<(), NnError>;
}
