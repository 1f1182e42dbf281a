//! A range of an algorithm's environments with the policy that acts in them, built from the configuration alone: what a
//! process of its own holds. Weights, statistics and episode numbers come from the process that trains.

use serde_json::{Map, Value};
use skirl_env::registry::{self, EnvContext};
use skirl_env::{SharedState, VectorEnv};
use skirl_math::rng::StreamKey;

use super::snapshot::RUNNER_STREAM;
use crate::algo;
use crate::callbacks::{CallbackList, Environment, EpisodeHooks, Hook, HookSet, Place};
use crate::collect::action_codec::ActionCodec;
use crate::collect::normalizer::Normalizer;
use crate::collect::vector_runner::{RunnerState, StepRules, VectorRunner};
use crate::collect::{AgentSpaces, RunnerOptions};
use crate::config::AlgorithmConfig;
use crate::contract::{DEFAULT_AGENT_ID, DEFAULT_MODULE_ID, Policy};
use crate::error::Error;
use crate::plan::{build_policy, environment_spec};

/// A range of environments, its runner and its policy.
#[derive(Debug)]
pub struct EnvRange {
    /// Steps the environments.
    pub runner: VectorRunner,
    /// Acts.
    pub policy: Policy,
    /// Observation statistics, where observations are normalised.
    pub normalizer: Option<Normalizer>,
    /// What the environments look like.
    pub spaces: AgentSpaces,
    watch: Watch,
}

/// The callbacks of a range.
#[derive(Debug)]
struct Watch {
    callbacks: CallbackList,
    agents: Vec<String>,
    in_evaluation: bool,
}

impl Watch {
    fn hooks(&self) -> Option<EpisodeHooks<'_>> {
        let Self { callbacks, agents, in_evaluation } = self;
        let hooks = EpisodeHooks { callbacks, agents, in_evaluation: *in_evaluation };
        callbacks.wants_any(HookSet::EPISODE).then_some(hooks)
    }
}

/// Which environments a range is of.
#[derive(Debug, Clone, Copy)]
pub struct RangeOrder<'a> {
    /// The whole configuration, with its seed.
    pub config: &'a dyn AlgorithmConfig,
    /// Registered name: the configuration's, or that of evaluation.
    pub env: &'a str,
    /// Arguments of their constructors.
    pub env_config: &'a Map<String, Value>,
    /// Index of the first one among all of training, or of evaluation.
    pub first_env: usize,
    /// How many.
    pub num_envs: usize,
    /// They are evaluation's.
    pub in_evaluation: bool,
    /// Those of the run, made anew where the range is.
    pub callbacks: &'a CallbackList,
}

impl EnvRange {
    /// Builds the environments. `wrap` is put around them before the first reset.
    ///
    /// # Errors
    /// An environment that cannot be made, or has several agents; spaces that cannot be served.
    pub fn build(
        order: RangeOrder<'_>,
        wrap: impl FnOnce(Box<dyn VectorEnv>) -> Box<dyn VectorEnv>,
    ) -> Result<Self, Error> {
        let RangeOrder { config, env, env_config, first_env, num_envs, in_evaluation, callbacks } = order;
        let context = EnvContext {
            env_config: env_config.clone(),
            num_envs,
            first_env_index: first_env,
            shared: SharedState::new().for_env(first_env),
        };
        let mut env = wrap(registry::make_vec(env, num_envs, &context)?);
        let spaces = AgentSpaces {
            agent: DEFAULT_AGENT_ID.to_owned(),
            observation: env.observation_space().clone(),
            action: env.action_space().clone(),
        };
        announce(&mut *env, callbacks, first_env, in_evaluation)?;
        let plan = algo::plan(config, environment_spec(config.common())?, vec![spaces.clone()])?;
        let module = plan.modules.get(DEFAULT_MODULE_ID);
        let module = module.ok_or_else(|| Error::Internal("a plan without a module".to_owned()))?;
        let root = StreamKey::root(config.common().debugging.seed.unwrap_or(0));
        let policy = build_policy(module, root)?;
        let options = RunnerOptions::from_config(config.common(), root.child(RUNNER_STREAM));
        let codec = ActionCodec::new(&policy.action_space, options.actions)?;
        let normalizer = options.observation_clip.map(|clip| Normalizer::new(policy.obs_width(), clip));
        let explore = options.seed.child("explore");
        let normalized = normalizer.is_some();
        let runner = VectorRunner::new(env, first_env, &policy, codec, options.rewards, explore, normalized);
        let (callbacks, agents) = (callbacks.clone(), vec![DEFAULT_AGENT_ID.to_owned()]);
        let watch = Watch { callbacks, agents, in_evaluation };
        Ok(Self { runner, policy, normalizer, spaces, watch })
    }

    /// Acts with these weights from now on; `values` are those of [`policy`](Self::policy)'s parameters, in their order.
    pub fn set_weights(&mut self, values: &[f32], version: u64) {
        let params = self.policy.net.params_mut().values_mut();
        let len = params.len().min(values.len());
        params[..len].copy_from_slice(&values[..len]);
        self.policy.net.refresh();
        self.policy.version = version;
    }

    /// Resets the environments of episodes that have not started; with `call_hooks`, they start for callbacks as well.
    ///
    /// # Errors
    /// What an environment says.
    pub fn begin(&mut self, seeds: StreamKey, call_hooks: bool) -> Result<(), Error> {
        let hooks = self.watch.hooks().filter(|_| call_hooks);
        self.runner.begin(seeds, self.normalizer.as_ref(), hooks)
    }

    /// State for exact resume, with what callbacks keep with the running episodes.
    ///
    /// # Errors
    /// What callbacks say whose data cannot be saved.
    pub fn save_state(&self) -> Result<RunnerState, Error> {
        let mut state = self.runner.save_state();
        if !self.watch.in_evaluation {
            let numbered = state.episodes.iter_mut().enumerate();
            let numbered =
                numbered.map(|(env, episode)| (self.runner.episode_id(env, episode.index), episode));
            self.watch.callbacks.save_episodes(numbered)?;
        }
        Ok(state)
    }

    /// Puts a saved state back.
    ///
    /// # Errors
    /// As [`VectorRunner::restore_state`].
    pub fn restore_state(&mut self, state: RunnerState) -> Result<(), Error> {
        self.watch.callbacks.forget_episodes();
        self.runner.restore_state(state)
    }

    /// Steps every environment `steps` times.
    ///
    /// # Errors
    /// What an environment says; numbers that are not finite.
    pub fn sample(&mut self, steps: usize, explore: bool) -> Result<(), Error> {
        let _flush = skirl_nn::FlushDenormals::enable();
        let (normalizer, hooks) = (self.normalizer.as_ref(), self.watch.hooks());
        let rules = StepRules { policy: &self.policy, normalizer, explore, hooks };
        self.runner.sample(&rules, steps)
    }
}

/// Tells callbacks of the environments.
fn announce(
    env: &mut dyn VectorEnv,
    callbacks: &CallbackList,
    first_env: usize,
    in_evaluation: bool,
) -> Result<(), Error> {
    for row in 0..env.num_envs() {
        let mut environment = Environment::of_vector(env, row, first_env, in_evaluation);
        let place = Place { env: Some(first_env + row), ..Place::default() };
        callbacks
            .call(Hook::EnvironmentCreated, place, |each| each.on_environment_created(&mut environment))?;
    }
    Ok(())
}
