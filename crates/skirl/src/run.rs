//! A run: an algorithm with a directory, its result files, checkpoints and stop criteria.

use std::path::{Path, PathBuf};

use crate::algorithm::Algorithm;
use crate::callbacks::CallbackList;
use crate::checkpoint;
use crate::config::AlgorithmConfig;
use crate::error::Error;
use crate::evaluate::Evaluation;
use crate::report::{ResumePoint, RunDirectory, Sink, TrainResult};

/// What the caller wants after a result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flow {
    /// Go on until a stop criterion holds.
    Continue,
    /// Save and end the run.
    Stop,
}

/// How a run ended.
#[derive(Debug, Clone)]
pub struct RunSummary {
    /// Why it stopped, in words.
    pub reason: String,
    /// Whether a stop criterion was met (not the caller's wish).
    pub criterion_met: bool,
    /// The last result.
    pub result: TrainResult,
    /// The last evaluation, if one was made at the end.
    pub evaluation: Option<Evaluation>,
    /// The last checkpoint.
    pub checkpoint: Option<PathBuf>,
}

/// An algorithm that writes what it does.
#[derive(Debug)]
pub struct Run {
    directory: RunDirectory,
    algorithm: Algorithm,
    sinks: Vec<Box<dyn Sink>>,
    last_checkpoint: Option<(u64, PathBuf)>,
    /// Environment steps when this process took the run up: up to there it is saved already, or there is nothing to save.
    started_at: u64,
}

impl Run {
    /// Starts a run in `output` (or `checkpointing.output_dir`, or a new directory under `runs/`), which must be
    /// writable: that is found out before anything is built.
    ///
    /// # Errors
    /// A directory that cannot be written or holds a run already; whatever [`Algorithm::build`] finds.
    pub fn create(config: Box<dyn AlgorithmConfig>, output: Option<&Path>) -> Result<Self, Error> {
        Self::create_with(config, output, CallbackList::new())
    }

    /// As [`create`](Self::create), with callbacks.
    ///
    /// # Errors
    /// As [`create`](Self::create), and those of hooks.
    pub fn create_with(
        mut config: Box<dyn AlgorithmConfig>,
        output: Option<&Path>,
        callbacks: CallbackList,
    ) -> Result<Self, Error> {
        config.validate()?;
        crate::algorithm::fix_seed(&mut *config);
        let configured = config.common().checkpointing.output_dir.clone().map(PathBuf::from);
        let directory = match output.map(Path::to_path_buf).or(configured) {
            Some(path) => RunDirectory::create(&path)?,
            None => {
                let env = config.common().environment.env.clone().unwrap_or_default();
                let seed = config.common().debugging.seed.unwrap_or_default();
                RunDirectory::create_in(
                    Path::new(RunDirectory::DEFAULT_PARENT),
                    config.algorithm(),
                    &env,
                    seed,
                )?
            }
        };
        let algorithm = Algorithm::build_with(config, callbacks)?;
        directory.write_config(&algorithm.config().to_value())?;
        let sinks = directory.open_sinks(ResumePoint::START)?;
        Ok(Self { directory, algorithm, sinks, last_checkpoint: None, started_at: 0 })
    }

    /// Goes on with the run in `path` from its newest good checkpoint; `edit` may change options that do not change what
    /// is learned from (stop criteria, threads).
    ///
    /// # Errors
    /// A directory without a run or without a loadable checkpoint.
    pub fn resume(
        path: &Path,
        edit: impl FnOnce(&mut dyn AlgorithmConfig) -> Result<(), Error>,
    ) -> Result<Self, Error> {
        Self::resume_with(path, CallbackList::new(), edit)
    }

    /// As [`resume`](Self::resume), with callbacks. Those that the run had and that are neither given nor registered are
    /// missing; [`Algorithm::warnings`] says so.
    ///
    /// # Errors
    /// As [`resume`](Self::resume), and those of hooks.
    pub fn resume_with(
        path: &Path,
        callbacks: CallbackList,
        edit: impl FnOnce(&mut dyn AlgorithmConfig) -> Result<(), Error>,
    ) -> Result<Self, Error> {
        let directory = RunDirectory::resume(path)?;
        let checkpoints = directory.checkpoints();
        let algorithm = Algorithm::from_checkpoint_with_callbacks(&checkpoints, callbacks, edit)?;
        let resume = ResumePoint {
            training_iteration: algorithm.training_iteration(),
            env_steps: algorithm.env_steps(),
        };
        directory.write_config(&algorithm.config().to_value())?;
        let sinks = directory.open_sinks(resume)?;
        Ok(Self { directory, algorithm, sinks, last_checkpoint: None, started_at: resume.env_steps })
    }

    /// The run's directory.
    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    /// The algorithm.
    pub fn algorithm(&self) -> &Algorithm {
        &self.algorithm
    }

