//! The general runner: several agents, turn-based or simultaneous, any of which may leave early.
//!
//! Every agent that must act is a row; the rows of all environments that share a module make one forward. A row stays
//! *open* until its agent observes again: rewards that arrive in between belong to it. A row still open when a rollout
//! ends without a successor is carried into the next one.

use skirl_env::MultiAgentEnv;
use skirl_math::chain::END;
use skirl_math::rng::StreamKey;
use skirl_math::stats::ColumnMoments;

use super::action_codec::ActionCodec;
use super::episodes::{EpisodeIds, EpisodeRecord};
use super::normalizer::Normalizer;
use super::rewards::RewardConnector;
use super::vector_runner::{FORWARD_ROWS, finite, value_end_rows};
use crate::callbacks::{EpisodeHooks, Hook};
use crate::contract::{Links, ModuleId, ModuleRollout, Policies, Rollout};
use crate::error::Error;

mod env_slot;
mod hooks;
mod module_slot;
mod state;

use env_slot::{EnvSlot, OpenRow, close_row, drop_row, exploration_key};
use module_slot::ModuleSlot;
pub use state::{AgentRunnerState, EnvSlotState};

/// All environments of a run with several agents.
pub struct AgentRunner {
    envs: Vec<EnvSlot>,
    modules: Vec<ModuleSlot>,
    rewards: RewardConnector,
    steps: u64,
    ids: EpisodeIds,
    finished: Vec<EpisodeRecord>,
}

/// The parts that do not change during a rollout.
#[derive(Debug)]
pub struct AgentRules<'a> {
    /// Policies by module id.
    pub policies: &'a Policies,
    /// Frozen observation statistics by module id.
    pub normalizers: &'a std::collections::BTreeMap<ModuleId, Normalizer>,
    /// Draw from the distribution, or take its mode.
    pub explore: bool,
    /// Hooks of episodes, where somebody wants them.
    pub hooks: Option<EpisodeHooks<'a>>,
}

impl AgentRunner {
    /// `module_of(agent index, agent id)` says which module acts for an agent.
    pub fn new(
        envs: Vec<Box<dyn MultiAgentEnv>>,
        policies: &Policies,
        module_of: &dyn Fn(usize, &str) -> Result<ModuleId, Error>,
        codec_of: &dyn Fn(&skirl_env::Space) -> Result<ActionCodec, Error>,
        rewards: RewardConnector,
        explore: StreamKey,
        normalized: bool,
    ) -> Result<Self, Error> {
        let ids: Vec<ModuleId> = policies.keys().cloned().collect();
        let num_agents: usize = envs.iter().map(|env| env.agents().len()).sum();
        let modules = policies
            .iter()
            .map(|(id, policy)| ModuleSlot::new(id, policy, if normalized { num_agents } else { 0 }))
            .collect();
        let num_envs = envs.len();
        let mut slots: Vec<EnvSlot> = Vec::with_capacity(num_envs);
        for (index, env) in envs.into_iter().enumerate() {
            let first_agent = slots.last().map_or(0, EnvSlot::end_agent);
            let key = explore.index(index as u64);
            slots.push(EnvSlot::new(env, first_agent, key, &ids, module_of, codec_of)?);
        }
        let ids = EpisodeIds { first: 0, num_envs };
        Ok(Self { envs: slots, modules, rewards, steps: 0, ids, finished: Vec::new() })
    }

    /// Steps taken: the counter of the exploration streams.
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// Environments.
    pub fn num_envs(&self) -> usize {
        self.envs.len()
    }

    /// The environments themselves.
    pub fn envs_mut(&mut self) -> impl Iterator<Item = &mut dyn MultiAgentEnv> {
        self.envs.iter_mut().map(|slot| &mut *slot.env)
    }

    /// Starts the exploration streams anew under `explore`: what follows does not depend on what was drawn before.
    pub fn restart_exploration(&mut self, explore: StreamKey) {
        for (env, slot) in self.envs.iter_mut().enumerate() {
            let keys = slot.agents.iter_mut().enumerate();
            keys.for_each(|(agent, slot)| slot.key = exploration_key(explore.index(env as u64), agent));
        }
        self.steps = 0;
    }

    /// Gives up all running episodes and numbers those that follow; [`begin`](Self::begin) must follow.
    pub fn number_episodes(&mut self, ids: EpisodeIds) {
        self.ids = ids;
        self.envs.iter_mut().for_each(|slot| slot.episode.number_anew());
    }

