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

mod actor;
mod callbacks;
mod change_modules;
mod env_range;
mod evaluation;
mod evaluator;
mod filmed;
mod live;
mod metrics;
mod module;
mod own_evaluation;
mod shared_tensors;
mod snapshot;
mod steps_by_name;
mod tensors;
mod weights;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use skirl_env::{SharedState, registry};
use skirl_math::rng::StreamKey;

pub use env_range::{EnvRange, RangeOrder};
pub use evaluator::{EvaluateRequest, Evaluator, EvaluatorParts};
pub use own_evaluation::{CustomEvaluation, register_evaluation_function};

use crate::algo::{self, BuildFrom, Parts};
use crate::callbacks::{CallbackList, Hook, HookSet, Place, Told};
use crate::checkpoint;
use crate::collect::launch::LaunchOrder;
use crate::collect::live::Tasks;
use crate::collect::{EnvironmentSpec, Environments};
use crate::config::AlgorithmConfig;
use crate::contract::slots::{AGENT_STEPS, ENV_STEPS, EPISODES, LEARNER_RESULTS, ROW_COUNTS};
use crate::contract::{Herald, ModuleId, Policies};
use crate::error::Error;
use crate::evaluate::Evaluation;
use crate::pipeline::StopHandle;
use crate::plan::{Plan, environment_spec};
use crate::report::TrainResult;
use crate::workers::Workers;
use actor::Actor;
use metrics::RunMetrics;
use own_evaluation::OwnEvaluation;

#[cfg(doctest)]
#[doc = include_str!("../../../../docs/steering.md")]
mod steering_page {}

/// A running algorithm: environments, policies, learners and their pipeline.
pub struct Algorithm {
    config: Box<dyn AlgorithmConfig>,
    plan: Plan,
    parts: Parts,
    workers: Arc<Workers>,
    /// Environments belong to the thread that builds and trains: of an iteration the update alone goes elsewhere.
    stays_on_thread: bool,
    evaluator: Option<Evaluator>,
    own_evaluation: Option<OwnEvaluation>,
    /// The last task of each evaluation environment that was given one, whichever evaluator has the environment.
    evaluation_tasks: Tasks,
    /// Acts outside training, for whoever asks.
    actor: Actor,
    /// The direct handle; the environments hold deferred ones.
    shared: SharedState,
    /// Whether the shared state is this run's own, and not handed in.
    owns_shared: bool,
    metrics: RunMetrics,
    /// The newest evaluation as configured, and after which iteration it was made.
    evaluated: Option<(u64, Evaluation)>,
    seed: u64,
    warnings: Vec<String>,
    callbacks: CallbackList,
    /// What callbacks know of replaced environment runners, and of those of evaluation.
    told: Told,
    told_evaluation: Told,
    /// The hooks that have the algorithm in hand just now, innermost last.
    in_hooks: Vec<Hook>,
    herald: Option<Herald>,
}

impl Algorithm {
    /// Checks the configuration, builds the environments, plans, and builds the rest.
    ///
    /// # Errors
    /// Everything that is wrong with the configuration, at once; an environment that cannot be made; spaces that the
    /// algorithm cannot serve.
    pub fn build(config: Box<dyn AlgorithmConfig>) -> Result<Self, Error> {
        Self::build_with(config, CallbackList::new())
    }

    /// As [`build`](Self::build), with callbacks beside the registered ones that `callbacks.names` asks for.
    ///
    /// # Errors
    /// As [`build`](Self::build); two callbacks of one name; what a hook returns.
    pub fn build_with(config: Box<dyn AlgorithmConfig>, callbacks: CallbackList) -> Result<Self, Error> {
        let mut algorithm = Self::build_sharing(config, callbacks, SharedState::new())?;
        algorithm.owns_shared = true;
        Ok(algorithm)
    }

