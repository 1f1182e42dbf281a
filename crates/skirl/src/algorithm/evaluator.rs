//! Evaluation's own environments and runner.

use std::collections::BTreeMap;
use std::sync::Arc;

use skirl_math::rng::StreamKey;

use crate::callbacks::{CallbackList, HookSet};
use crate::collect::normalizer::Normalizer;
use crate::collect::{EnvRunner, EnvironmentSpec, Environments, RunnerOptions};
use crate::config::AlgorithmConfig;
use crate::contract::{ModuleId, Policies};
use crate::error::Error;
use crate::evaluate::{Duration, Evaluation, evaluate};
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

/// Environments and runner of evaluation, kept from call to call.
#[derive(Debug)]
pub struct Evaluator {
    runner: EnvRunner,
    explore: bool,
    /// `None`: as many as the configuration says, whatever the duration.
    made_for: Option<Duration>,
}

impl Evaluator {
    /// Builds the environments; their spaces must be those of training.
    pub fn new(
        config: &dyn AlgorithmConfig,
        plan: &Plan,
        policies: Policies,
        duration: Duration,
        workers: &Arc<Workers>,
        callbacks: &CallbackList,
    ) -> Result<Self, Error> {
        let environments = Environments::make(&spec(config, duration, callbacks)?)?;
        Self::over(environments, config, plan, policies, duration, workers, callbacks)
    }

    /// As [`new`](Self::new), with a camera for the first `episodes` episodes of the evaluation's list.
    ///
    /// # Errors
    /// Also an environment that does not draw itself.
    pub fn filmed(
        config: &dyn AlgorithmConfig,
        plan: &Plan,
        policies: Policies,
        duration: Duration,
        workers: &Arc<Workers>,
        callbacks: &CallbackList,
        episodes: usize,
    ) -> Result<(Self, Film), Error> {
        let spec = spec(config, duration, callbacks)?;
        let film = Film::of_each(episodes_of_each(spec.num_envs, duration, episodes));
        let environments = film::film(Environments::make(&spec)?, &film);
        let evaluator = Self::over(environments, config, plan, policies, duration, workers, callbacks)?;
        // The runner has reset every environment, so a film without a picture will not get one.
        if film.is_blank() {
            return Err(Error::NotDrawable { env: spec.env });
        }
        Ok((evaluator, film))
    }

    fn over(
        environments: Environments,
        config: &dyn AlgorithmConfig,
        plan: &Plan,
        policies: Policies,
        duration: Duration,
        workers: &Arc<Workers>,
        callbacks: &CallbackList,
    ) -> Result<Self, Error> {
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
        let made_for = options.evaluation_num_envs.is_none().then_some(duration);
        Ok(Self { runner, explore, made_for })
    }

    /// Whether the number of environments suits an evaluation of this length.
    pub fn fits(&self, duration: Duration) -> bool {
        self.made_for.is_none_or(|made_for| made_for == duration)
    }

    /// The episodes of the next evaluation are numbered from here on.
    pub fn number_episodes(&mut self, first: u64) {
        self.runner.number_episodes(first);
    }

    /// The first id that no episode so far has.
    pub fn next_episode_id(&self) -> u64 {
        self.runner.next_episode_id()
    }

    /// One evaluation with these weights.
    pub fn run(
        &mut self,
        policies: Policies,
        normalizers: &BTreeMap<ModuleId, Normalizer>,
        root: StreamKey,
        duration: Duration,
        explore: Option<bool>,
    ) -> Result<Evaluation, Error> {
        self.runner.set_policies(policies);
        self.runner.set_normalizers(normalizers);
        self.runner.set_explore(explore.unwrap_or(self.explore));
        evaluate(&mut self.runner, root, duration, MAX_ENV_STEPS)
    }
}

fn spec(
    config: &dyn AlgorithmConfig,
    duration: Duration,
    callbacks: &CallbackList,
) -> Result<EnvironmentSpec, Error> {
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
    spec.num_envs = options.evaluation_num_envs.unwrap_or(wanted);
    if callbacks.wants_any(HookSet::EPISODE) {
        spec.num_shards = 1;
    }
    Ok(spec)
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
    let found = environments.spaces();
    if found == plan.agents {
        return Ok(());
    }
    Err(Error::Mismatch {
        what: "the spaces of the evaluation environment".to_owned(),
        expected: format!("{:?}", plan.agents),
        found: format!("{found:?}"),
        remedy: "Evaluate in an environment with the same observation and action spaces".to_owned(),
    })
}
