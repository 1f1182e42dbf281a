//! The general runner: several agents, turn-based or simultaneous, any of which may leave early.
//!
//! Every agent that must act is a row; the rows of all environments that share a module make one forward. A row stays
//! *open* until its agent observes again: rewards that arrive in between belong to it. A row still open when a rollout
//! ends without a successor is carried into the next one.

use serde::{Deserialize, Serialize};
use skirl_env::{AgentActions, AgentStep, EnvState, MultiAgentEnv};
use skirl_math::chain::END;
use skirl_math::rng::StreamKey;
use skirl_math::stats::ColumnMoments;

use super::action_codec::ActionCodec;
use super::episodes::{EpisodeRecord, RunningEpisode};
use super::normalizer::Normalizer;
use super::observations::{ObservationConnector, find_non_finite};
use super::rewards::RewardConnector;
use super::vector_runner::{FORWARD_ROWS, finite, value_end_rows};
use crate::contract::{Links, ModuleId, ModuleRollout, Policies, Rollout};
use crate::error::Error;

mod module_slot;

use module_slot::ModuleSlot;

/// All environments of a run with several agents.
pub struct AgentRunner {
    envs: Vec<EnvSlot>,
    modules: Vec<ModuleSlot>,
    rewards: RewardConnector,
    steps: u64,
    finished: Vec<EpisodeRecord>,
}

struct EnvSlot {
    env: Box<dyn MultiAgentEnv>,
    step: AgentStep,
    actions: AgentActions,
    agents: Vec<AgentSlot>,
    episode: RunningEpisode,
}

struct AgentSlot {
    module: usize,
    key: StreamKey,
    connector: ObservationConnector,
    codec: ActionCodec,
    /// Module input that waits for an action.
    input: Vec<f32>,
    must_act: bool,
    gone: bool,
    open: Option<OpenRow>,
}

#[derive(Debug, Clone, Copy)]
struct OpenRow {
    row: u32,
    /// The same agent's row before it in this rollout, or `END`.
    previous: u32,
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
        let envs = envs
            .into_iter()
            .enumerate()
            .map(|(index, env)| EnvSlot::new(env, explore.index(index as u64), &ids, module_of, codec_of))
            .collect::<Result<_, _>>()?;
        Ok(Self { envs, modules, rewards, steps: 0, finished: Vec::new() })
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

    /// Resets every environment with its own seed; open rows are forgotten.
    pub fn reset(&mut self, seeds: StreamKey, rules: &AgentRules<'_>) -> Result<(), Error> {
        for module in &mut self.modules {
            module.carried = None;
            module.dropped.clear();
        }
        for index in 0..self.envs.len() {
            self.envs[index].episode.restart();
            self.reset_env(index, Some(seeds.index(index as u64).0 >> 1), rules)?;
        }
        Ok(())
    }

