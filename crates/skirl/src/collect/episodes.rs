//! Episode statistics: raw returns and lengths of the episodes that ended, in a fixed order.

use serde::{Deserialize, Serialize};

/// One finished episode.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EpisodeRecord {
    /// Environment index in the whole run.
    pub env: usize,
    /// Step of the rollout (not of the episode) at which it ended: the order of records.
    pub ended_at: u64,
    /// Sum of raw rewards (of all agents).
    pub episode_return: f64,
    /// Environment steps.
    pub len: u64,
    /// Raw return of each agent, by agent index; empty for single-agent environments.
    pub agent_returns: Vec<f64>,
}

/// Running sums of one environment's current episode.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct RunningEpisode {
    /// Sum of raw rewards so far.
    pub episode_return: f64,
    /// Environment steps so far.
    pub len: u64,
    /// Episodes ended before this one in this environment.
    pub index: u64,
    /// Raw return so far of each agent; empty for single-agent environments.
    pub agent_returns: Vec<f64>,
}

impl RunningEpisode {
    /// Adds one environment step.
    pub fn step(&mut self, reward: f64) {
        self.episode_return += reward;
        self.len += 1;
    }

    /// Forgets the running episode: the environment was reset from outside.
    pub fn restart(&mut self) {
        *self =
            Self { index: self.index, agent_returns: vec![0.0; self.agent_returns.len()], ..Self::default() };
    }

    /// Closes the episode and starts the next.
    pub fn finish(&mut self, env: usize, ended_at: u64) -> EpisodeRecord {
        let agents = self.agent_returns.len();
        let agent_returns = std::mem::replace(&mut self.agent_returns, vec![0.0; agents]);
        let record = EpisodeRecord {
            env,
            ended_at,
            episode_return: self.episode_return,
            len: self.len,
            agent_returns,
        };
        self.episode_return = 0.0;
        self.len = 0;
        self.index += 1;
        record
    }
}
