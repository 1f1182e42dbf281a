//! A run: an algorithm with a directory, its result files, checkpoints and stop criteria.

mod keeper;
mod stop;

use std::path::{Path, PathBuf};

pub use stop::RunStop;

use crate::algorithm::Algorithm;
use crate::callbacks::CallbackList;
use crate::checkpoint::{self, Snapshot};
use crate::config::{self, AlgorithmConfig};
use crate::error::Error;
use crate::evaluate::Evaluation;
use crate::report::sink::Log;
use crate::report::{ResumePoint, RunDirectory, TrainResult};
use keeper::Keeper;

/// Seconds from which an iteration is too long to make somebody wait who wants to stop.
const LONG_ITERATION_S: f64 = 1.0;

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
    /// Whether a [`RunStop`] ended it.
    pub interrupted: bool,
    /// The last result; empty if no iteration was finished.
    pub result: TrainResult,
    /// The last evaluation, if one was made at the end.
    pub evaluation: Option<Evaluation>,
    /// The last checkpoint.
    pub checkpoint: Option<PathBuf>,
    /// The best checkpoint and its score, where `checkpointing.checkpoint_score_attribute` ranks them.
    pub best: Option<(PathBuf, f64)>,
}

/// Called with what the user should be told while a run goes on.
type Listener = Box<dyn FnMut(&str) + Send>;

/// An algorithm that writes what it does.
pub struct Run {
    directory: RunDirectory,
    algorithm: Algorithm,
    log: Log,
    keeper: Keeper,
    stop: RunStop,
    /// The newest result, and how long its iteration took.
    last: Option<(TrainResult, f64)>,
    warnings: Vec<String>,
    listener: Option<Listener>,
    /// Whether `config.json` is that of this process: a run that is only looked at keeps its own.
    is_config_written: bool,
    /// Environment steps when this process took the run up: up to there it is saved already, or there is nothing to save.
    started_at: u64,
}

/// What an attempt at an iteration came to.
enum Iteration {
    Finished(Box<TrainResult>),
    /// A stop was asked for; the state is that of the last finished iteration.
    Cut,
}

