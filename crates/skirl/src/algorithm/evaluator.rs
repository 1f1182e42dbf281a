//! Evaluation's own environments and runner.

use std::collections::BTreeMap;
use std::sync::Arc;

use skirl_env::{EnvError, LiveEnv, SharedState};
use skirl_math::rng::StreamKey;

use crate::callbacks::{CallbackList, HookSet};
use crate::collect::launch::LaunchOrder;
use crate::collect::live::Tasks;
use crate::collect::normalizer::Normalizer;
use crate::collect::{EnvRunner, EnvironmentSpec, Environments, RunnerOptions, ShardFaults, difference};
use crate::config::AlgorithmConfig;
use crate::contract::{ModuleId, Policies};
use crate::error::Error;
use crate::evaluate::{Duration, Evaluation, play};
use crate::film::{self, Film};
use crate::plan::{Plan, environment_spec};
use crate::workers::Workers;

/// Most environments that evaluation makes by itself.
const MAX_ENVS: usize = 64;
/// Steps of one environment after which an evaluation that waits for episodes gives up.
const MAX_ENV_STEPS: u64 = 10_000_000;

/// What one evaluation does differently from the configuration.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct EvaluateRequest {
    /// Episodes to play.
    pub episodes: Option<usize>,
    /// Seed of the environments; without one it follows from the run's seed and iteration.
    pub seed: Option<u64>,
    /// Draw actions instead of taking the most likely ones.
    pub explore: Option<bool>,
}

/// Who plays, from where, and for how long.
#[derive(Debug)]
pub(super) struct Task {
    pub(super) policies: Policies,
    /// Observation statistics of training, which stay frozen.
    pub(super) normalizers: BTreeMap<ModuleId, Normalizer>,
    pub(super) root: StreamKey,
    pub(super) duration: Duration,
    pub(super) explore: Option<bool>,
    /// Episodes are numbered from here on.
    pub(super) first_episode_id: u64,
}

/// What an evaluator is built from, besides weights.
#[derive(Debug, Clone, Copy)]
pub struct EvaluatorParts<'a> {
    /// The configuration of the run.
    pub config: &'a dyn AlgorithmConfig,
    /// Its plan.
    pub plan: &'a Plan,
    /// Threads.
    pub workers: &'a Arc<Workers>,
    /// Callbacks that watch the episodes.
    pub callbacks: &'a CallbackList,
}

/// Environments and runner of evaluation, kept from call to call.
#[derive(Debug)]
pub struct Evaluator {
    runner: EnvRunner,
    explore: bool,
    /// `None`: as many as the configuration says, whatever the duration.
    made_for: Option<Duration>,
    /// What evaluation's environments share with everybody: a scope of its own, which begins and commits with each evaluation.
    shared: SharedState,
}

impl Evaluator {
    /// Builds the environments, in processes of their own where `evaluation_num_env_runners` asks for some and somebody can
    /// start them; their spaces must be those of training.
    pub fn new(parts: EvaluatorParts<'_>, policies: Policies, duration: Duration) -> Result<Self, Error> {
        let spec = parts.spec(duration)?;
        let order = LaunchOrder {
            config: parts.config,
            spec: &spec,
            num_runners: parts.config.common().evaluation.evaluation_num_env_runners,
            in_evaluation: true,
            callbacks: parts.callbacks,
        };
        let environments = Environments::launch(order)?;
        Self::over(environments, spec.shared, parts, policies, duration)
    }

    /// As [`new`](Self::new), with a camera for the first `episodes` episodes of the evaluation's list.
    ///
    /// # Errors
    /// Also an environment that does not draw itself.
    pub fn filmed(
        parts: EvaluatorParts<'_>,
        policies: Policies,
        duration: Duration,
        episodes: usize,
    ) -> Result<(Self, Film), Error> {
        let spec = parts.spec(duration)?;
        let film = Film::of_each(episodes_of_each(spec.num_envs, duration, episodes));
        let environments = film::film(Environments::make(&spec)?, &film);
        let evaluator = Self::over(environments, spec.shared, parts, policies, duration)?;
        // The runner has reset every environment, so a film without a picture will not get one.
        if episodes > 0 && film.is_blank() {
            return Err(Error::NotDrawable { env: spec.env });
        }
        Ok((evaluator, film))
    }

    fn over(
        environments: Environments,
        shared: SharedState,
        parts: EvaluatorParts<'_>,
        policies: Policies,
        duration: Duration,
    ) -> Result<Self, Error> {
        let EvaluatorParts { config, plan, workers, callbacks } = parts;
        let options = &config.common().evaluation;
        check_spaces(plan, &environments)?;
        let mut runner_options =
            RunnerOptions::from_config(config.common(), StreamKey::root(0).child("evaluation"));
        runner_options.explore = options.evaluation_config.explore;
        runner_options.callbacks = callbacks.clone();
        runner_options.in_evaluation = true;
        let explore = runner_options.explore;
        let mut runner = EnvRunner::new(environments, policies, runner_options, Arc::clone(workers))?;
        runner.freeze_statistics();
        let asked = options.num_envs(config.common().env_runners.num_envs_per_env_runner);
        let made_for = asked.is_none().then_some(duration);
        Ok(Self { runner, explore, made_for, shared })
    }

