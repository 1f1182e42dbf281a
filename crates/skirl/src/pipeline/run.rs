//! One iteration: forward halves in order, backward halves in reverse, whatever happened in between.

use super::context::Entry;
use super::error::{PipelineError, StageError};
use super::middleware::{Flow, Half};
use super::stage::{OnError, Stage};
use super::task::Task;
use super::view::Moment;
use super::wrapper::{HalfCall, Next, Wrapper};

/// What [`Task::run`] did.
#[derive(Debug)]
pub struct Run {
    /// Iterations begun in this call.
    pub iterations: u64,
    /// Why it ended early; `None` after the full number of iterations.
    pub stop: Option<Stop>,
}

/// What one iteration did.
#[derive(Debug)]
pub struct Iteration {
    /// Its number, from 1 over the task's life; that of the last one where a stop kept this one from starting.
    pub index: u64,
    /// The first stop request, if there was one. The iteration was unwound.
    pub stop: Option<Stop>,
    /// Failures passed over by [`OnError::Skip`], and backward halves left out while unwinding because a slot that
    /// they need was never written.
    pub skipped: Vec<Skipped>,
}

/// A stop, and where it took effect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stop {
    /// The recorded reason.
    pub reason: String,
    /// The stage that asked by returning [`Flow::Stop`]; `None` for a [`StopHandle`](super::StopHandle).
    pub asked_by: Option<String>,
    /// The last stage whose forward half ran in this iteration.
    pub after: Option<String>,
}

/// A half that did not count.
#[derive(Debug)]
pub struct Skipped {
    /// The stage.
    pub stage: String,
    /// The half.
    pub half: Half,
    /// Why.
    pub error: PipelineError,
}

/// An iteration under way.
struct Progress {
    iteration: Iteration,
    failure: Option<Box<StageError>>,
    after: Option<usize>,
}

/// How one half ended, its error policy applied.
enum Ended {
    Ran,
    Skipped,
    Failed,
}

impl Task {
    /// Runs the forward halves in order, then the backward halves of the stages whose forward half returned normally,
    /// in reverse order.
    ///
    /// Between two stages, a raised [`StopHandle`](super::StopHandle) or a returned [`Flow::Stop`] ends the forward
    /// pass; so does an error that is raised. The backward pass always runs to its end, and the error is returned
    /// after it. A request raised before the first stage starts no iteration.
    pub fn run_iteration(&mut self) -> Result<Iteration, PipelineError> {
        if let Some(reason) = self.stop.reason() {
            let stop = Stop { reason, asked_by: None, after: None };
            return Ok(Iteration { index: self.iterations, stop: Some(stop), skipped: Vec::new() });
        }
        self.begin()?;
        let mut progress = Progress::new(self.iterations);
        self.forward_pass(&mut progress);
        self.backward_pass(&mut progress);
        match progress.failure {
            Some(error) => Err(PipelineError::Stage(error)),
            None => Ok(progress.iteration),
        }
    }

    /// Renews the context. Nothing has changed if an input is missing.
    fn begin(&mut self) -> Result<(), PipelineError> {
        let entries = &self.context.entries;
        if let Some(entry) = self.inputs.iter().map(|&i| &entries[i]).find(|entry| !entry.provided) {
            let iteration = self.iterations + 1;
            return Err(PipelineError::NotProvided { slot: entry.info.name, iteration });
        }
        self.context.renew();
        self.iterations += 1;
        Ok(())
    }

    fn forward_pass(&mut self, progress: &mut Progress) {
        for stage in &mut self.pipeline.stages {
            stage.due = false;
        }
        for i in 0..self.pipeline.stages.len() {
            self.notice_stop(progress);
            if progress.is_cut() {
                return;
            }
            let ended = self.run_half(i, Half::Forward, progress);
            self.pipeline.stages[i].due = matches!(ended, Ended::Ran);
        }
        // A request made during the last stage belongs to this iteration, too.
        self.notice_stop(progress);
    }

    fn backward_pass(&mut self, progress: &mut Progress) {
        for i in (0..self.pipeline.stages.len()).rev() {
            if !self.pipeline.stages[i].due {
                continue;
            }
            if let Some(error) = self.unmet(i, progress) {
                progress.skip(&self.pipeline.stages[i].name, Half::Backward, error);
                continue;
            }
            self.run_half(i, Half::Backward, progress);
        }
    }

