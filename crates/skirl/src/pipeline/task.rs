//! A running pipeline.

use std::fmt;

use super::context::{Context, Entry};
use super::error::PipelineError;
use super::pipeline::Pipeline;
use super::problem::{PipelineErrors, PipelineProblem};
use super::run::Run;
use super::slot::Life;
use super::stop::StopHandle;

/// A pipeline with its context. Any number of tasks live side by side; they share nothing that they were not given.
///
/// ```
/// # use skirl::pipeline::{from_fn, Context, Flow, Pipeline, Slot, Task};
/// const COUNT: Slot<u64> = Slot::kept("count");
/// let count = from_fn(
///     "count",
///     |slots| { slots.updates(COUNT).initial(COUNT, 0); },
///     |view| { *view.get_mut(COUNT)? += 1; Ok(Flow::Continue) },
/// );
/// let mut task = Task::new(Pipeline::builder().with(count).build()?, Context::new())?;
/// task.run(10)?;
/// assert_eq!(task.context().get(COUNT), Some(&10));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Task {
    pub(super) pipeline: Pipeline,
    pub(super) context: Context,
    pub(super) stop: StopHandle,
    pub(super) iterations: u64,
    /// Half-stages run so far, tries included.
    pub(super) stamp: u64,
    /// Iteration slots that the caller must fill before each iteration.
    pub(super) inputs: Vec<usize>,
}

impl Task {
    /// Joins a pipeline and a context: values in the context replace initial ones. Kept values of slots that this
    /// pipeline does not have stay in the context untouched.
    pub fn new(mut pipeline: Pipeline, context: Context) -> Result<Self, PipelineErrors> {
        let mut problems = Vec::new();
        for entry in &context.entries {
            if let Some(index) = pipeline.layout.position(entry.info.name) {
                pipeline.layout.compare(index, "the context", entry.info, &mut problems);
            }
        }
        problems.extend(unfilled(&pipeline, &context));
        PipelineErrors::sort_out(problems)?;
        let inputs = inputs(&pipeline);
        let context = join(std::mem::take(&mut pipeline.layout.entries), context);
        Ok(Self { pipeline, context, stop: StopHandle::default(), iterations: 0, stamp: 0, inputs })
    }

    /// The same task with a stop handle made elsewhere.
    #[must_use]
    pub fn with_stop_handle(mut self, stop: StopHandle) -> Self {
        self.stop = stop;
        self
    }

    /// Listens to a stop handle made elsewhere from now on.
    pub fn set_stop_handle(&mut self, stop: StopHandle) {
        self.stop = stop;
    }

    /// A handle to stop this task from anywhere.
    #[must_use]
    pub fn stop_handle(&self) -> StopHandle {
        self.stop.clone()
    }

    /// The values of the last iteration, and the kept ones.
    #[must_use]
    pub fn context(&self) -> &Context {
        &self.context
    }

    /// To provide inputs, and to take results out.
    pub fn context_mut(&mut self) -> &mut Context {
        &mut self.context
    }

    /// The pipeline, for its `Display` and stage names.
    #[must_use]
    pub fn pipeline(&self) -> &Pipeline {
        &self.pipeline
    }

    /// Iterations begun so far.
    #[must_use]
    pub fn iterations(&self) -> u64 {
        self.iterations
    }

    /// Runs up to `max_iterations`, until something asks for a stop or an error is raised.
    pub fn run(&mut self, max_iterations: u64) -> Result<Run, PipelineError> {
        let before = self.iterations;
        for _ in 0..max_iterations {
            let iteration = self.run_iteration()?;
            if iteration.stop.is_some() {
                return Ok(Run { iterations: self.iterations - before, stop: iteration.stop });
            }
        }
        Ok(Run { iterations: self.iterations - before, stop: None })
    }
}

/// Promised kept values that the context does not hold.
fn unfilled(pipeline: &Pipeline, context: &Context) -> Vec<PipelineProblem> {
    let layout = &pipeline.layout;
    let promised = layout.entries.iter().zip(&layout.provided).filter(|(_, provided)| **provided);
    let kept = promised.filter(|(entry, _)| entry.info.life == Life::Kept && !entry.cell.is_full());
    let absent = kept.filter(|(wanted, _)| {
        !context.entries.iter().any(|given| given.info == wanted.info && given.cell.is_full())
    });
    absent.map(|(entry, _)| PipelineProblem::NotProvided { slot: entry.info.name }).collect()
}

fn inputs(pipeline: &Pipeline) -> Vec<usize> {
    let layout = &pipeline.layout;
    let is_input = |&i: &usize| layout.provided[i] && layout.entries[i].info.life == Life::Iteration;
    (0..layout.entries.len()).filter(is_input).collect()
}

/// The pipeline's slots first, in its order, with the context's values; then what the context holds besides.
fn join(layout: Vec<Entry>, context: Context) -> Context {
    let mut given = context.entries;
    let mut entries = Vec::with_capacity(layout.len() + given.len());
    for own in layout {
        let found = given.iter().position(|entry| entry.info == own.info && entry.cell.is_full());
        entries.push(found.map_or(own, |index| given.remove(index)));
    }
    entries.extend(given);
    Context { entries }
}

impl fmt::Debug for Task {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Task")
            .field("pipeline", &self.pipeline)
            .field("context", &self.context)
            .field("iterations", &self.iterations)
            .finish_non_exhaustive()
    }
}