    /// Steps every environment `steps` times.
    pub fn sample(&mut self, rules: &AgentRules<'_>, steps: usize) -> Result<Rollout, Error> {
        self.begin();
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
    fn begin(&mut self) {
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
            let first = module.append_rows(&mut self.envs);
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
            .map_err(|source| Error::env(index, self.steps, source))?;
        self.take_rewards(index)?;
        self.take_observations(index, rules)?;
        let slot = &self.envs[index];
        let all_gone = slot.agents.iter().all(|agent| agent.gone);
        if slot.step.all_terminated || slot.step.all_truncated || all_gone {
            let record = self.envs[index].episode.finish(index, self.steps);
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
        let first_row: usize = self.envs[..index].iter().map(|slot| slot.agents.len()).sum();
        let slot = &mut self.envs[index];
        let step = &slot.step;
        for (agent, agent_slot) in slot.agents.iter_mut().enumerate() {
            let module = &mut self.modules[agent_slot.module];
            agent_slot.must_act = false;
            if step.observed[agent] && !agent_slot.gone {
                agent_slot.observe(&step.observations[agent], index, self.steps)?;
                let normalizer = rules.normalizers.get(&module.id);
                module.seen.observe(normalizer, first_row + agent, &mut agent_slot.input);
            }
            let terminated = step.terminated[agent] || step.all_terminated;
            let truncated = !terminated && (step.truncated[agent] || step.all_truncated);
            if terminated || truncated {
                if truncated && !step.truncated[agent] && !step.observed[agent] {
                    drop_row(agent_slot, module);
                }
                close_row(agent_slot, module, terminated, step.observed[agent], (index, self.steps))?;
            } else {
                agent_slot.must_act = step.observed[agent] && !agent_slot.gone;
            }
        }
        Ok(())
    }

    fn reset_env(&mut self, index: usize, seed: Option<u64>, rules: &AgentRules<'_>) -> Result<(), Error> {
        let slot = &mut self.envs[index];
        slot.step.clear();
        slot.env.reset(seed, &mut slot.step).map_err(|source| Error::env(index, self.steps, source))?;
        slot.episode.agent_returns = vec![0.0; slot.agents.len()];
        for agent in &mut slot.agents {
            agent.gone = false;
            agent.open = None;
        }
        self.take_observations(index, rules)
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
            value_end_rows(policy, &mut module.table, tape, FORWARD_ROWS)?;
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

    /// State for exact resume.
    pub fn save_state(&self) -> AgentRunnerState {
        AgentRunnerState {
            envs: self.envs.iter().map(EnvSlot::save_state).collect(),
            carried: self.modules.iter().map(|module| module.carried.clone()).collect(),
            steps: self.steps,
        }
    }

    /// Puts a saved state back. Environments that could not save theirs start new episodes with `seeds`, and the rows
    /// that their agents had open are dropped: what followed them is lost.
    pub fn restore_state(
        &mut self,
        mut state: AgentRunnerState,
        seeds: StreamKey,
        rules: &AgentRules<'_>,
    ) -> Result<(), Error> {
        if state.envs.len() != self.envs.len() || state.carried.len() != self.modules.len() {
            return Err(Error::RunnerState {
                expected: format!("{} environments and {} modules", self.envs.len(), self.modules.len()),
                found: format!("{} environments and {} modules", state.envs.len(), state.carried.len()),
            });
        }
        self.check_open_rows(&state)?;
        self.drop_unsaved_rows(&mut state);
        self.steps = state.steps;
        for (module, carried) in self.modules.iter_mut().zip(state.carried) {
            module.carried = carried;
            module.dropped.clear();
        }
        for (index, saved) in state.envs.into_iter().enumerate() {
            let slot = &mut self.envs[index];
            if saved.env.is_some() {
                slot.restore_state(saved).map_err(|source| Error::env(index, state.steps, source))?;
            } else {
                slot.episode = saved.episode;
                slot.episode.restart();
                self.reset_env(index, Some(seeds.index(index as u64).0 >> 1), rules)?;
            }
        }
        Ok(())
    }

    /// Every open row must be one of those carried for the agent's module.
    fn check_open_rows(&self, state: &AgentRunnerState) -> Result<(), Error> {
        for (slot, saved) in self.envs.iter().zip(&state.envs) {
            for (agent, open) in slot.agents.iter().zip(&saved.open) {
                let rows = state.carried[agent.module].as_ref().map_or(0, |carried| carried.rows);
                if open.is_some_and(|open| open as usize >= rows) {
                    return Err(Error::RunnerState {
                        expected: format!("open rows below the {rows} carried ones"),
                        found: format!("row {}", open.unwrap_or_default()),
                    });
                }
            }
        }
        Ok(())
    }

    /// Takes the rows of environments without a saved state out of the carried ones, and renumbers the others.
    fn drop_unsaved_rows(&self, state: &mut AgentRunnerState) {
        for (index, carried) in state.carried.iter_mut().enumerate() {
            let Some(table) = carried else { continue };
            let is_saved = |env: &u32| state.envs.get(*env as usize).is_some_and(|saved| saved.env.is_some());
            let keep: Vec<bool> = table.env.iter().map(is_saved).collect();
            table.retain(&keep);
            if table.rows == 0 {
                *carried = None;
            }
            for (slot, saved) in self.envs.iter().zip(&mut state.envs) {
                let own = slot.agents.iter().zip(&mut saved.open).filter(|(agent, _)| agent.module == index);
                for open in own.filter_map(|(_, open)| open.as_mut()) {
                    *open = keep.iter().take(*open as usize).filter(|keep| **keep).count() as u32;
                }
            }
        }
    }
}

/// Forgets the open row of an agent that a time limit cut off while others had the turn: nothing tells what its last
/// action led to, so it is not trained on.
fn drop_row(agent: &mut AgentSlot, module: &mut ModuleSlot) {
    if let Some(open) = agent.open.take() {
        module.close_before(open);
        module.dropped.push(open.row);
    }
}

/// Ends an agent's episode: flags its open row and keeps the final observation of a truncated one.
fn close_row(
    agent: &mut AgentSlot,
    module: &mut ModuleSlot,
    terminated: bool,
    observed: bool,
    (env, env_step): (usize, u64),
) -> Result<(), Error> {
    agent.gone = true;
    let Some(open) = agent.open.take() else { return Ok(()) };
    if !terminated && !observed {
        return Err(Error::TruncatedWithoutObservation { env, env_step });
    }
    module.table.terminated[open.row as usize] = terminated;
    module.table.truncated[open.row as usize] = !terminated;
    module.table.ends.push(open.row, &agent.input);
    Ok(())
}

/// Agent 0 draws from the environment's own stream: a single agent acts alike in both runners.
fn exploration_key(env: StreamKey, agent: usize) -> StreamKey {
    if agent == 0 { env } else { env.index(agent as u64) }
}

impl EnvSlot {
    fn new(
        env: Box<dyn MultiAgentEnv>,
        key: StreamKey,
        ids: &[ModuleId],
        module_of: &dyn Fn(usize, &str) -> Result<ModuleId, Error>,
        codec_of: &dyn Fn(&skirl_env::Space) -> Result<ActionCodec, Error>,
    ) -> Result<Self, Error> {
        let mut agents = Vec::new();
        for (agent, name) in env.agents().iter().enumerate() {
            let id = module_of(agent, name)?;
            let module = ids.iter().position(|known| *known == id).ok_or_else(|| Error::Mismatch {
                what: format!("the policy mapping of agent '{name}'"),
                expected: format!("one of {}", ids.join(", ")),
                found: id.clone(),
                remedy: "Add the policy to multi_agent.policies or correct the mapping".to_owned(),
            })?;
            let connector = ObservationConnector::new(env.observation_space(agent).clone(), 1);
            let codec = codec_of(env.action_space(agent))?;
            let key = exploration_key(key, agent);
            let input = vec![0.0; connector.width()];
            agents.push(AgentSlot {
                module,
                key,
                connector,
                codec,
                input,
                must_act: false,
                gone: false,
                open: None,
            });
        }
        let episode = RunningEpisode { agent_returns: vec![0.0; agents.len()], ..RunningEpisode::default() };
        let (step, actions) = (AgentStep::for_env(&*env), AgentActions::for_env(&*env));
        Ok(Self { env, step, actions, agents, episode })
    }

    fn save_state(&self) -> EnvSlotState {
        let env = self.env.save_state();
        EnvSlotState {
            env_saved: env.is_some(),
            env,
            episode: self.episode.clone(),
            inputs: self.agents.iter().map(|agent| agent.input.clone()).collect(),
            must_act: self.agents.iter().map(|agent| agent.must_act).collect(),
            gone: self.agents.iter().map(|agent| agent.gone).collect(),
            open: self.agents.iter().map(|agent| agent.open.map(|open| open.row)).collect(),
        }
    }

    fn restore_state(&mut self, state: EnvSlotState) -> Result<(), skirl_env::EnvError> {
        if let Some(env) = &state.env {
            self.env.restore_state(env)?;
        }
        self.episode = state.episode;
        for (index, agent) in self.agents.iter_mut().enumerate() {
            if let Some(input) = state.inputs.get(index).filter(|input| input.len() == agent.input.len()) {
                agent.input.clone_from(input);
            }
            agent.must_act = state.must_act.get(index).copied().unwrap_or(false);
            agent.gone = state.gone.get(index).copied().unwrap_or(false);
            let open = state.open.get(index).copied().flatten();
            agent.open = open.map(|row| OpenRow { row, previous: END });
        }
        Ok(())
    }
}

impl AgentSlot {
    fn observe(&mut self, columns: &[skirl_env::Column], env: usize, env_step: u64) -> Result<(), Error> {
        self.connector
            .flatten_row(columns, &mut self.input)
            .map_err(|source| Error::env(env, env_step, source))?;
        match find_non_finite(&self.input, self.input.len()) {
            Some((_, element, value)) => Err(Error::non_finite_observation(env, env_step, element, value)),
            None => Ok(()),
        }
    }
}

/// What the runner needs to go on as if it had never stopped.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct AgentRunnerState {
    /// By environment.
    pub envs: Vec<EnvSlotState>,
    /// Rows that wait for their successor, by module.
    pub carried: Vec<Option<ModuleRollout>>,
    /// Counter of the exploration streams.
    pub steps: u64,
}

/// One environment's part of [`AgentRunnerState`].
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct EnvSlotState {
    /// State of the environment, where it can save it. Stored beside, as tensors.
    #[serde(skip)]
    pub env: Option<EnvState>,
    /// Whether the environment could save its state.
    pub env_saved: bool,
    /// Running episode.
    pub episode: RunningEpisode,
    /// Module input of each agent.
    pub inputs: Vec<Vec<f32>>,
    /// Whether the agent's input waits for an action.
    pub must_act: Vec<bool>,
    /// Whether the agent has left the episode.
    pub gone: Vec<bool>,
    /// The agent's row among the carried ones.
    pub open: Vec<Option<u32>>,
}

impl std::fmt::Debug for AgentRunner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AgentRunner")
            .field("num_envs", &self.envs.len())
            .field("steps", &self.steps)
            .finish_non_exhaustive()
    }
}
