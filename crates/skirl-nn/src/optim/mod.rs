//! Optimizers over flat arrays, with PyTorch's semantics, and gradient clipping.
//!
//! An optimizer updates every element by itself, so it works for parameters in any order and layout; padding
//! whose gradient is zero stays zero. Each step is one pass over the arrays. The learning rate comes with the
//! call: schedules live outside.

mod adam;
mod clip;
mod rmsprop;
mod sgd;

pub use adam::{Adam, AdamOptions, WeightDecay};
pub use clip::{GradClip, clip_by_global_norm, clip_by_norm, clip_by_value, global_norm};
pub use rmsprop::{RmsProp, RmsPropOptions};
pub use sgd::{Sgd, SgdOptions};

use crate::NnError;

/// A piece of an update, to be called once with its parameters.
pub type StepPiece<'a> = Box<dyn FnOnce(&mut [f32]) + Send + 'a>;

/// A rule that turns gradients into parameter updates.
pub trait Optimizer: std::fmt::Debug + Send {
    /// One update with learning rate `lr`, in pieces of these lengths in the order of the flat arrays. The pieces may run
    /// at the same time; together they give the bytes of [`step`](Self::step).
    ///
    /// # Errors
    /// [`NnError::Shape`] if the lengths do not add up to that of the optimizer's state, or the gradients are not as long.
    fn pieces<'a>(
        &'a mut self,
        lens: &[usize],
        grads: &'a [f32],
        lr: f64,
    ) -> Result<Vec<StepPiece<'a>>, NnError>;

    /// One update in place, with learning rate `lr`.
    ///
    /// # Errors
    /// [`NnError::Shape`] if the slices are not as long as the optimizer's state.
    fn step(&mut self, params: &mut [f32], grads: &[f32], lr: f64) -> Result<(), NnError> {
        let pieces = self.pieces(&[params.len()], grads, lr)?;
        pieces.into_iter().for_each(|piece| piece(params));
        Ok(())
    }

    /// Updates done so far.
    fn num_steps(&self) -> u64;

    /// Sets the number of updates done, on restoring.
    fn set_num_steps(&mut self, num_steps: u64);

    /// The state, by name: flat arrays in the layout of the parameters. Together with
    /// [`num_steps`](Self::num_steps) it is everything that a checkpoint needs.
    fn buffers(&self) -> Vec<(&'static str, &[f32])>;

    /// The same, to restore into.
    fn buffers_mut(&mut self) -> Vec<(&'static str, &mut [f32])>;
}

/// Which optimizer, with its options.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum OptimizerSpec {
    /// Adam or AdamW.
    Adam(AdamOptions),
    /// RMSprop.
    RmsProp(RmsPropOptions),
    /// Stochastic gradient descent.
    Sgd(SgdOptions),
}

impl OptimizerSpec {
    /// An optimizer for a flat array of this length.
    ///
    /// # Errors
    /// [`NnError::Spec`] for an option out of range.
    pub fn build(self, len: usize) -> Result<Box<dyn Optimizer>, NnError> {
        Ok(match self {
            Self::Adam(options) => Box::new(Adam::new(options, len)?),
            Self::RmsProp(options) => Box::new(RmsProp::new(options, len)?),
            Self::Sgd(options) => Box::new(Sgd::new(options, len)?),
        })
    }
}

/// `ok`, or an error that says what the option may be.
fn check_option(ok: bool, field: &'static str, expected: &str, found: f64) -> Result<(), NnError> {
    if ok {
        return Ok(());
    }
    Err(NnError::Spec { field, expected: expected.to_owned(), found: found.to_string() })
}

/// A decay of a running mean or a momentum: in [0, 1).
fn check_decay(field: &'static str, x: f64) -> Result<(), NnError> {
    check_option((0.0..1.0).contains(&x), field, "a number in [0, 1)", x)
}

/// A finite number that is not negative.
fn check_not_negative(field: &'static str, x: f64) -> Result<(), NnError> {
    check_option(x >= 0.0 && x.is_finite(), field, "a finite number, 0 or more", x)
}

/// A positive number: zero would divide zero by zero where gradients are zero.
fn check_eps(eps: f64) -> Result<(), NnError> {
    check_option(eps > 0.0 && eps.is_finite(), "eps", "a finite number above 0", eps)
}

fn check_lens(expected: usize, params: &[usize], grads: &[f32]) -> Result<(), NnError> {
    let params = params.iter().fold(0, |sum: usize, &len| sum.saturating_add(len));
    for (what, found) in [("parameters", params), ("gradients", grads.len())] {
        if found != expected {
            return Err(NnError::shape(format!("{what} of an optimizer step"), expected, found));
        }
    }
    Ok(())
}

/// Cuts a flat array into pieces of these lengths, which add up to no more than its own.
fn cut<'a>(flat: &'a [f32], lens: &[usize]) -> impl Iterator<Item = &'a [f32]> {
    let mut rest = flat;
    lens.iter().map_while(move |&len| rest.split_off(..len))
}

fn cut_mut<'a>(flat: &'a mut [f32], lens: &[usize]) -> impl Iterator<Item = &'a mut [f32]> {
    let mut rest = flat;
    lens.iter().map_while(move |&len| rest.split_off_mut(..len))
}