    fn notice_stop(&self, progress: &mut Progress) {
        if progress.iteration.stop.is_none()
            && let Some(reason) = self.stop.reason()
        {
            progress.stop(&self.pipeline.stages, reason, None);
        }
    }

    /// While unwinding: the value that stage `i`'s backward half needs and that no stage came to write.
    fn unmet(&self, i: usize, progress: &Progress) -> Option<PipelineError> {
        if !progress.is_cut() {
            return None;
        }
        let stage = &self.pipeline.stages[i];
        let mut needed =
            stage.declaration.half(Half::Backward).iter().filter(|access| access.kind.needs_value());
        let missing = needed.find(|access| !self.context.entries[access.index].cell.is_full())?;
        Some(PipelineError::Empty {
            stage: stage.name.clone(),
            half: Half::Backward,
            slot: missing.info.name,
            fix: "the iteration was cut short before it was written; read it as optional to run all the same",
        })
    }

    fn run_half(&mut self, i: usize, half: Half, progress: &mut Progress) -> Ended {
        let retries = match self.pipeline.stages[i].policy {
            OnError::Retry(times) => times,
            OnError::Raise | OnError::Skip => 0,
        };
        if half == Half::Forward {
            progress.after = Some(i);
        }
        let mut tries = 0;
        loop {
            tries += 1;
            self.stamp += 1;
            let moment =
                Moment { half, iteration: self.iterations, stamp: self.stamp, unwinding: progress.is_cut() };
            let Task { pipeline, context, .. } = self;
            let stage = &mut pipeline.stages[i];
            match try_half(stage, &mut pipeline.wrappers, &mut context.entries, moment) {
                Ok(Flow::Continue) => return Ended::Ran,
                Ok(Flow::Stop(reason)) => {
                    progress.stop(&self.pipeline.stages, reason, Some(i));
                    return Ended::Ran;
                }
                Err(error) if !error.is_contract() && tries <= retries && !self.stop.is_raised() => {}
                Err(error) => return progress.fail(&self.pipeline.stages[i], half, tries, error),
            }
        }
    }
}

fn try_half(
    stage: &mut Stage,
    wrappers: &mut [Box<dyn Wrapper>],
    entries: &mut [Entry],
    moment: Moment,
) -> Result<Flow, PipelineError> {
    let mut call = HalfCall {
        middleware: &mut *stage.middleware,
        stage: &stage.name,
        moment,
        accesses: stage.declaration.half(moment.half),
        entries,
    };
    let result = Next { wrappers, call: &mut call }.run();
    if result.is_err() {
        call.drop_written();
    }
    result
}

impl Progress {
    fn new(index: u64) -> Self {
        let iteration = Iteration { index, stop: None, skipped: Vec::new() };
        Self { iteration, failure: None, after: None }
    }

    /// No further forward half is to run.
    fn is_cut(&self) -> bool {
        self.failure.is_some() || self.iteration.stop.is_some()
    }

    /// The first request is the one recorded.
    fn stop(&mut self, stages: &[Stage], reason: String, asked_by: Option<usize>) {
        let name = |i: usize| stages[i].name.clone();
        if self.iteration.stop.is_none() {
            let stop = Stop { reason, asked_by: asked_by.map(name), after: self.after.map(name) };
            self.iteration.stop = Some(stop);
        }
    }

    fn skip(&mut self, stage: &str, half: Half, error: PipelineError) {
        self.iteration.skipped.push(Skipped { stage: stage.to_owned(), half, error });
    }

    #[cold]
    fn fail(&mut self, stage: &Stage, half: Half, tries: u32, error: PipelineError) -> Ended {
        if stage.policy == OnError::Skip && !error.is_contract() {
            self.skip(&stage.name, half, error);
            return Ended::Skipped;
        }
        let (name, iteration) = (stage.name.clone(), self.iteration.index);
        let error = StageError { stage: name, half, iteration, tries, error, unwinding: Vec::new() };
        match &mut self.failure {
            Some(first) => first.unwinding.push(PipelineError::Stage(Box::new(error))),
            None => self.failure = Some(Box::new(error)),
        }
        Ended::Failed
    }
}
