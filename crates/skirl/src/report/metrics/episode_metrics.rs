//! Episode statistics of a whole run: of the environments, of each agent, of each module.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{CustomMetrics, EpisodeRecord, EpisodeWindow};
use crate::report::TrainResult;

/// Three families of [`EpisodeWindow`]s, and the custom metrics. One agent is the many-agent case with one key.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EpisodeMetrics {
    episodes: EpisodeWindow,
    agents: BTreeMap<String, EpisodeWindow>,
    modules: BTreeMap<String, EpisodeWindow>,
    custom: CustomMetrics,
}

impl EpisodeMetrics {
    /// Empty windows over the last `capacity` episodes (`metrics_num_episodes_for_smoothing`).
    pub fn new(capacity: usize) -> Self {
        Self {
            episodes: EpisodeWindow::new(capacity),
            agents: BTreeMap::new(),
            modules: BTreeMap::new(),
            custom: CustomMetrics::new(capacity),
        }
    }

    /// A whole episode ended; its return is the sum over all agents.
    pub fn push_episode(&mut self, episode: EpisodeRecord) {
        self.episodes.push(episode);
    }

    /// One agent's part of an episode ended.
    pub fn push_agent(&mut self, agent: &str, module: &str, part: EpisodeRecord) {
        window_of(&mut self.agents, agent, self.episodes.capacity()).push(part);
        window_of(&mut self.modules, module, self.episodes.capacity()).push(part);
    }

    /// What callbacks measured in an episode that ended.
    pub fn push_custom(&mut self, metrics: &BTreeMap<String, f64>) {
        self.custom.push(metrics);
    }

    /// Forgets the windows of other modules than those that `stays` names.
    pub fn retain_modules(&mut self, stays: impl Fn(&str) -> bool) {
        self.modules.retain(|module, _| stays(module));
    }

    /// Changes the length of all windows; the oldest episodes leave those that are too long.
    pub fn set_capacity(&mut self, capacity: usize) {
        self.episodes.set_capacity(capacity);
        self.custom.set_capacity(capacity);
        let parts = self.agents.values_mut().chain(self.modules.values_mut());
        parts.for_each(|window| window.set_capacity(capacity));
    }

    /// Starts the counts of this iteration at zero. The windows stay.
    pub fn begin_iteration(&mut self) {
        self.episodes.begin_iteration();
        self.agents.values_mut().chain(self.modules.values_mut()).for_each(EpisodeWindow::begin_iteration);
    }

    /// The window over whole episodes.
    pub fn episodes(&self) -> &EpisodeWindow {
        &self.episodes
    }

    /// One window for each agent seen.
    pub fn agents(&self) -> &BTreeMap<String, EpisodeWindow> {
        &self.agents
    }

    /// One window for each module seen.
    pub fn modules(&self) -> &BTreeMap<String, EpisodeWindow> {
        &self.modules
    }

    /// Writes `episode_*`, `agent_episode_return_mean/{agent}`, `module_episode_return_mean/{module}` and
    /// `custom_metrics/{name}_mean` (`_min`, `_max`) below `prefix`.
    pub fn report_into(&self, result: &mut TrainResult, prefix: &str) {
        self.episodes.report_into(result, prefix);
        for (family, windows) in [("agent", &self.agents), ("module", &self.modules)] {
            let means: BTreeMap<String, Option<f64>> =
                windows.iter().map(|(name, window)| (name.clone(), window.return_mean())).collect();
            result.set_each(&format!("{prefix}/{family}_episode_return_mean"), &means);
        }
        self.custom.report_into(result, prefix);
    }
}

fn window_of<'a>(
    windows: &'a mut BTreeMap<String, EpisodeWindow>,
    name: &str,
    capacity: usize,
) -> &'a mut EpisodeWindow {
    windows.entry(name.to_string()).or_insert_with(|| EpisodeWindow::new(capacity))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agents_and_modules_are_told_apart() {
        let part = |episode_return| EpisodeRecord { episode_return, len: 5, duration_sec: None };
        let mut metrics = EpisodeMetrics::new(10);
        metrics.push_agent("a", "shared", part(1.0));
        metrics.push_agent("b", "shared", part(3.0));
        metrics.push_episode(part(4.0));
        let mut result = TrainResult::new();
        metrics.report_into(&mut result, "env_runners");
        assert_eq!(result.get("env_runners/episode_return_mean"), Some(4.0));
        assert_eq!(result.get("env_runners/agent_episode_return_mean/b"), Some(3.0));
        assert_eq!(result.get("env_runners/module_episode_return_mean/shared"), Some(2.0));
        let text = serde_json::to_string(&metrics).unwrap();
        assert_eq!(serde_json::from_str::<EpisodeMetrics>(&text).unwrap(), metrics);
    }
}
