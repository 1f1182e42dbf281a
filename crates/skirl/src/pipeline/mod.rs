//! The pipeline: an algorithm as an ordered list of middlewares over a context of typed slots.
//!
//! What flows in: middlewares, each with the slots that it reads and writes. What flows out: a checked [`Pipeline`], and
//! a [`Task`] that runs it. A pipeline with a missing or misplaced stage is an error when it is built. Long form with
//! examples: `docs/pipelines.md`.
//!
//! ```
//! use skirl::pipeline::{from_fn, Context, Flow, Pipeline, Slot, Task};
//!
//! const SAMPLE: Slot<Vec<f32>> = Slot::iteration("sample"); // renewed every iteration
//! const ENV_STEPS: Slot<u64> = Slot::kept("env_steps"); // survives, and is saved
//!
//! let collect = from_fn(
//!     "collect",
//!     |slots| { slots.writes(SAMPLE).updates(ENV_STEPS).initial(ENV_STEPS, 0); },
//!     |view| {
//!         view.put(SAMPLE, vec![1.0, 2.0])?;
//!         *view.get_mut(ENV_STEPS)? += 2;
//!         Ok(Flow::Continue)
//!     },
//! );
//! let budget = from_fn(
//!     "budget",
//!     |slots| { slots.reads(ENV_STEPS); },
//!     |view| Ok(if *view.get(ENV_STEPS)? >= 10 { Flow::stop("10 steps") } else { Flow::Continue }),
//! );
//!
//! let pipeline = Pipeline::builder().with(collect).with(budget).build()?;
//! let run = Task::new(pipeline, Context::new())?.run(1000)?;
//! assert_eq!((run.iterations, run.stop.unwrap().reason.as_str()), (5, "10 steps"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

/// Runs the listings of the long form with the doc tests.
#[cfg(doctest)]
#[doc = include_str!("../../../../docs/pipelines.md")]
struct LongForm;

mod builder;
mod check;
mod context;
mod declaration;
mod error;
mod finite;
mod from_fn;
mod layout;
mod middleware;
#[expect(clippy::module_inception, reason = "the file is named by the noun inside")]
mod pipeline;
mod problem;
mod run;
mod slot;
mod stage;
mod state;
mod stop;
mod task;
mod timing;
mod view;
mod wrapper;
mod writers;

#[cfg(test)]
mod tests;

pub use builder::PipelineBuilder;
pub use context::Context;
pub use declaration::Declaration;
pub use error::{PipelineError, StageError};
pub use finite::{Finite, FiniteGuard};
pub use from_fn::{FromFn, NoBackward, from_fn};
pub use middleware::{Flow, Half, Middleware};
pub use pipeline::Pipeline;
pub use problem::{PipelineErrors, PipelineProblem};
pub use run::{Iteration, Run, Skipped, Stop};
pub use slot::{Life, Slot};
pub use stage::{OnError, Stage};
pub use stop::StopHandle;
pub use task::Task;
pub use timing::{StageTime, Timing, TimingReader};
pub use view::View;
pub use wrapper::{Next, Wrapper};
pub use writers::KnownWriters;