    /// The algorithm, to change.
    pub fn algorithm_mut(&mut self) -> &mut Algorithm {
        &mut self.algorithm
    }

    /// Trains until a stop criterion holds or `after_result` wants to stop; saves, evaluates and reports as configured.
    ///
    /// # Errors
    /// Whatever training, saving or writing results meets. What was saved before stays loadable, and with
    /// `checkpoint_at_end` the last good state is saved first: [`Error::RunFailed`] says where.
    pub fn train_until_stop(
        &mut self,
        after_result: &mut dyn FnMut(&TrainResult) -> Flow,
    ) -> Result<RunSummary, Error> {
        self.train_and_report(after_result).map_err(|error| self.save_what_is_good(error))
    }

    /// A failed iteration leaves the state of the one before it, which is hours of work.
    fn save_what_is_good(&mut self, error: Error) -> Error {
        let wanted = self.algorithm.config().common().checkpointing.checkpoint_at_end;
        let nothing_new = self.algorithm.env_steps() == self.started_at;
        if !wanted || nothing_new || matches!(error, Error::Checkpoint(_)) {
            return error;
        }
        let saved = self.checkpoint();
        // The first error is the one to tell; results that cannot be flushed are on disk up to the last line that was.
        let _ = self.sinks.iter_mut().try_for_each(|sink| sink.flush());
        let saved = match saved {
            Ok(path) => format!("What was learned before is saved in {}", path.display()),
            Err(second) => format!("What was learned before could not be saved: {second}"),
        };
        Error::RunFailed { source: Box::new(error), saved }
    }

    fn train_and_report(
        &mut self,
        after_result: &mut dyn FnMut(&TrainResult) -> Flow,
    ) -> Result<RunSummary, Error> {
        loop {
            let mut result = self.algorithm.train()?;
            let met = self.algorithm.config().stop().reached(|metric| result.get(metric));
            let wish = after_result(&result);
            let reason = match (&met, wish) {
                (Some(reason), _) => Some(reason.to_string()),
                (None, Flow::Stop) => Some("asked to stop".to_owned()),
                (None, Flow::Continue) => None,
            };
            let evaluation = match reason.is_some() {
                true => self.evaluate_at_end(&mut result),
                false => Ok(None),
            };
            for sink in &mut self.sinks {
                sink.write(&result)?;
            }
            let evaluation = evaluation?;
            match reason {
                Some(reason) => return self.finish(reason, met.is_some(), result, evaluation),
                None => self.checkpoint_if_due()?,
            }
        }
    }

    /// The last evaluation stands in the last result, in every sink.
    fn evaluate_at_end(&mut self, result: &mut TrainResult) -> Result<Option<Evaluation>, Error> {
        if !self.algorithm.config().common().evaluation.evaluation_at_end {
            return Ok(None);
        }
        let evaluation = self.algorithm.evaluate_once()?;
        self.algorithm.report_evaluation(&evaluation, result);
        Ok(Some(evaluation))
    }

    fn finish(
        &mut self,
        reason: String,
        criterion_met: bool,
        result: TrainResult,
        evaluation: Option<Evaluation>,
    ) -> Result<RunSummary, Error> {
        if self.algorithm.config().common().checkpointing.checkpoint_at_end {
            self.checkpoint()?;
        }
        for sink in &mut self.sinks {
            sink.flush()?;
        }
        let checkpoint = self.last_checkpoint.as_ref().map(|(_, path)| path.clone());
        Ok(RunSummary { reason, criterion_met, result, evaluation, checkpoint })
    }

    fn checkpoint_if_due(&mut self) -> Result<(), Error> {
        let frequency = self.algorithm.config().common().checkpointing.checkpoint_frequency as u64;
        match frequency > 0 && self.algorithm.training_iteration().is_multiple_of(frequency) {
            true => self.checkpoint().map(|_| ()),
            false => Ok(()),
        }
    }

    /// Saves the whole state now and prunes older checkpoints as configured.
    ///
    /// # Errors
    /// Whatever keeps the files from being written completely; older checkpoints stay.
    pub fn checkpoint(&mut self) -> Result<PathBuf, Error> {
        let env_steps = self.algorithm.env_steps();
        if let Some((saved_at, path)) = &self.last_checkpoint
            && *saved_at == env_steps
        {
            return Ok(path.clone());
        }
        let parent = self.directory.checkpoints();
        let path = checkpoint::save(&parent, &format!("step-{env_steps:012}"), &self.algorithm.snapshot()?)?;
        if let Some(keep) = self.algorithm.config().common().checkpointing.num_to_keep {
            checkpoint::prune(&parent, keep)?;
        }
        self.last_checkpoint = Some((env_steps, path.clone()));
        self.algorithm.announce_saved(&path)?;
        Ok(path)
    }
}