    /// The first id that no episode so far has.
    pub fn next_episode_id(&self) -> u64 {
        let played = self.envs.iter().map(|slot| &slot.episode).map(|episode| episode.index + 1).max();
        self.ids.of(0, played.unwrap_or(0))
    }

    /// Gives up all running episodes and forgets open rows; [`begin`](Self::begin) must follow.
    pub fn restart(&mut self) {
        for module in &mut self.modules {
            module.carried = None;
            module.dropped.clear();
        }
        self.envs.iter_mut().for_each(|slot| slot.episode.restart());
    }

    /// Resets the environments of episodes that have not started, each with its own seed.
    pub fn begin(&mut self, seeds: StreamKey, rules: &AgentRules<'_>) -> Result<(), Error> {
        for index in 0..self.envs.len() {
            if self.envs[index].episode.started {
                continue;
            }
            self.reset_env(index, Some(seeds.index(index as u64).0 >> 33), rules)?;
            self.envs[index].episode.started = rules.hooks.is_some();
        }
        Ok(())
    }

    /// Steps every environment `steps` times.
    pub fn sample(&mut self, rules: &AgentRules<'_>, steps: usize) -> Result<Rollout, Error> {
        self.begin_tables();
        self.envs.iter_mut().for_each(|slot| slot.episode.started = true);
        for _ in 0..steps {
            self.act(rules)?;
            self.steps += 1;
            for index in 0..self.envs.len() {
                self.step_env(index, rules)?;
            }
        }
        self.finish(rules, steps)
    }

    /// Empties the tables, then puts the rows carried over from the last rollout in front.
    fn begin_tables(&mut self) {
        for module in &mut self.modules {
            module.table.resize(0, 0);
            module.table.ends.clear();
            if let Some(carried) = module.carried.take() {
                module.table = carried;
            }
        }
    }

    /// One forward for each module over all agents that must act.
    fn act(&mut self, rules: &AgentRules<'_>) -> Result<(), Error> {
        for module in &mut self.modules {
            module.acting.clear();
        }
        for (env, slot) in self.envs.iter_mut().enumerate() {
            slot.actions.clear();
            for (agent, agent_slot) in slot.agents.iter().enumerate().filter(|(_, slot)| slot.must_act) {
                self.modules[agent_slot.module].acting.push((env, agent));
            }
        }
        for module in self.modules.iter_mut().filter(|module| !module.acting.is_empty()) {
            let Some(policy) = rules.policies.get(&module.id) else { continue };
            let first = module.append_rows(&mut self.envs, self.ids);
            module.forward(policy, &self.envs, first, self.steps, rules.explore)?;
            module.hand_out(&mut self.envs, first);
        }
        Ok(())
    }

    /// Steps one environment, gives rewards to the open rows and takes the new observations.
    fn step_env(&mut self, index: usize, rules: &AgentRules<'_>) -> Result<(), Error> {
        let slot = &mut self.envs[index];
        slot.step.clear();
        slot.env
            .step(&slot.actions, &mut slot.step)
            .and_then(|()| slot.check_ended_agents())
            .map_err(|source| Error::env(index, self.steps, source))?;
        self.take_rewards(index)?;
        self.take_observations(index, rules)?;
        let ended = self.envs[index].ended();
        self.call_hook(rules.hooks, Hook::EpisodeStep, index, Some(ended))?;
        if ended != (false, false) {
            self.call_hook(rules.hooks, Hook::EpisodeEnd, index, Some(ended))?;
            let record = self.envs[index].episode.finish(index, self.steps, self.ids);
            self.finished.push(record);
            self.reset_env(index, None, rules)?;
        }
        Ok(())
    }

    fn take_rewards(&mut self, index: usize) -> Result<(), Error> {
        let slot = &mut self.envs[index];
        slot.episode.step(slot.step.rewards.iter().sum());
        for (agent, &reward) in slot.step.rewards.iter().enumerate() {
            if !reward.is_finite() {
                return Err(Error::non_finite_reward(index, self.steps, reward));
            }
            slot.episode.agent_returns[agent] += reward;
            let agent_slot = &slot.agents[agent];
            if let Some(open) = agent_slot.open {
                let applied = finite(self.rewards.apply(reward), reward)
                    .map_err(|value| Error::non_finite_reward(index, self.steps, value))?;
                self.modules[agent_slot.module].table.rewards[open.row as usize] += applied;
            }
        }
        Ok(())
    }

