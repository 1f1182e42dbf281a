//! When the algorithm evaluates, and how: after training, beside it, or by an own function.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use skirl_math::rng::StreamKey;

use super::evaluator::{EvaluatorParts, Task};
use super::{Algorithm, EvaluateRequest, Evaluator};
use crate::callbacks::Hook;
use crate::config::DurationUnit;
use crate::error::Error;
use crate::evaluate::{Duration, Evaluation};
use crate::report::TrainResult;
use crate::workers::Workers;

/// An evaluation that is ready to be played on a thread of its own.
pub(super) struct Beside {
    evaluator: Evaluator,
    duration: Duration,
}

impl Beside {
    /// Plays while `train` trains. Training that fails ends the evaluation, too.
    fn run<T>(
        self,
        train: impl FnOnce() -> Result<T, Error>,
    ) -> Result<(T, Evaluator, Result<Evaluation, Error>), Error> {
        let Self { mut evaluator, duration } = self;
        let wanted = AtomicBool::new(true);
        let goes_on = || wanted.load(Ordering::Relaxed);
        thread::scope(|scope| {
            let play = || (evaluator.play(duration, &goes_on), evaluator);
            let playing = thread::Builder::new()
                .name("skirl-evaluation".to_owned())
                .spawn_scoped(scope, play)
                .map_err(|source| Error::Threads { num_threads: 1, reason: source.to_string() })?;
            // Dropped when training fails, and also when it panics: the scope waits for the evaluation either way.
            let mut end = EndUnlessTrained { wanted: &wanted, trained: false };
            let trained = train();
            end.trained = trained.is_ok();
            drop(end);
            let (evaluation, evaluator) = playing.join().unwrap_or_else(|panic| resume_unwind(panic));
            Ok((trained?, evaluator, evaluation))
        })
    }
}

/// Ends the evaluation beside training that came to nothing.
struct EndUnlessTrained<'a> {
    wanted: &'a AtomicBool,
    trained: bool,
}

impl Drop for EndUnlessTrained<'_> {
    fn drop(&mut self) {
        if !self.trained {
            self.wanted.store(false, Ordering::Relaxed);
        }
    }
}

impl Algorithm {
    /// The evaluation that runs beside the iteration which begins now, if one does.
    pub(super) fn evaluation_beside(&mut self) -> Result<Option<Beside>, Error> {
        let beside = self.config.common().evaluation.evaluation_parallel_to_training;
        if !beside || !self.evaluation_is_due(self.metrics.training_iteration + 1) {
            return Ok(None);
        }
        self.call_hook(Hook::EvaluateStart, |each, algorithm| each.on_evaluate_start(algorithm))?;
        let task = self.evaluation_task(&EvaluateRequest::default());
        let duration = task.duration;
        let mut evaluator = self.take_evaluator(duration)?;
        evaluator.prepare(task)?;
        Ok(Some(Beside { evaluator, duration }))
    }

    /// Trains one iteration with `evaluation` beside it, whose result belongs to the weights of the iteration before.
    pub(super) fn train_beside(&mut self, evaluation: Beside) -> Result<TrainResult, Error> {
        let evaluated_at = self.metrics.training_iteration;
        let (mut result, evaluator, evaluation) = evaluation.run(|| self.train_iteration())?;
        let evaluation = evaluation?;
        evaluator.commit()?;
        self.keep_evaluator(evaluator);
        let evaluation = self.end_evaluation(evaluation)?;
        self.report_evaluation(&evaluation, &mut result);
        self.evaluated = Some((evaluated_at, evaluation));
        Ok(result)
    }

    pub(super) fn evaluate_if_due(&mut self, result: &mut TrainResult) -> Result<(), Error> {
        if self.evaluation_is_due(self.metrics.training_iteration) {
            let evaluation = self.evaluate_once()?;
            self.report_evaluation(&evaluation, result);
        }
        Ok(())
    }

    fn evaluation_is_due(&self, iteration: u64) -> bool {
        let interval = self.config.common().evaluation.evaluation_interval;
        interval.is_some_and(|interval| iteration.is_multiple_of(interval as u64))
    }

    /// The evaluation of this iteration as configured: made now, unless it was made already.
    pub(crate) fn evaluate_once(&mut self) -> Result<Evaluation, Error> {
        let iteration = self.metrics.training_iteration;
        if let Some((evaluated_at, evaluation)) = &self.evaluated
            && *evaluated_at == iteration
        {
            return Ok(evaluation.clone());
        }
        let evaluation = self.evaluate(&EvaluateRequest::default())?;
        self.evaluated = Some((iteration, evaluation.clone()));
        Ok(evaluation)
    }

