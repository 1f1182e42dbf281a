//! Statistics over the last N finished episodes.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::u64_string;
use crate::report::TrainResult;

/// One finished episode.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct EpisodeRecord {
    /// Sum of the raw rewards.
    pub episode_return: f64,
    /// Length in environment steps (for one agent: its own steps).
    pub len: u64,
}

/// The last `capacity` finished episodes (RLlib's `metrics_num_episodes_for_smoothing`), with lifetime counts.
///
/// Means are summed afresh in order of arrival, so they do not drift and a restored window gives the same bytes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EpisodeWindow {
    capacity: usize,
    #[serde(with = "u64_string")]
    num_episodes: u64,
    #[serde(with = "u64_string")]
    num_episodes_lifetime: u64,
    episodes: VecDeque<EpisodeRecord>,
}

impl EpisodeWindow {
    /// An empty window over the last `capacity` episodes; a capacity of 0 is taken as 1.
    pub fn new(capacity: usize) -> Self {
        Self {
            capacity: capacity.max(1),
            num_episodes: 0,
            num_episodes_lifetime: 0,
            episodes: VecDeque::new(),
        }
    }

    /// Adds a finished episode; the oldest one leaves a full window.
    pub fn push(&mut self, episode: EpisodeRecord) {
        if self.episodes.len() == self.capacity {
            self.episodes.pop_front();
        }
        self.episodes.push_back(episode);
        self.num_episodes = self.num_episodes.saturating_add(1);
        self.num_episodes_lifetime = self.num_episodes_lifetime.saturating_add(1);
    }

    /// Changes how many episodes the window holds (0 is taken as 1); the oldest ones leave first.
    pub fn set_capacity(&mut self, capacity: usize) {
        self.capacity = capacity.max(1);
        let surplus = self.episodes.len().saturating_sub(self.capacity);
        self.episodes.drain(..surplus);
    }

    /// Starts the count of this iteration's episodes at zero. The window stays.
    pub fn begin_iteration(&mut self) {
        self.num_episodes = 0;
    }

    /// Episodes now in the window.
    pub fn len(&self) -> usize {
        self.episodes.len()
    }

    /// Whether no episode has ended yet.
    pub fn is_empty(&self) -> bool {
        self.episodes.is_empty()
    }

    /// Most episodes that the window holds.
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// Episodes finished since [`Self::begin_iteration`].
    pub fn num_episodes(&self) -> u64 {
        self.num_episodes
    }

    /// Episodes finished since the run began.
    pub fn num_episodes_lifetime(&self) -> u64 {
        self.num_episodes_lifetime
    }

    /// The episodes of the window, oldest first.
    pub fn episodes(&self) -> impl Iterator<Item = &EpisodeRecord> {
        self.episodes.iter()
    }

    /// Mean return; `None` before the first episode.
    pub fn return_mean(&self) -> Option<f64> {
        mean(self.returns())
    }

    /// Lowest return of the window.
    pub fn return_min(&self) -> Option<f64> {
        self.returns().reduce(f64::min)
    }

    /// Highest return of the window.
    pub fn return_max(&self) -> Option<f64> {
        self.returns().reduce(f64::max)
    }

    /// Mean length in steps.
    pub fn len_mean(&self) -> Option<f64> {
        mean(self.episodes.iter().map(|episode| episode.len as f64))
    }

    /// Shortest episode of the window.
    pub fn len_min(&self) -> Option<u64> {
        self.episodes.iter().map(|episode| episode.len).min()
    }

    /// Longest episode of the window.
    pub fn len_max(&self) -> Option<u64> {
        self.episodes.iter().map(|episode| episode.len).max()
    }

