//! The middleware: one step of an algorithm, with what it reads and writes.

use std::fmt;

use serde_json::Value;

use super::declaration::Declaration;
use super::error::PipelineError;
use super::view::View;

/// What a half-stage asks of the task when it returns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Flow {
    /// Go on with the next stage.
    Continue,
    /// End the run after unwinding this iteration; the text is the recorded reason.
    Stop(String),
}

impl Flow {
    /// `Flow::Stop` with a reason.
    pub fn stop(reason: impl Into<String>) -> Self {
        Self::Stop(reason.into())
    }
}

/// The two halves of a stage: forward in the order of the list, then backward in reverse order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Half {
    /// Before the later stages.
    Forward,
    /// After the later stages: what follows the `yield` of a DI-engine middleware.
    Backward,
}

impl fmt::Display for Half {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Forward => "forward half",
            Self::Backward => "backward half",
        })
    }
}

/// One step of an algorithm.
///
/// Per iteration, the task calls every `forward` in the order of the list, then every `backward` in reverse order.
/// After a stop or an error, the backward halves of the stages whose forward half returned normally still run.
pub trait Middleware: Send {
    /// The name in errors, timings, checkpoints and `explain`; unique in a pipeline.
    fn name(&self) -> &str;

    /// The slots that each half touches. Called once, when the pipeline is built.
    fn declare(&self, slots: &mut Declaration);

    /// The first half. The view holds the declared slots and no others.
    fn forward(&mut self, view: &mut View<'_>) -> Result<Flow, PipelineError>;

    /// The second half, after all later stages. Its slots are those declared after
    /// [`Declaration::backward`](Declaration::backward).
    fn backward(&mut self, view: &mut View<'_>) -> Result<Flow, PipelineError> {
        let _ = view;
        Ok(Flow::Continue)
    }

    /// What a checkpoint must hold for this middleware to go on exactly; `Null` when it has no state.
    fn save_state(&self) -> Result<Value, PipelineError> {
        Ok(Value::Null)
    }

    /// Takes back what [`save_state`](Self::save_state) gave.
    fn restore_state(&mut self, state: &Value) -> Result<(), PipelineError> {
        if state.is_null() {
            return Ok(());
        }
        Err(PipelineError::State(format!(
            "`{}` has no state to restore, but the checkpoint holds one",
            self.name()
        )))
    }
}

impl<M: Middleware + ?Sized> Middleware for Box<M> {
    fn name(&self) -> &str {
        (**self).name()
    }

    fn declare(&self, slots: &mut Declaration) {
        (**self).declare(slots);
    }

    fn forward(&mut self, view: &mut View<'_>) -> Result<Flow, PipelineError> {
        (**self).forward(view)
    }

    fn backward(&mut self, view: &mut View<'_>) -> Result<Flow, PipelineError> {
        (**self).backward(view)
    }

    fn save_state(&self) -> Result<Value, PipelineError> {
        (**self).save_state()
    }

    fn restore_state(&mut self, state: &Value) -> Result<(), PipelineError> {
        (**self).restore_state(state)
    }
}
