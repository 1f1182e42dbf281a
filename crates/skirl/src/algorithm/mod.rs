//! The algorithm as its user holds it: build, train, evaluate, save, restore.
//!
//! ```no_run
//! use skirl::Algorithm;
//! use skirl::config::PpoConfig;
//!
//! let config = PpoConfig::new().environment("CartPole-v1").training(|t| t.lr(1e-3));
//! let mut ppo = Algorithm::build(Box::new(config))?;
//! for _ in 0..4 {
//!     println!("{:?}", ppo.train()?.get("env_runners/episode_return_mean"));
//! }
//! # Ok::<(), skirl::Error>(())
//! ```

mod evaluator;
mod metrics;
mod snapshot;
mod tensors;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use skirl_math::rng::StreamKey;

pub use evaluator::{EvaluateRequest, Evaluator};

use crate::algo::{self, BuildFrom, Parts};
use crate::checkpoint;
use crate::collect::Environments;
use crate::config::{AlgorithmConfig, DurationUnit};
use crate::contract::slots::{AGENT_STEPS, ENV_STEPS, EPISODES, LEARNER_RESULTS};
use crate::contract::{ModuleId, Policies};
use crate::error::Error;
use crate::evaluate::{Duration, Evaluation};
use crate::pipeline::StopHandle;
use crate::plan::{Plan, environment_spec};
use crate::report::TrainResult;
use crate::workers::Workers;
use metrics::RunMetrics;
pub(crate) use metrics::report_evaluation;

/// A running algorithm: environments, policies, learners and their pipeline.
pub struct Algorithm {
    config: Box<dyn AlgorithmConfig>,
    plan: Plan,
    parts: Parts,
    workers: Arc<Workers>,
    evaluator: Option<Evaluator>,
    metrics: RunMetrics,
    /// The newest evaluation as configured, and after which iteration it was made.
    evaluated: Option<(u64, Evaluation)>,
    seed: u64,
    warnings: Vec<String>,
}

impl Algorithm {
    /// Checks the configuration, builds the environments, plans, and builds the rest.
    ///
    /// # Errors
    /// Everything that is wrong with the configuration, at once; an environment that cannot be made; spaces that the
    /// algorithm cannot serve.
    pub fn build(mut config: Box<dyn AlgorithmConfig>) -> Result<Self, Error> {
        config.validate()?;
        skirl_nn::check_isa_env()?;
        let seed = fix_seed(&mut *config);
        let spec = environment_spec(config.common())?;
        let environments = Environments::make(&spec)?;
        let plan = algo::plan(&*config, spec, environments.spaces())?;
        let workers = Arc::new(Workers::new(config.common().resources.num_threads)?);
        let parts = algo::build(&*config, BuildFrom { plan: &plan, environments, workers: &workers, seed })?;
        let metrics = RunMetrics::new(config.common().reporting.metrics_num_episodes_for_smoothing);
        let (evaluator, evaluated, warnings) = (None, None, Vec::new());
        Ok(Self { config, plan, parts, workers, evaluator, metrics, evaluated, seed, warnings })
    }

    /// The configuration with its seed.
    pub fn config(&self) -> &dyn AlgorithmConfig {
        &*self.config
    }

    /// What runs.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// The seed of the run.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// Iterations (results) since the start of the run.
    pub fn training_iteration(&self) -> u64 {
        self.metrics.training_iteration
    }

    /// Environment steps since the start of the run.
    pub fn env_steps(&self) -> u64 {
        self.parts.task.context().get(ENV_STEPS).copied().unwrap_or(0)
    }

    /// Stops the run between two stages, from any thread.
    pub fn stop_handle(&self) -> StopHandle {
        self.parts.task.stop_handle()
    }

    /// Names of the stages, in order.
    pub fn stage_names(&self) -> Vec<&str> {
        self.parts.task.pipeline().stage_names().collect()
    }

    /// The list of stages with what each reads and writes.
    pub fn pipeline(&self) -> String {
        self.parts.task.pipeline().to_string()
    }

    /// One iteration: collects and learns (several times where `reporting` asks for more steps or time), evaluates where
    /// it is due, and reports.
    ///
    /// # Errors
    /// An environment that fails or returns NaN, a loss that diverges. The weights of the last iteration stay as they are.
    pub fn train(&mut self) -> Result<TrainResult, Error> {
        let started = Instant::now();
        let steps_before = self.env_steps();
        self.metrics.begin_iteration();
        self.parts.timing.reset();
        let mut calls = 0u64;
        loop {
            self.training_step()?;
            calls += 1;
            let reporting = &self.config.common().reporting;
            let long_enough =
                reporting.min_time_s_per_iteration.is_none_or(|min| started.elapsed().as_secs_f64() >= min);
            let enough =
                self.env_steps() - steps_before >= reporting.min_sample_timesteps_per_iteration as u64;
            if long_enough && enough {
                break;
            }
        }
        let env_steps = self.env_steps();
        self.metrics.end_iteration(env_steps - steps_before, started.elapsed());
        let mut result = self.metrics.report(&self.plan, &self.parts, env_steps, calls, started.elapsed());
        self.evaluate_if_due(&mut result)?;
        Ok(result)
    }