    /// Plays with the newest weights in environments of its own, as `evaluation` says; `request` overrides. With
    /// `custom_evaluation_function` that function is called instead.
    ///
    /// # Errors
    /// An evaluation environment that cannot be made, has other spaces, or fails; whatever an own function returns.
    pub fn evaluate(&mut self, request: &EvaluateRequest) -> Result<Evaluation, Error> {
        self.call_hook(Hook::EvaluateStart, |each, algorithm| each.on_evaluate_start(algorithm))?;
        let evaluation = match self.own_evaluation.is_some() {
            true => self.evaluate_by_own_function(request)?,
            false => self.play_evaluation(request)?,
        };
        self.end_evaluation(evaluation)
    }

    /// Counts an evaluation, and lets callbacks add to it.
    pub(super) fn end_evaluation(&mut self, mut evaluation: Evaluation) -> Result<Evaluation, Error> {
        self.metrics.evaluation.add(&evaluation);
        self.tell_of_recreated_in_evaluation()?;
        self.call_hook(Hook::EvaluateEnd, |each, algorithm| {
            each.on_evaluate_end(algorithm, &mut evaluation)
        })?;
        Ok(evaluation)
    }

    /// Puts an evaluation into a result, under `evaluation`.
    pub fn report_evaluation(&self, evaluation: &Evaluation, result: &mut TrainResult) {
        self.metrics.report_evaluation(&self.plan, evaluation, result);
    }

    fn play_evaluation(&mut self, request: &EvaluateRequest) -> Result<Evaluation, Error> {
        let task = self.evaluation_task(request);
        let duration = task.duration;
        let mut evaluator = self.take_evaluator(duration)?;
        let play = || {
            evaluator.prepare(task)?;
            let evaluation = evaluator.play(duration, &|| true)?;
            evaluator.commit()?;
            Ok(evaluation)
        };
        // Kept also where a panic goes on to somebody who catches it: the next evaluation starts fresh episodes.
        let played = catch_unwind(AssertUnwindSafe(play));
        self.keep_evaluator(evaluator);
        played.unwrap_or_else(|panic| resume_unwind(panic))
    }

    /// Keeps the evaluator for the next time, the number of its episodes, and the tasks of its environments.
    pub(super) fn keep_evaluator(&mut self, evaluator: Evaluator) {
        self.count_episodes(&evaluator);
        for (&env, task) in evaluator.tasks() {
            self.evaluation_tasks.insert(env, task.clone());
        }
        self.evaluator = Some(evaluator);
    }

    /// Later evaluations number their episodes after this one's.
    pub(super) fn count_episodes(&mut self, evaluator: &Evaluator) {
        let next = &mut self.metrics.evaluation.next_episode_id;
        *next = evaluator.next_episode_id().max(*next);
    }

    /// The newest weights, and where this evaluation's streams begin.
    pub(super) fn evaluation_task(&self, request: &EvaluateRequest) -> Task {
        let duration = self.evaluation_duration(request);
        let root = match request.seed {
            Some(seed) => StreamKey::root(seed).child("evaluation"),
            None => StreamKey::root(self.seed).child("evaluation").index(self.metrics.training_iteration),
        };
        Task {
            policies: self.parts.learners.policies(),
            normalizers: self.parts.runner.lock().normalizers().clone(),
            root,
            duration,
            explore: request.explore,
            first_episode_id: self.metrics.evaluation.next_episode_id,
        }
    }

    pub(super) fn evaluation_duration(&self, request: &EvaluateRequest) -> Duration {
        let options = &self.config.common().evaluation;
        match (request.episodes, options.evaluation_duration_unit) {
            (Some(episodes), _) => Duration::Episodes(episodes),
            (None, DurationUnit::Episodes) => Duration::Episodes(options.evaluation_duration),
            (None, DurationUnit::Timesteps) => Duration::EnvSteps(options.evaluation_duration as u64),
        }
    }

    /// The evaluator for this duration, from the last time or made anew.
    pub(super) fn take_evaluator(&mut self, duration: Duration) -> Result<Evaluator, Error> {
        if let Some(evaluator) = self.evaluator.take().filter(|evaluator| evaluator.fits(duration)) {
            return Ok(evaluator);
        }
        let beside = self.config.common().evaluation.evaluation_parallel_to_training;
        // Beside training it keeps to its own thread.
        let workers = if beside { Arc::new(Workers::new(1)?) } else { Arc::clone(&self.workers) };
        let parts = self.evaluator_parts(&workers);
        let mut evaluator = Evaluator::new(parts, self.parts.learners.policies(), duration)?;
        evaluator.set_tasks(&self.evaluation_tasks)?;
        Ok(evaluator)
    }

    pub(super) fn evaluator_parts<'a>(&'a self, workers: &'a Arc<Workers>) -> EvaluatorParts<'a> {
        EvaluatorParts { config: &*self.config, plan: &self.plan, workers, callbacks: &self.callbacks }
    }
}
