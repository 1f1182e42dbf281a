//! One environment of the general runner with its agents.

use skirl_env::{AgentActions, AgentStep, EnvError, MultiAgentEnv, Place};
use skirl_math::rng::StreamKey;

use super::module_slot::ModuleSlot;
use crate::collect::action_codec::ActionCodec;
use crate::collect::episodes::RunningEpisode;
use crate::collect::observations::{ObservationConnector, find_non_finite};
use crate::contract::ModuleId;
use crate::error::Error;

/// One environment, its running episode and its agents.
pub(super) struct EnvSlot {
    pub(super) env: Box<dyn MultiAgentEnv>,
    pub(super) step: AgentStep,
    pub(super) actions: AgentActions,
    pub(super) agents: Vec<AgentSlot>,
    pub(super) episode: RunningEpisode,
    /// Agents of all environments before this one.
    pub(super) first_agent: usize,
}

/// One agent of one environment.
pub(super) struct AgentSlot {
    pub(super) module: usize,
    pub(super) key: StreamKey,
    pub(super) connector: ObservationConnector,
    pub(super) codec: ActionCodec,
    /// Module input that waits for an action.
    pub(super) input: Vec<f32>,
    /// Observation of this step before it was normalised, for callbacks; empty where there was none.
    pub(super) raw: Vec<f32>,
    pub(super) must_act: bool,
    pub(super) gone: bool,
    pub(super) open: Option<OpenRow>,
}

/// A row whose agent has not observed since.
#[derive(Debug, Clone, Copy)]
pub(super) struct OpenRow {
    pub(super) row: u32,
    /// The same agent's row before it in this rollout, or `END`.
    pub(super) previous: u32,
}

impl EnvSlot {
    pub(super) fn new(
        env: Box<dyn MultiAgentEnv>,
        first_agent: usize,
        key: StreamKey,
        ids: &[ModuleId],
        module_of: &dyn Fn(usize, &str) -> Result<ModuleId, Error>,
        codec_of: &dyn Fn(&skirl_env::Space) -> Result<ActionCodec, Error>,
    ) -> Result<Self, Error> {
        let mut agents = Vec::new();
        for (agent, name) in env.agents().iter().enumerate() {
            let id = module_of(agent, name)?;
            let module = ids.iter().position(|known| *known == id).ok_or_else(|| Error::Misfit {
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
                raw: Vec::new(),
                must_act: false,
                gone: false,
                open: None,
            });
        }
        let episode = RunningEpisode { agent_returns: vec![0.0; agents.len()], ..RunningEpisode::default() };
        let (step, actions) = (AgentStep::for_env(&*env), AgentActions::for_env(&*env));
        Ok(Self { env, step, actions, agents, episode, first_agent })
    }

    /// Agents up to and with this environment's.
    pub(super) fn end_agent(&self) -> usize {
        self.first_agent + self.agents.len()
    }

    /// Refuses what a step gave to an agent that had ended before: it would be lost.
    pub(super) fn check_ended_agents(&self) -> Result<(), EnvError> {
        for (agent, _) in self.agents.iter().enumerate().filter(|(_, slot)| slot.gone) {
            let what = match (self.step.observed[agent], self.step.rewards[agent]) {
                (true, _) => "an observation".to_owned(),
                (false, 0.0) => continue,
                (false, reward) => format!("the reward {reward}"),
            };
            let agent = self.env.agents()[agent].clone();
            return Err(EnvError::AgentAfterEnd { agent, what, place: Place::default() });
        }
        Ok(())
    }

    /// Whether the episode (terminated, was truncated) in the last step.
    pub(super) fn ended(&self) -> (bool, bool) {
        let step = &self.step;
        if step.all_terminated || step.all_truncated {
            return (step.all_terminated, !step.all_terminated);
        }
        let gone = self.agents.iter().all(|agent| agent.gone);
        let truncated = step.truncated.contains(&true);
        (gone && !truncated, gone && truncated)
    }
}

impl AgentSlot {
    pub(super) fn observe(
        &mut self,
        columns: &[skirl_env::Column],
        env: usize,
        env_step: u64,
    ) -> Result<(), Error> {
        self.connector
            .flatten_row(columns, &mut self.input)
            .map_err(|source| Error::env(env, env_step, source))?;
        match find_non_finite(&self.input, self.input.len()) {
            Some((_, element, value)) => Err(Error::non_finite_observation(env, env_step, element, value)),
            None => Ok(()),
        }
    }
}

/// Forgets the open row, if there is one, of an agent that a time limit cut off while others had the turn: nothing tells what its last
/// action led to, so it is not trained on.
pub(super) fn drop_row(agent: &mut AgentSlot, module: &mut ModuleSlot) -> bool {
    let Some(open) = agent.open.take() else { return false };
    module.close_before(open);
    module.dropped.push(open.row);
    true
}

/// Ends an agent's episode: flags its open row and keeps the final observation of a truncated one.
pub(super) fn close_row(
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
pub(super) fn exploration_key(env: StreamKey, agent: usize) -> StreamKey {
    if agent == 0 { env } else { env.index(agent as u64) }
}
