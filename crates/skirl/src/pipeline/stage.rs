//! A stage: a middleware with its name and error policy in one pipeline.

use std::fmt;

use super::declaration::{Access, Declaration};
use super::middleware::{Half, Middleware};

/// What happens when a stage fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnError {
    /// The iteration is unwound and the error returned.
    #[default]
    Raise,
    /// The failure is recorded in [`Iteration::skipped`](super::Iteration::skipped) and the next stage runs. What the
    /// half had put into iteration slots is dropped; what it changed in place, or kept, stays. A stage that needs a slot
    /// which only a skippable stage writes is refused when the pipeline is built.
    Skip,
    /// The half runs again, up to this many more times, then the error is raised.
    Retry(u32),
}

/// A middleware in its place: `Stage::new(gae).named("gae_2").on_error(OnError::Retry(2))`.
pub struct Stage {
    pub(super) middleware: Box<dyn Middleware>,
    pub(super) name: String,
    pub(super) policy: OnError,
    pub(super) declaration: Declaration,
    /// The forward half of the running iteration returned normally, so the backward half is due.
    pub(super) due: bool,
}

impl Stage {
    /// The middleware under its own name; errors are raised.
    #[must_use]
    pub fn new(middleware: impl Middleware + 'static) -> Self {
        let mut declaration = Declaration::default();
        middleware.declare(&mut declaration);
        let name = middleware.name().to_owned();
        Self { middleware: Box::new(middleware), name, policy: OnError::Raise, declaration, due: false }
    }

    /// Another name, for a second stage of the same kind.
    #[must_use]
    pub fn named(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// What happens when it fails.
    #[must_use]
    pub fn on_error(mut self, policy: OnError) -> Self {
        self.policy = policy;
        self
    }

    /// The accesses of both halves.
    pub(super) fn accesses(&self) -> impl Iterator<Item = &Access> {
        self.declaration.half(Half::Forward).iter().chain(self.declaration.half(Half::Backward))
    }
}

impl<M: Middleware + 'static> From<M> for Stage {
    fn from(middleware: M) -> Self {
        Self::new(middleware)
    }
}

impl fmt::Debug for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stage")
            .field("name", &self.name)
            .field("policy", &self.policy)
            .finish_non_exhaustive()
    }
}
