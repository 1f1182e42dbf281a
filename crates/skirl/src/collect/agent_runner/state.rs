//! What the general runner needs to go on as if it had never stopped.

use serde::{Deserialize, Serialize};
use skirl_env::EnvState;
use skirl_math::chain::END;
use skirl_math::rng::StreamKey;

use super::env_slot::{EnvSlot, OpenRow};
use super::{AgentRules, AgentRunner};
use crate::collect::episodes::RunningEpisode;
use crate::contract::ModuleRollout;
use crate::error::Error;

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

impl AgentRunner {
    /// State for exact resume.
    pub fn save_state(&self) -> AgentRunnerState {
        AgentRunnerState {
            envs: self.envs.iter().map(EnvSlot::save_state).collect(),
            carried: self.modules.iter().map(|module| module.carried.clone()).collect(),
            steps: self.steps,
        }
    }

    /// Counts steps and episodes on from another runner of as many environments; [`begin`](Self::begin) must follow.
    pub fn count_on_from(&mut self, before: &Self) {
        self.steps = before.steps;
        for (slot, before) in self.envs.iter_mut().zip(&before.envs) {
            slot.episode = before.episode.clone();
        }
        self.restart();
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
        self.check_carried(&state, rules)?;
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
                self.reset_env(index, Some(seeds.index(index as u64).0 >> 33), rules)?;
            }
        }
        Ok(())
    }

    fn check_carried(&self, state: &AgentRunnerState, rules: &AgentRules<'_>) -> Result<(), Error> {
        for (module, carried) in self.modules.iter().zip(&state.carried) {
            let (Some(table), Some(policy)) = (carried, rules.policies.get(&module.id)) else { continue };
            table.check_for(policy).map_err(|found| Error::RunnerState {
                expected: format!("waiting rows of module '{}'", module.id),
                found,
            })?;
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

impl EnvSlot {
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