    fn take_observations(&mut self, index: usize, rules: &AgentRules<'_>) -> Result<(), Error> {
        let EnvSlot { step, agents, episode, first_agent, .. } = &mut self.envs[index];
        for (agent, agent_slot) in agents.iter_mut().enumerate() {
            let module = &mut self.modules[agent_slot.module];
            agent_slot.must_act = false;
            agent_slot.raw.clear();
            if step.observed[agent] {
                agent_slot.observe(&step.observations[agent], index, self.steps)?;
                if rules.hooks.is_some() {
                    agent_slot.raw.extend_from_slice(&agent_slot.input);
                }
                let normalizer = rules.normalizers.get(&module.id);
                module.seen.observe(normalizer, *first_agent + agent, &mut agent_slot.input);
            }
            let terminated = step.terminated[agent] || step.all_terminated;
            let truncated = !terminated && (step.truncated[agent] || step.all_truncated);
            if terminated || truncated {
                if truncated && !step.truncated[agent] && !step.observed[agent] {
                    episode.rows_dropped += u64::from(drop_row(agent_slot, module));
                }
                close_row(agent_slot, module, terminated, step.observed[agent], (index, self.steps))?;
            } else {
                agent_slot.must_act = step.observed[agent];
            }
        }
        Ok(())
    }

    fn reset_env(&mut self, index: usize, seed: Option<u64>, rules: &AgentRules<'_>) -> Result<(), Error> {
        self.call_hook(rules.hooks, Hook::EpisodeCreated, index, None)?;
        let slot = &mut self.envs[index];
        slot.step.clear();
        slot.env.reset(seed, &mut slot.step).map_err(|source| Error::env(index, self.steps, source))?;
        slot.episode.agent_returns = vec![0.0; slot.agents.len()];
        for agent in &mut slot.agents {
            agent.gone = false;
            agent.open = None;
        }
        self.take_observations(index, rules)?;
        self.call_hook(rules.hooks, Hook::EpisodeStart, index, None)
    }

    /// Cuts or carries what is still open, values the chain ends, and hands the tables out.
    fn finish(&mut self, rules: &AgentRules<'_>, steps: usize) -> Result<Rollout, Error> {
        for module in 0..self.modules.len() {
            self.cut(module);
        }
        let mut rollout = Rollout { env_steps: (steps * self.envs.len()) as u64, ..Rollout::default() };
        for module in &mut self.modules {
            let Some(policy) = rules.policies.get(&module.id) else { continue };
            let width = module.table.obs_width;
            module.table.ends.sort(width);
            let tape = module.tape.get_or_insert_with(|| policy.net.tape(FORWARD_ROWS));
            value_end_rows(policy, &mut module.table, tape)?;
            rollout.agent_steps += module.table.rows as u64;
            rollout.weights_version = policy.version;
            let empty = ModuleRollout::new(
                module.table.obs_width,
                module.table.dist_width,
                module.table.actions.empty(),
                Links::Chained { next: Vec::new() },
            );
            rollout.modules.insert(module.id.clone(), std::mem::replace(&mut module.table, empty));
        }
        Ok(rollout)
    }

    /// Chains that go on get an end row; rows without a successor move to the next rollout.
    fn cut(&mut self, index: usize) {
        let module = &mut self.modules[index];
        let mut waiting = Vec::new();
        for slot in self.envs.iter_mut().flat_map(|slot| &mut slot.agents).filter(|slot| slot.module == index)
        {
            let Some(open) = slot.open.take() else { continue };
            if slot.must_act {
                module.table.ends.push(open.row, &slot.input);
                continue;
            }
            module.close_before(open);
            slot.open = Some(OpenRow { row: waiting.len() as u32, previous: END });
            waiting.push(open.row);
        }
        module.carry(&waiting);
    }

    /// Episodes that ended since the last call, in order.
    pub fn take_finished(&mut self) -> Vec<EpisodeRecord> {
        std::mem::take(&mut self.finished)
    }

    /// Observation statistics since the last call: by module, then by environment and agent.
    pub fn take_seen(&mut self) -> Vec<(ModuleId, Vec<ColumnMoments>)> {
        self.modules.iter_mut().map(|module| (module.id.clone(), module.seen.take())).collect()
    }
}

impl std::fmt::Debug for AgentRunner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AgentRunner")
            .field("num_envs", &self.envs.len())
            .field("steps", &self.steps)
            .finish_non_exhaustive()
    }
}