    /// The last task of each environment that was given one.
    pub(super) fn tasks(&self) -> &Tasks {
        self.runner.tasks()
    }

    /// Gives new environments the tasks of those before them. They take effect with the fresh episodes of the next
    /// evaluation; tasks of environments that this evaluator does not have are left out.
    pub(super) fn set_tasks(&mut self, tasks: &Tasks) -> Result<(), Error> {
        let set =
            |index: usize, env: &mut LiveEnv<'_>| tasks.get(&index).map_or(Ok(()), |task| env.set_task(task));
        if !tasks.is_empty() {
            self.runner.foreach_env(set)?;
        }
        Ok(())
    }

    /// Calls `visit` for every environment. What the visits share is made at once.
    pub(super) fn foreach_env<T>(
        &mut self,
        visit: impl FnMut(usize, &mut LiveEnv<'_>) -> Result<T, EnvError>,
    ) -> Result<Vec<T>, Error> {
        self.shared.discard();
        self.shared.begin()?;
        let visited = self.runner.foreach_env(visit);
        self.shared.commit()?;
        visited
    }

    /// Whether the number of environments suits an evaluation of this length.
    pub fn fits(&self, duration: Duration) -> bool {
        self.made_for.is_none_or(|made_for| made_for == duration)
    }

    /// Puts everything in its place for `task` and starts fresh episodes.
    pub(super) fn prepare(&mut self, task: Task) -> Result<(), Error> {
        // Of resets that nobody asked for: when the environments were made, and at the end of the last evaluation.
        self.shared.discard();
        self.shared.begin()?;
        self.runner.set_policies(task.policies);
        self.runner.set_normalizers(&task.normalizers);
        self.runner.set_explore(task.explore.unwrap_or(self.explore));
        self.runner.number_episodes(task.first_episode_id);
        self.runner.reset_with(task.root)?;
        self.runner.take_finished();
        Ok(())
    }

    /// What the processes of the environments went through, where they have some.
    pub(super) fn faults(&self) -> Option<ShardFaults> {
        self.runner.faults()
    }

    /// How often the process of each runner was replaced.
    pub(super) fn restarts(&self) -> Vec<u64> {
        self.runner.restarts()
    }

    /// The first id that no episode so far has.
    pub(super) fn next_episode_id(&self) -> u64 {
        self.runner.next_episode_id()
    }

    /// Plays on for `duration`, as long as `goes_on` says so.
    pub(super) fn play(
        &mut self,
        duration: Duration,
        goes_on: &dyn Fn() -> bool,
    ) -> Result<Evaluation, Error> {
        let evaluation = play(&mut self.runner, duration, MAX_ENV_STEPS, goes_on)?;
        Ok(Evaluation { faults: self.faults(), ..evaluation })
    }

    /// What the environments shared becomes visible to everybody.
    pub(super) fn commit(&self) -> Result<(), Error> {
        Ok(self.shared.commit()?)
    }

    /// The runner of the evaluation environments.
    pub(super) fn runner_mut(&mut self) -> &mut EnvRunner {
        &mut self.runner
    }
}

impl EvaluatorParts<'_> {
    fn spec(self, duration: Duration) -> Result<EnvironmentSpec, Error> {
        let Self { config, plan, callbacks, .. } = self;
        let options = &config.common().evaluation;
        let mut spec = environment_spec(config.common())?;
        if let Some(env) = &options.evaluation_config.env {
            spec.env.clone_from(env);
        }
        for (key, value) in options.evaluation_config.env_config.iter().flatten() {
            spec.env_config.insert(key.clone(), value.clone());
        }
        let wanted = match duration {
            Duration::Episodes(episodes) => episodes.clamp(1, MAX_ENVS),
            Duration::EnvSteps(_) => spec.num_envs.clamp(1, MAX_ENVS),
        };
        let asked = options.num_envs(config.common().env_runners.num_envs_per_env_runner);
        spec.num_envs = asked.unwrap_or(wanted);
        if callbacks.wants_any(HookSet::EPISODE) {
            spec.num_shards = 1;
        }
        spec.shared = plan.environment.shared.deferred();
        Ok(spec)
    }
}

/// Episodes to film of each environment: the list of an evaluation goes through the environments in order.
fn episodes_of_each(num_envs: usize, duration: Duration, episodes: usize) -> Vec<usize> {
    let mut left = episodes;
    let of_env = |env: usize| {
        let plays = match duration {
            Duration::Episodes(all) => all / num_envs + usize::from(env < all % num_envs),
            Duration::EnvSteps(_) => usize::MAX,
        };
        let filmed = plays.min(left);
        left -= filmed;
        filmed
    };
    (0..num_envs).map(of_env).collect()
}

fn check_spaces(plan: &Plan, environments: &Environments) -> Result<(), Error> {
    let spaces = environments.spaces();
    if spaces == plan.agents {
        return Ok(());
    }
    let (expected, found) = difference(&plan.agents, &spaces);
    Err(Error::Misfit {
        what: "the spaces of the evaluation environment".to_owned(),
        expected: format!("those of training: {expected}"),
        found,
        remedy: "Evaluate in an environment with the same observation and action spaces".to_owned(),
    })
}