impl Run {
    /// Starts a run in `output` (or `checkpointing.output_dir`, or a new directory under `runs/`), which must be
    /// writable: that is found out before anything is built. Where building fails, the directory is removed again.
    ///
    /// # Errors
    /// A directory that cannot be written or holds a run already; whatever [`Algorithm::build`] finds; a stop criterion or
    /// score on a metric that results cannot have.
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
        match Algorithm::build_with(config, callbacks).and_then(with_known_metrics) {
            Ok(algorithm) => {
                // Before all other files: a run that is killed here can be resumed, or nothing of it is there.
                directory.write_config(&algorithm.config().to_value())?;
                let run = Self::start(directory, algorithm, ResumePoint::START)?;
                Ok(Self { is_config_written: true, ..run })
            }
            Err(error) => {
                directory.discard();
                Err(error)
            }
        }
    }

    /// Goes on with the run in `path` from its newest good checkpoint; `edit` may change options that do not change what
    /// is learned from (stop criteria, threads). A run that ended before its first checkpoint starts from the beginning,
    /// with the same seed. What the user should be told is in [`warnings`](Self::warnings).
    ///
    /// # Errors
    /// A directory without a run, or with checkpoints of which none loads.
    pub fn resume(
        path: &Path,
        edit: impl FnOnce(&mut dyn AlgorithmConfig) -> Result<(), Error>,
    ) -> Result<Self, Error> {
        Self::resume_with(path, CallbackList::new(), edit)
    }

    /// As [`resume`](Self::resume), with callbacks. Those that the run had and that are neither given nor registered are
    /// missing; [`warnings`](Self::warnings) says so.
    ///
    /// # Errors
    /// As [`resume`](Self::resume), and those of hooks.
    pub fn resume_with(
        path: &Path,
        callbacks: CallbackList,
        edit: impl FnOnce(&mut dyn AlgorithmConfig) -> Result<(), Error>,
    ) -> Result<Self, Error> {
        let directory = RunDirectory::resume(path)?;
        let mut warnings = Vec::new();
        if let Some(owner) = directory.taken_over() {
            warnings.push(format!(
                "process {} on host {} ended without an orderly end; its run is taken over",
                owner.pid, owner.host
            ));
        }
        let mut loaded_from = None;
        let algorithm = if checkpoint::has_never_saved(&directory.checkpoints()) {
            warnings.push(
                "there is no checkpoint yet: the run starts from the beginning, with the same seed".into(),
            );
            let mut config = config::from_value(&RunDirectory::read_config(path)?)?;
            edit(&mut *config)?;
            Algorithm::build_with(config, callbacks)?
        } else {
            let loaded = checkpoint::load(&directory.checkpoints())?;
            loaded_from = Some(loaded.path.clone());
            Algorithm::from_loaded(loaded, callbacks, edit)?
        };
        let point = ResumePoint {
            training_iteration: algorithm.training_iteration(),
            env_steps: algorithm.env_steps(),
        };
        warnings.extend_from_slice(algorithm.warnings());
        let mut run = Self::start(directory, algorithm, point)?;
        run.warnings = warnings;
        if let Some(path) = loaded_from {
            run.keeper.set_last(point.env_steps, path);
        }
        Ok(run)
    }

    fn start(directory: RunDirectory, algorithm: Algorithm, point: ResumePoint) -> Result<Self, Error> {
        let log = Log::new(directory.open_sinks(point)?);
        let keeper = Keeper::new(directory.checkpoints(), &algorithm.config().common().checkpointing);
        let (warnings, started_at) = (algorithm.warnings().to_vec(), point.env_steps);
        let stop = RunStop::default();
        Ok(Self {
            directory,
            algorithm,
            log,
            keeper,
            stop,
            last: None,
            warnings,
            listener: None,
            is_config_written: false,
            started_at,
        })
    }

    fn write_config(&mut self) -> Result<(), Error> {
        if !self.is_config_written {
            self.directory.write_config(&self.algorithm.config().to_value())?;
            self.is_config_written = true;
        }
        Ok(())
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

    /// What the user should be told so far: how the run was taken up, damage, what could not be written. One sentence or
    /// two each.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// Calls `listener` with every later warning as soon as it arises.
    pub fn on_warning(&mut self, listener: impl FnMut(&str) + Send + 'static) {
        self.listener = Some(Box::new(listener));
    }

    /// Asks this run to save and end, from any thread.
    pub fn stop_handle(&self) -> RunStop {
        self.stop.clone()
    }

    fn warn(&mut self, warning: Option<String>) {
        let Some(warning) = warning else { return };
        if let Some(listener) = &mut self.listener {
            listener(&warning);
        }
        self.warnings.push(warning);
    }

    /// Trains until a stop criterion holds, `after_result` wants to stop, or a [`RunStop`] is asked for; saves,
    /// evaluates and reports as configured. An interrupted run is not evaluated at its end.
    ///
    /// A full disk does not end a run: a checkpoint that cannot be written is tried again at the next interval, results
    /// wait in memory. Both are [warnings](Self::warnings). What still cannot be written at the end is an error.
    ///
    /// # Errors
    /// Whatever training meets, and saving or writing results at the end. What was saved before stays loadable, and with
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
        let _ = self.log.flush();
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
        self.write_config()?;
        loop {
            let mut result = match self.iterate()? {
                Iteration::Finished(result) => *result,
                Iteration::Cut => return self.finish("interrupted".to_owned(), false, None),
            };
            let met = self.algorithm.config().stop().reached(|metric| result.get(metric));
            let wish = after_result(&result);
            let reason = match (&met, wish) {
                (Some(reason), _) => Some(reason.to_string()),
                (None, _) if self.stop.is_asked() => Some("interrupted".to_owned()),
                (None, Flow::Stop) => Some("asked to stop".to_owned()),
                (None, Flow::Continue) => None,
            };
            // Whoever interrupts does not want to wait, and the results stay those of a run that was never stopped.
            let evaluation = match reason.is_some() && !(met.is_none() && self.stop.is_asked()) {
                true => self.evaluate_at_end(&mut result),
                false => Ok(None),
            };
            let warning = self.log.write(&result);
            self.warn(warning);
            let seconds = result.get("time_this_iter_s").unwrap_or_default();
            self.last = Some((result, seconds));
            let evaluation = evaluation?;
            match reason {
                Some(reason) => return self.finish(reason, met.is_some(), evaluation),
                None => self.checkpoint_if_due()?,
            }
        }
    }

    /// One iteration, unless a stop is asked for before it or, where it is a long one, in it.
    fn iterate(&mut self) -> Result<Iteration, Error> {
        let before = self.state_to_go_back_to()?;
        let handle = self.algorithm.stop_handle();
        self.stop.allow_cut(before.is_some().then(|| handle.clone()));
        // After `allow_cut`, so that no request falls between the two.
        let trained = match self.stop.is_asked() {
            true => Ok(Iteration::Cut),
            false => self.algorithm.train().map(|result| Iteration::Finished(Box::new(result))),
        };
        self.stop.allow_cut(None);
        if !self.stop.is_asked() {
            return trained;
        }
        handle.clear();
        match (trained, before) {
            (Err(Error::Stopped { .. }), Some(before)) => {
                self.algorithm.restore(&before)?;
                Ok(Iteration::Cut)
            }
            (trained, _) => trained,
        }
    }

    /// The state before an iteration that may be long. It costs about as much as a short iteration, so those go without.
    fn state_to_go_back_to(&self) -> Result<Option<Snapshot>, Error> {
        let may_be_long = self.last.as_ref().is_none_or(|(_, seconds)| *seconds >= LONG_ITERATION_S);
        may_be_long.then(|| self.algorithm.snapshot()).transpose()
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
        evaluation: Option<Evaluation>,
    ) -> Result<RunSummary, Error> {
        let interrupted = self.stop.is_asked();
        self.stop.clear();
        let wanted = self.algorithm.config().common().checkpointing.checkpoint_at_end;
        let saved = if wanted { self.checkpoint().map(|_| ()) } else { Ok(()) };
        let flushed = self.log.flush();
        saved?;
        flushed?;
        Ok(RunSummary {
            reason,
            criterion_met,
            interrupted,
            result: self.last.as_ref().map(|(result, _)| result.clone()).unwrap_or_default(),
            evaluation,
            checkpoint: self.keeper.last().map(Path::to_path_buf),
            best: self.keeper.best(),
        })
    }

    /// A checkpoint that the disk refuses costs the run nothing: it is tried again at the next interval.
    fn checkpoint_if_due(&mut self) -> Result<(), Error> {
        let frequency = self.algorithm.config().common().checkpointing.checkpoint_frequency as u64;
        if frequency == 0 || !self.algorithm.training_iteration().is_multiple_of(frequency) {
            return Ok(());
        }
        match self.checkpoint() {
            Err(Error::Checkpoint(error)) if error.may_pass() => {
                let warning = self.keeper.failed(&error);
                self.warn(warning);
                Ok(())
            }
            saved => saved.map(|_| ()),
        }
    }

    /// Saves the whole state now, unless the newest checkpoint holds just this state; ranks and prunes the checkpoints as configured.
    ///
    /// # Errors
    /// Whatever keeps the files from being written completely; older checkpoints stay.
    pub fn checkpoint(&mut self) -> Result<PathBuf, Error> {
        let env_steps = self.algorithm.env_steps();
        let state = self.algorithm.snapshot()?;
        if let Some(path) = self.keeper.holding(env_steps, &state) {
            return Ok(path);
        }
        // What a checkpoint was saved after is in the files before it. Where the disk refuses, that was told already.
        let _ = self.log.flush();
        let result = self.last.as_ref().map(|(result, _)| result);
        let path = self.keeper.save(env_steps, state, result)?;
        self.algorithm.announce_saved(&path)?;
        Ok(path)
    }
}

/// Without anybody who adds metrics, a misspelt one is found before training.
fn with_known_metrics(algorithm: Algorithm) -> Result<Algorithm, Error> {
    if !algorithm.has_own_metrics() {
        config::check_unaided(algorithm.config())?;
    }
    Ok(algorithm)
}

impl std::fmt::Debug for Run {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Run")
            .field("directory", &self.directory)
            .field("algorithm", &self.algorithm)
            .finish_non_exhaustive()
    }
}
