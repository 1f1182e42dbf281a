//! Middlewares from closures, for steps too small to deserve a type.

use std::fmt;

use super::declaration::Declaration;
use super::error::PipelineError;
use super::middleware::{Flow, Middleware};
use super::view::View;

/// A middleware from two closures: what it declares, and its forward half.
///
/// ```
/// # use skirl::pipeline::{from_fn, Flow, Slot, Pipeline};
/// const REWARD: Slot<f32> = Slot::iteration("reward");
/// const SCALED: Slot<f32> = Slot::iteration("scaled");
/// let scale = from_fn(
///     "scale",
///     |slots| { slots.reads(REWARD).writes(SCALED); },
///     |view| {
///         let scaled = 0.1 * view.get(REWARD)?;
///         view.put(SCALED, scaled)?;
///         Ok(Flow::Continue)
///     },
/// );
/// # let _ = scale;
/// ```
pub fn from_fn<D, F>(name: impl Into<String>, declare: D, forward: F) -> FromFn<D, F, NoBackward>
where
    D: Fn(&mut Declaration) + Send,
    F: FnMut(&mut View<'_>) -> Result<Flow, PipelineError> + Send,
{
    FromFn { name: name.into(), declare, forward, backward: no_backward }
}

/// The backward half of a [`FromFn`] that has none.
pub type NoBackward = fn(&mut View<'_>) -> Result<Flow, PipelineError>;

#[expect(clippy::unnecessary_wraps, reason = "it has the signature of a half")]
fn no_backward(_: &mut View<'_>) -> Result<Flow, PipelineError> {
    Ok(Flow::Continue)
}

/// A middleware made by [`from_fn`].
pub struct FromFn<D, F, B> {
    name: String,
    declare: D,
    forward: F,
    backward: B,
}

impl<D, F, B> FromFn<D, F, B> {
    /// The same middleware with a backward half.
    pub fn with_backward<N>(self, backward: N) -> FromFn<D, F, N>
    where
        N: FnMut(&mut View<'_>) -> Result<Flow, PipelineError> + Send,
    {
        FromFn { name: self.name, declare: self.declare, forward: self.forward, backward }
    }
}

impl<D, F, B> Middleware for FromFn<D, F, B>
where
    D: Fn(&mut Declaration) + Send,
    F: FnMut(&mut View<'_>) -> Result<Flow, PipelineError> + Send,
    B: FnMut(&mut View<'_>) -> Result<Flow, PipelineError> + Send,
{
    fn name(&self) -> &str {
        &self.name
    }

    fn declare(&self, slots: &mut Declaration) {
        (self.declare)(slots);
    }

    fn forward(&mut self, view: &mut View<'_>) -> Result<Flow, PipelineError> {
        (self.forward)(view)
    }

    fn backward(&mut self, view: &mut View<'_>) -> Result<Flow, PipelineError> {
        (self.backward)(view)
    }
}

impl<D, F, B> fmt::Debug for FromFn<D, F, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FromFn").field("name", &self.name).finish_non_exhaustive()
    }
}