    fn training_step(&mut self) -> Result<(), Error> {
        let (workers, task) = (&self.workers, &mut self.parts.task);
        let iteration = workers.run(|| task.run_iteration())?;
        if let Some(stop) = iteration.stop {
            return Err(Error::Stopped { reason: stop.reason });
        }
        let context = self.parts.task.context_mut();
        let episodes = context.take(EPISODES).unwrap_or_default();
        let learners = context.take(LEARNER_RESULTS).unwrap_or_default();
        let agent_steps = context.get(AGENT_STEPS).copied().unwrap_or(0);
        self.metrics.take(&self.plan, &episodes, learners, agent_steps);
        Ok(())
    }

    fn evaluate_if_due(&mut self, result: &mut TrainResult) -> Result<(), Error> {
        let interval = self.config.common().evaluation.evaluation_interval;
        if interval.is_some_and(|interval| self.metrics.training_iteration.is_multiple_of(interval as u64)) {
            let evaluation = self.evaluate_once()?;
            report_evaluation(&evaluation, result);
        }
        Ok(())
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

    /// Plays with the newest weights in environments of its own, as `evaluation` says; `request` overrides.
    ///
    /// # Errors
    /// An evaluation environment that cannot be made, has other spaces, or fails.
    pub fn evaluate(&mut self, request: &EvaluateRequest) -> Result<Evaluation, Error> {
        let options = &self.config.common().evaluation;
        let duration = match (request.episodes, options.evaluation_duration_unit) {
            (Some(episodes), _) => Duration::Episodes(episodes),
            (None, DurationUnit::Episodes) => Duration::Episodes(options.evaluation_duration),
            (None, DurationUnit::Timesteps) => Duration::EnvSteps(options.evaluation_duration as u64),
        };
        let root = match request.seed {
            Some(seed) => StreamKey::root(seed).child("evaluation"),
            None => StreamKey::root(self.seed).child("evaluation").index(self.metrics.training_iteration),
        };
        let evaluator = match &mut self.evaluator {
            Some(evaluator) if evaluator.fits(duration) => evaluator,
            slot => slot.insert(Evaluator::new(
                &*self.config,
                &self.plan,
                self.parts.learners.policies(),
                duration,
                &self.workers,
            )?),
        };
        let normalizers = self.parts.runner.lock().normalizers().clone();
        evaluator.run(self.parts.learners.policies(), &normalizers, root, duration, request.explore)
    }

    /// Copies of the policies with the newest weights.
    pub fn policies(&self) -> Policies {
        self.parts.learners.policies()
    }

    /// Ids of the modules, trained or not.
    pub fn module_ids(&self) -> Vec<ModuleId> {
        self.plan.modules.keys().cloned().collect()
    }

    /// Writes the whole state into exactly this directory (made if absent).
    ///
    /// # Errors
    /// Whatever keeps the files from being written completely; nothing half-written stays.
    pub fn save_to_path(&self, path: &Path) -> Result<PathBuf, Error> {
        Ok(checkpoint::save_to(path, &self.snapshot()?)?)
    }

    /// Puts a saved state into this algorithm, which must have been built from the same configuration.
    ///
    /// # Errors
    /// A damaged checkpoint, or one of another algorithm, other spaces or another network.
    pub fn restore_from_path(&mut self, path: &Path) -> Result<(), Error> {
        self.restore_loaded(checkpoint::load(path)?)
    }

    /// Builds an algorithm from a checkpoint's own configuration and state.
    ///
    /// # Errors
    /// As [`build`](Self::build) and [`restore_from_path`](Self::restore_from_path).
    pub fn from_checkpoint(path: &Path) -> Result<Self, Error> {
        Self::from_checkpoint_with(path, |_| Ok(()))
    }

    /// As [`from_checkpoint`](Self::from_checkpoint), with options changed before the algorithm is built.
    ///
    /// # Errors
    /// As [`from_checkpoint`](Self::from_checkpoint), and those of `edit`.
    pub fn from_checkpoint_with(
        path: &Path,
        edit: impl FnOnce(&mut dyn AlgorithmConfig) -> Result<(), Error>,
    ) -> Result<Self, Error> {
        let loaded = checkpoint::load(path)?;
        let mut config = snapshot::config_of(&loaded.snapshot)?;
        edit(&mut *config)?;
        let mut algorithm = Self::build(config)?;
        algorithm.restore_loaded(loaded)?;
        Ok(algorithm)
    }

    fn restore_loaded(&mut self, loaded: checkpoint::Loaded) -> Result<(), Error> {
        self.restore(&loaded.snapshot)?;
        self.warnings.extend(loaded.warnings);
        Ok(())
    }

    /// What the user should be told about a restored state: damage, another instruction set, what was not saved. One
    /// sentence each.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }
}

/// The seed of a configuration; one is chosen and stored if there is none.
pub(crate) fn fix_seed(config: &mut dyn AlgorithmConfig) -> u64 {
    *config.common_mut().debugging.seed.get_or_insert_with(fresh_seed)
}

/// A seed for a run that was given none: from the clock and the process, small enough to type.
fn fresh_seed() -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let nanos = now.map_or(0, |elapsed| elapsed.as_nanos() as u64);
    StreamKey::root(nanos).index(u64::from(std::process::id())).0 % 1_000_000_000
}

impl std::fmt::Debug for Algorithm {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Algorithm")
            .field("seed", &self.seed)
            .field("plan", &self.plan)
            .finish_non_exhaustive()
    }
}
