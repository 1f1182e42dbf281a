//! A checked list of middlewares.

use std::fmt;

use super::builder::PipelineBuilder;
use super::declaration::{Access, AccessKind};
use super::layout::Layout;
use super::middleware::Half;
use super::problem::PipelineProblem;
use super::stage::{OnError, Stage};
use super::wrapper::Wrapper;

/// An algorithm: an ordered list of middlewares whose slots fit together.
///
/// Its `Display` is the list, one line per stage, as `explain` prints it:
///
/// ```text
/// 1. collect     env_steps → env_steps, sample
/// 2. gae         sample → advantages
/// 3. ppo_update  sample, advantages → metrics
/// ```
///
/// `?` marks optional reads and writes, `(taken)` consumed slots, `; backward` the second half.
pub struct Pipeline {
    pub(super) stages: Vec<Stage>,
    pub(super) wrappers: Vec<Box<dyn Wrapper>>,
    pub(super) layout: Layout,
    pub(super) warnings: Vec<PipelineProblem>,
}

impl Pipeline {
    /// An empty list to add middlewares to.
    #[must_use]
    pub fn builder() -> PipelineBuilder {
        PipelineBuilder::default()
    }

    /// The stages' names in running order.
    pub fn stage_names(&self) -> impl Iterator<Item = &str> {
        self.stages.iter().map(|stage| stage.name.as_str())
    }

    /// What looks wrong and is allowed.
    #[must_use]
    pub fn warnings(&self) -> &[PipelineProblem] {
        &self.warnings
    }
}

impl fmt::Display for Pipeline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = self.stages.iter().map(|stage| stage.name.chars().count()).max().unwrap_or(0);
        for (i, stage) in self.stages.iter().enumerate() {
            if i > 0 {
                writeln!(f)?;
            }
            let line = format!("{}. {:width$}  {}", i + 1, stage.name, describe(stage));
            f.write_str(line.trim_end())?;
        }
        Ok(())
    }
}

fn describe(stage: &Stage) -> String {
    let mut text = arrow(stage.declaration.half(Half::Forward));
    let backward = arrow(stage.declaration.half(Half::Backward));
    if !backward.is_empty() {
        text = format!("{text}; backward {backward}");
    }
    match stage.policy {
        OnError::Raise => text,
        OnError::Skip => format!("{text} [skipped on errors]"),
        OnError::Retry(times) => format!("{text} [retried up to {times}×]"),
    }
}

fn arrow(accesses: &[Access]) -> String {
    let list = |keep: fn(AccessKind) -> bool| {
        let names: Vec<_> = accesses.iter().filter(|a| keep(a.kind)).map(label).collect();
        names.join(", ")
    };
    let (reads, writes) = (list(AccessKind::sees_earlier), list(AccessKind::puts));
    match (reads.is_empty(), writes.is_empty()) {
        (true, true) => String::new(),
        (true, false) => format!("→ {writes}"),
        (false, true) => reads,
        (false, false) => format!("{reads} → {writes}"),
    }
}

fn label(access: &Access) -> String {
    let optional = if access.kind.optional() { "?" } else { "" };
    let taken = if access.kind.consumes() { " (taken)" } else { "" };
    format!("{}{optional}{taken}", access.info.name)
}

impl fmt::Debug for Pipeline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pipeline").field("stages", &self.stages).finish_non_exhaustive()
    }
}