    /// Writes RLlib's `episode_*` and `num_episodes*` keys below `prefix` (`env_runners`).
    pub fn report_into(&self, result: &mut TrainResult, prefix: &str) {
        let mut set = |name: &str, value: Option<f64>| {
            result.set(&format!("{prefix}/{name}"), value);
        };
        set("episode_return_mean", self.return_mean());
        set("episode_return_min", self.return_min());
        set("episode_return_max", self.return_max());
        set("episode_len_mean", self.len_mean());
        result.set(&format!("{prefix}/episode_len_min"), self.len_min());
        result.set(&format!("{prefix}/episode_len_max"), self.len_max());
        result.set(&format!("{prefix}/num_episodes"), self.num_episodes);
        result.set(&format!("{prefix}/num_episodes_lifetime"), self.num_episodes_lifetime);
    }

    fn returns(&self) -> impl Iterator<Item = f64> {
        self.episodes.iter().map(|episode| episode.episode_return)
    }
}

fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let (sum, count) = values.fold((0.0, 0_u64), |(sum, count), value| (sum + value, count + 1));
    (count > 0).then(|| sum / count as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn episode(episode_return: f64, len: u64) -> EpisodeRecord {
        EpisodeRecord { episode_return, len }
    }

    #[test]
    fn only_the_last_episodes_count() {
        let mut window = EpisodeWindow::new(3);
        assert_eq!(window.return_mean(), None);
        for i in 0..5 {
            window.push(episode(f64::from(i), 10 + i as u64));
        }
        assert_eq!(window.return_mean(), Some(3.0));
        assert_eq!((window.return_min(), window.return_max()), (Some(2.0), Some(4.0)));
        assert_eq!((window.len_min(), window.len_mean(), window.len_max()), (Some(12), Some(13.0), Some(14)));
        assert_eq!((window.num_episodes(), window.num_episodes_lifetime(), window.len()), (5, 5, 3));
        window.begin_iteration();
        assert_eq!((window.num_episodes(), window.num_episodes_lifetime(), window.len()), (0, 5, 3));
    }

    #[test]
    fn a_shorter_window_keeps_the_newest() {
        let mut window = EpisodeWindow::new(5);
        (0..5).for_each(|i| window.push(episode(f64::from(i), 1)));
        window.set_capacity(2);
        assert_eq!((window.return_min(), window.capacity(), window.len()), (Some(3.0), 2, 2));
        window.push(episode(9.0, 1));
        assert_eq!((window.return_min(), window.len(), window.num_episodes_lifetime()), (Some(4.0), 2, 6));
    }

    #[test]
    fn an_empty_window_reports_counts_only() {
        let mut result = TrainResult::new();
        EpisodeWindow::new(100).report_into(&mut result, "env_runners");
        let expected = r#"{"env_runners":{"num_episodes":0,"num_episodes_lifetime":0}}"#;
        assert_eq!(result.to_json_line(), expected);
    }

    #[test]
    fn state_restores_the_same_bytes() {
        let mut window = EpisodeWindow::new(3);
        for i in 0..7 {
            window.push(EpisodeRecord { episode_return: 0.1 * f64::from(i), len: 3 });
        }
        let text = serde_json::to_string(&window).unwrap();
        let restored: EpisodeWindow = serde_json::from_str(&text).unwrap();
        assert_eq!(restored, window);
        assert_eq!(restored.return_mean().map(f64::to_bits), window.return_mean().map(f64::to_bits));
    }

    #[test]
    fn counts_pass_every_border() {
        for border in [(1 << 24) - 1, (1 << 31) - 1, (1_u64 << 32) - 1, (1 << 53) - 1, u64::MAX - 1] {
            let text = format!(
                r#"{{"capacity":1,"num_episodes":"0","num_episodes_lifetime":"{border}","episodes":[]}}"#
            );
            let mut window: EpisodeWindow = serde_json::from_str(&text).unwrap();
            window.push(episode(1.0, 1));
            assert_eq!(window.num_episodes_lifetime(), border + 1);
            let again: EpisodeWindow =
                serde_json::from_str(&serde_json::to_string(&window).unwrap()).unwrap();
            assert_eq!(again, window);
        }
    }
}
