//! What callbacks see of either kind of runner.

use super::places::{at_once, side_by_side};
use super::{EnvRunner, Kind, RunnerOptions};
use crate::callbacks::{Environment, EpisodeHooks, Hook, HookSet, Place, postprocess};
use crate::collect::agent_runner::AgentRules;
use crate::collect::shard::Shard;
use crate::contract::{DEFAULT_MODULE_ID, Rollout};
use crate::error::Error;

impl EnvRunner {
    pub(super) fn announce_environments(&mut self) -> Result<(), Error> {
        let (callbacks, in_evaluation) = (self.options.callbacks.clone(), self.options.in_evaluation);
        if !callbacks.wants(Hook::EnvironmentCreated) {
            return Ok(());
        }
        let announce = &mut |environment: &mut Environment<'_>| {
            let place = Place { env: Some(environment.index()), ..Place::default() };
            callbacks.call(Hook::EnvironmentCreated, place, |each| each.on_environment_created(environment))
        };
        match &mut self.kind {
            // Another process has told its own.
            Kind::Vector(shards) if shards.iter().all(|place| place.shard.faults().is_some()) => Ok(()),
            Kind::Vector(shards) => {
                for shard in shards.iter_mut().map(|place| &mut place.shard) {
                    let (first_env, num_envs) = (shard.first_env(), shard.num_envs());
                    for row in 0..num_envs {
                        let env = shard.env_mut();
                        announce(&mut Environment::of_vector(env, row, first_env, in_evaluation))?;
                    }
                }
                Ok(())
            }
            Kind::Agents(runner) => runner.announce_environments(announce, in_evaluation),
        }
    }

    /// Resets the environments of episodes that have not started; with `call_hooks`, they start for callbacks as well.
    ///
    /// Episodes that were reset without hooks (when the runner was built, after an error) are reset once more before
    /// their first step, so that callbacks see every episode that is played, and no other, from its creation on.
    pub(super) fn begin_episodes(&mut self, call_hooks: bool) -> Result<(), Error> {
        let seeds = self.seeds;
        let hooks = call_hooks.then(|| episode_hooks(&self.options, &self.agents)).flatten();
        match &mut self.kind {
            Kind::Vector(shards) => {
                let normalizer = self.normalizers.get(DEFAULT_MODULE_ID);
                let begin = |shard: &mut dyn Shard| shard.begin(seeds, normalizer, hooks);
                match side_by_side(shards) {
                    true => at_once(shards, |shard| shard.begin(seeds, normalizer, hooks)),
                    false => shards.iter_mut().try_for_each(|place| begin(&mut *place.shard)),
                }
            }
            Kind::Agents(runner) => {
                let rules = AgentRules {
                    policies: &self.policies,
                    normalizers: &self.normalizers,
                    explore: self.options.explore,
                    hooks,
                };
                runner.begin(seeds, &rules)
            }
        }?;
        self.take_seen();
        self.needs_reset = false;
        self.hand_on_logged()
    }

    /// What callbacks logged where the environments are goes to those here.
    pub(super) fn hand_on_logged(&mut self) -> Result<(), Error> {
        let Kind::Vector(shards) = &mut self.kind else { return Ok(()) };
        let logged: Vec<String> = shards.iter_mut().flat_map(|place| place.shard.take_logged()).collect();
        self.options.callbacks.take_logged(self.options.in_evaluation, &logged)
    }

    /// Shows a rollout of training to callbacks, which may change it.
    pub(super) fn show(&self, mut rollout: Rollout) -> Result<Rollout, Error> {
        if !self.options.in_evaluation && self.options.callbacks.wants_any(HookSet::SAMPLE) {
            postprocess(&self.options.callbacks, &self.agents, &self.policies, &mut rollout)?;
        }
        Ok(rollout)
    }
}

/// The hooks of episodes, if somebody wants one.
pub(super) fn episode_hooks<'a>(
    options: &'a RunnerOptions,
    agents: &'a [String],
) -> Option<EpisodeHooks<'a>> {
    let (callbacks, in_evaluation) = (&options.callbacks, options.in_evaluation);
    callbacks.wants_any(HookSet::EPISODE).then_some(EpisodeHooks { callbacks, agents, in_evaluation })
}
