//! Episode statistics: raw returns and lengths of the episodes that ended, in a fixed order.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// How the episodes of a runner are numbered: episode `k` of environment `i` is `first + k·num_envs + i`. The number does
/// not depend on threads, and needs nothing but `k` to go on in a resumed run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EpisodeIds {
    /// Number of the first episode.
    pub first: u64,
    /// Environments of the whole run.
    pub num_envs: usize,
}

impl EpisodeIds {
    /// Id of an environment's `index`-th episode, counted from 0.
    pub fn of(self, env: usize, index: u64) -> u64 {
        self.first.saturating_add(index.saturating_mul(self.num_envs as u64)).saturating_add(env as u64)
    }
}

/// One finished episode.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EpisodeRecord {
    /// Id of the episode, unique in the run.
    pub id: u64,
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
    /// Rows left out because a time limit ended the episode before their agent had observed what they led to.
    pub rows_dropped: u64,
    /// What callbacks measured.
    pub custom_metrics: BTreeMap<String, f64>,
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
    /// Whether a step was asked of it: its beginning has been told to callbacks.
    pub started: bool,
    /// Rows dropped, as in [`EpisodeRecord`].
    pub rows_dropped: u64,
    /// What callbacks keep with the episode.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub user_data: Map<String, Value>,
    /// What callbacks measured so far.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub custom_metrics: BTreeMap<String, f64>,
}

impl RunningEpisode {
    /// Adds one environment step.
    pub fn step(&mut self, reward: f64) {
        self.episode_return += reward;
        self.len += 1;
    }

    /// Forgets the running episode: the environment is reset from outside. One that had started keeps its number.
    pub fn restart(&mut self) {
        let index = self.index + u64::from(self.started);
        *self = Self { index, agent_returns: vec![0.0; self.agent_returns.len()], ..Self::default() };
    }

    /// Forgets the running episode and how many there were.
    pub fn number_anew(&mut self) {
        (self.index, self.started) = (0, false);
        self.restart();
    }

    /// Closes the episode and starts the next.
    pub fn finish(&mut self, env: usize, ended_at: u64, ids: EpisodeIds) -> EpisodeRecord {
        let agents = self.agent_returns.len();
        let agent_returns = std::mem::replace(&mut self.agent_returns, vec![0.0; agents]);
        let record = EpisodeRecord {
            id: ids.of(env, self.index),
            env,
            ended_at,
            episode_return: self.episode_return,
            len: self.len,
            agent_returns,
            rows_dropped: std::mem::take(&mut self.rows_dropped),
            custom_metrics: std::mem::take(&mut self.custom_metrics),
        };
        self.episode_return = 0.0;
        self.len = 0;
        self.index += 1;
        self.user_data.clear();
        record
    }
}
