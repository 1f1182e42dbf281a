//! The list of middlewares, and its check.

use std::fmt;

use super::check::Check;
use super::context::Entry;
use super::declaration::Declaration;
use super::layout::Layout;
use super::pipeline::Pipeline;
use super::problem::{PipelineErrors, PipelineProblem};
use super::slot::Slot;
use super::stage::Stage;
use super::wrapper::Wrapper;
use super::writers::KnownWriters;

/// Builds a [`Pipeline`] from middlewares in running order.
#[derive(Default)]
pub struct PipelineBuilder {
    stages: Vec<Stage>,
    wrappers: Vec<Box<dyn Wrapper>>,
    provided: Vec<Entry>,
    writers: KnownWriters,
}

impl PipelineBuilder {
    /// Adds a middleware, or a [`Stage`] (a middleware with a name and an error policy of its own), at the end.
    #[must_use]
    pub fn with(mut self, stage: impl Into<Stage>) -> Self {
        self.stages.push(stage.into());
        self
    }

    /// Puts a wrapper around every half of every stage. The first wrapper is the outermost.
    #[must_use]
    pub fn wrap(mut self, wrapper: impl Wrapper + 'static) -> Self {
        self.wrappers.push(Box::new(wrapper));
        self
    }

    /// Says that the caller gives this slot its value: a kept one in the task's [`Context`](super::Context), one that
    /// lives one iteration before each [`Task::run_iteration`](super::Task::run_iteration).
    #[must_use]
    pub fn provides<T: Send + 'static>(mut self, slot: Slot<T>) -> Self {
        self.provided.push(Entry::new(slot));
        self
    }

    /// Middlewares to name when a stage is missing.
    #[must_use]
    pub fn known_writers(mut self, writers: KnownWriters) -> Self {
        self.writers.extend(writers);
        self
    }

    /// Checks the list and freezes it; all errors at once.
    ///
    /// Every needed slot must have been written by an earlier half of the same iteration, be kept with an initial
    /// value, or be provided. See [`PipelineProblem`] for everything that is found.
    pub fn build(self) -> Result<Pipeline, PipelineErrors> {
        let Self { mut stages, wrappers, provided, writers } = self;
        let mut problems = Vec::new();
        let mut layout = Layout::default();
        for stage in &mut stages {
            layout.add_stage(stage, &mut problems);
        }
        for entry in provided {
            layout.provide(entry, &mut problems);
        }
        watch(&wrappers, &layout, &mut problems);
        Check { stages: &stages, layout: &layout, writers: &writers, problems: &mut problems }.run();
        let warnings = PipelineErrors::sort_out(problems)?;
        Ok(Pipeline { stages, wrappers, layout, warnings })
    }
}

/// A wrapper that looks at a slot which is nowhere would look at nothing for ever, without a word.
fn watch(wrappers: &[Box<dyn Wrapper>], layout: &Layout, problems: &mut Vec<PipelineProblem>) {
    for wrapper in wrappers {
        let mut watched = Declaration::default();
        wrapper.declare(&mut watched);
        for access in &watched.forward {
            match layout.position(access.info.name) {
                Some(index) => layout.compare(index, wrapper.name(), access.info, problems),
                None => problems.push(PipelineProblem::Unwatched {
                    wrapper: wrapper.name().to_owned(),
                    slot: access.info.name,
                }),
            }
        }
    }
}

impl fmt::Debug for PipelineBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PipelineBuilder").field("stages", &self.stages).finish_non_exhaustive()
    }
}
