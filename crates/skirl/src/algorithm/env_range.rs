//! A range of an algorithm's environments with the policy that acts in them, built from the configuration alone: what a
//! process of its own holds. Weights, statistics and episode numbers come from the process that trains.

use skirl_env::registry::{self, EnvContext};
use skirl_env::{SharedState, VectorEnv};
use skirl_math::rng::StreamKey;

use super::snapshot::RUNNER_STREAM;
use crate::algo;
use crate::collect::action_codec::ActionCodec;
use crate::collect::normalizer::Normalizer;
use crate::collect::vector_runner::{StepRules, VectorRunner};
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
}

impl EnvRange {
    /// Builds environments `first_env` to `first_env + num_envs` of a configuration that has its seed. `wrap` is put around
    /// them before the first reset.
    ///
    /// # Errors
    /// An environment that cannot be made, or has several agents; spaces that cannot be served.
    pub fn build(
        config: &dyn AlgorithmConfig,
        first_env: usize,
        num_envs: usize,
        wrap: impl FnOnce(Box<dyn VectorEnv>) -> Box<dyn VectorEnv>,
    ) -> Result<Self, Error> {
        let spec = environment_spec(config.common())?;
        let context = EnvContext {
            env_config: spec.env_config.clone(),
            num_envs,
            first_env_index: first_env,
            shared: SharedState::new().for_env(first_env),
        };
        let env = wrap(registry::make_vec(&spec.env, num_envs, &context)?);
        let spaces = AgentSpaces {
            agent: DEFAULT_AGENT_ID.to_owned(),
            observation: env.observation_space().clone(),
            action: env.action_space().clone(),
        };
        let plan = algo::plan(config, spec, vec![spaces.clone()])?;
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
        Ok(Self { runner, policy, normalizer, spaces })
    }

    /// Acts with these weights from now on; `values` are those of [`policy`](Self::policy)'s parameters, in their order.
    pub fn set_weights(&mut self, values: &[f32], version: u64) {
        let params = self.policy.net.params_mut().values_mut();
        let len = params.len().min(values.len());
        params[..len].copy_from_slice(&values[..len]);
        self.policy.net.refresh();
        self.policy.version = version;
    }

    /// Resets the environments of episodes that have not started.
    ///
    /// # Errors
    /// What an environment says.
    pub fn begin(&mut self, seeds: StreamKey) -> Result<(), Error> {
        self.runner.begin(seeds, self.normalizer.as_ref(), None)
    }

    /// Steps every environment `steps` times.
    ///
    /// # Errors
    /// What an environment says; numbers that are not finite.
    pub fn sample(&mut self, steps: usize, explore: bool) -> Result<(), Error> {
        let _flush = skirl_nn::FlushDenormals::enable();
        let rules =
            StepRules { policy: &self.policy, normalizer: self.normalizer.as_ref(), explore, hooks: None };
        self.runner.sample(&rules, steps)
    }
}