    /// As [`build_with`](Self::build_with), with shared state that is there already, or that lives elsewhere. It is saved
    /// in checkpoints as it is then, but no restore replaces it, nor the end of an iteration that was cut short: what other
    /// runs wrote there stays.
    ///
    /// # Errors
    /// As [`build_with`](Self::build_with).
    pub fn build_sharing(
        mut config: Box<dyn AlgorithmConfig>,
        mut callbacks: CallbackList,
        shared: SharedState,
    ) -> Result<Self, Error> {
        config.validate()?;
        skirl_nn::check_isa_env()?;
        let own_evaluation =
            own_evaluation::find(config.common().evaluation.custom_evaluation_function.as_deref())?;
        fix_seed(&mut *config);
        let warnings = callbacks::settle(&mut *config, &mut callbacks)?;
        let mut algorithm = Self::assemble(config, callbacks, shared, own_evaluation)?;
        algorithm.warnings = warnings;
        // What environments shared while they were made: a checkpoint before the first step holds it, too.
        algorithm.plan.environment.shared.commit()?;
        algorithm.call_hook(Hook::AlgorithmInit, |each, algorithm| each.on_algorithm_init(algorithm))?;
        Ok(algorithm)
    }

    /// Environments, plan and parts of a configuration that was checked.
    fn assemble(
        mut config: Box<dyn AlgorithmConfig>,
        callbacks: CallbackList,
        shared: SharedState,
        own_evaluation: Option<OwnEvaluation>,
    ) -> Result<Self, Error> {
        let seed = fix_seed(&mut *config);
        let mut spec = EnvironmentSpec { shared: shared.deferred(), ..environment_spec(config.common())? };
        if callbacks.wants_any(HookSet::EPISODE) {
            // Hooks are called in the order of step and environment, whatever the number of threads.
            spec.num_shards = 1;
        }
        let num_runners = config.common().env_runners.num_env_runners;
        let order = LaunchOrder {
            config: &*config,
            spec: &spec,
            num_runners,
            in_evaluation: false,
            callbacks: &callbacks,
        };
        let environments = Environments::launch(order)?;
        let stays_on_thread = registry::spec(&spec.env)?.one_shard;
        let mut plan = algo::plan(&*config, spec, environments.spaces())?;
        let processes = environments.num_processes();
        plan.num_threads = config.common().resources.threads_beside(processes);
        crate::plan::memory::check(&plan)?;
        let workers = Arc::new(Workers::new(plan.num_threads)?.beside(processes));
        let from = BuildFrom { plan: &plan, environments, workers: &workers, callbacks: &callbacks, seed };
        let parts = algo::build(&*config, from)?;
        let metrics = RunMetrics::new(config.common().reporting.metrics_num_episodes_for_smoothing);
        Ok(Self {
            config,
            plan,
            parts,
            workers,
            stays_on_thread,
            evaluator: None,
            own_evaluation,
            evaluation_tasks: Tasks::new(),
            actor: Actor::default(),
            shared,
            owns_shared: false,
            metrics,
            evaluated: None,
            seed,
            warnings: Vec::new(),
            callbacks,
            told: Told::default(),
            told_evaluation: Told::default(),
            in_hooks: Vec::new(),
            herald: None,
        })
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

    /// Has `herald` called, on a thread that learns, when an iteration is about to end: one minibatch before the end of its
    /// update. For whoever sleeps until then: to be woken takes a thread up to a tenth of a millisecond.
    pub fn set_herald(&mut self, herald: Herald) {
        self.herald = Some(herald.clone());
        self.parts.learners.set_herald(herald);
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
    /// it is due, after training or beside it, and reports.
    ///
    /// # Errors
    /// An environment that fails or returns NaN, a loss that diverges. The weights of the last iteration stay as they are.
    pub fn train(&mut self) -> Result<TrainResult, Error> {
        let mut result = match self.evaluation_beside()? {
            Some(evaluation) => self.train_beside(evaluation)?,
            None => self.train_iteration()?,
        };
        if !self.config.common().evaluation.evaluation_parallel_to_training {
            self.evaluate_if_due(&mut result)?;
        }
        self.call_hook(Hook::TrainResult, |each, algorithm| each.on_train_result(algorithm, &mut result))?;
        Ok(result)
    }

    fn train_iteration(&mut self) -> Result<TrainResult, Error> {
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
        self.metrics.take_dropped(self.parts.runner.lock().env_steps_dropped());
        self.metrics.end_iteration(env_steps - steps_before, started.elapsed());
        Ok(self.metrics.report(&self.plan, &self.parts, env_steps, calls, started.elapsed()))
    }

    fn training_step(&mut self) -> Result<(), Error> {
        self.plan.environment.shared.begin()?;
        let stepped = self.run_pipeline();
        self.warnings.extend(self.parts.runner.lock().take_notes());
        if stepped.is_err() {
            // Nothing of a failed rollout is left, nor of what it shared.
            self.plan.environment.shared.discard();
            return stepped;
        }
        self.plan.environment.shared.commit()?;
        let context = self.parts.task.context_mut();
        let episodes = context.take(EPISODES).unwrap_or_default();
        let learners = context.take(LEARNER_RESULTS).unwrap_or_default();
        let agent_steps = context.get(AGENT_STEPS).copied().unwrap_or(0);
        let rows = context.take(ROW_COUNTS).unwrap_or_default();
        self.metrics.take(&self.plan, &episodes, learners);
        self.metrics.take_rows(&self.plan, agent_steps, &rows);
        self.tell_of_recreated()
    }

    fn run_pipeline(&mut self) -> Result<(), Error> {
        let (workers, task) = (&self.workers, &mut self.parts.task);
        let iteration = match self.stays_on_thread {
            true => {
                let _flush = skirl_nn::FlushDenormals::enable();
                task.run_iteration()
            }
            false => workers.run(|| task.run_iteration()),
        };
        match iteration?.stop {
            Some(stop) => Err(Error::Stopped { reason: stop.reason }),
            None => Ok(()),
        }
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
        let path = checkpoint::save_to(path, &self.snapshot()?)?;
        self.announce_saved(&path)?;
        Ok(path)
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

    /// As [`from_checkpoint`](Self::from_checkpoint), with callbacks, and with options changed before the algorithm is
    /// built. Callbacks of the saved run that are neither given nor registered are missing: a warning says so.
    ///
    /// # Errors
    /// As [`from_checkpoint`](Self::from_checkpoint), those of `edit` and of hooks.
    pub fn from_checkpoint_with_callbacks(
        path: &Path,
        callbacks: CallbackList,
        edit: impl FnOnce(&mut dyn AlgorithmConfig) -> Result<(), Error>,
    ) -> Result<Self, Error> {
        Self::from_loaded(checkpoint::load(path)?, callbacks, edit)
    }

    /// As [`from_checkpoint`](Self::from_checkpoint), with options changed before the algorithm is built.
    ///
    /// # Errors
    /// As [`from_checkpoint`](Self::from_checkpoint), and those of `edit`.
    pub fn from_checkpoint_with(
        path: &Path,
        edit: impl FnOnce(&mut dyn AlgorithmConfig) -> Result<(), Error>,
    ) -> Result<Self, Error> {
        Self::from_loaded(checkpoint::load(path)?, CallbackList::new(), edit)
    }

    pub(crate) fn from_loaded(
        loaded: checkpoint::Loaded,
        callbacks: CallbackList,
        edit: impl FnOnce(&mut dyn AlgorithmConfig) -> Result<(), Error>,
    ) -> Result<Self, Error> {
        let mut config = snapshot::config_of(&loaded.snapshot)?;
        edit(&mut *config)?;
        let mut algorithm = Self::build_with(config, callbacks)?;
        algorithm.restore_loaded(loaded)?;
        Ok(algorithm)
    }

    fn restore_loaded(&mut self, loaded: checkpoint::Loaded) -> Result<(), Error> {
        for id in loaded.snapshot.module_ids() {
            loaded.snapshot.tensors(&checkpoint::module_file(&id, checkpoint::MODULE_EXAMPLE))?;
        }
        self.restore_written_by(&loaded.snapshot, &loaded.skirl_version)?;
        self.warnings.extend(loaded.warnings);
        self.call_hook(Hook::CheckpointLoaded, |each, algorithm| each.on_checkpoint_loaded(algorithm))
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
