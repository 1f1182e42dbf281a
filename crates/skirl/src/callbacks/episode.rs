//! A running episode as hooks see it.

use std::collections::BTreeMap;

use serde_json::{Map, Value};
use skirl_env::RowRef;

use super::{CallbackList, Environment, Hook, Place};
use crate::collect::episodes::RunningEpisode;
use crate::error::Error;

/// A running episode: what happened in its last step, its sums so far, and what callbacks keep with it.
///
/// Agents are counted as in [`agents`](Self::agents); a single one is agent 0, `default_agent`.
#[derive(Debug)]
pub struct Episode<'a> {
    /// Whatever callbacks want to keep until the episode ends. Saved with the episode, so that a resumed run goes on
    /// exactly.
    pub user_data: &'a mut Map<String, Value>,
    /// Numbers of this episode that are reported as mean, minimum and maximum over the last episodes. Finite.
    pub custom_metrics: &'a mut BTreeMap<String, f64>,
    id: u64,
    at: u64,
    env_steps: u64,
    /// Of the raw rewards of all agents.
    sum: f64,
    agent_returns: &'a [f64],
    agents: &'a [String],
    moment: Moment<'a>,
    environment: Environment<'a>,
}

/// What the last step of an environment brought.
#[derive(Debug, Default)]
pub(crate) struct Moment<'a> {
    /// Steps of the runner.
    pub(crate) at: u64,
    /// What each agent observed now, flattened, not normalised.
    pub(crate) observations: Vec<Option<&'a [f32]>>,
    /// Actions of the last step, as the environment took them.
    pub(crate) actions: Vec<Option<RowRef<'a>>>,
    /// Raw rewards of the last step.
    pub(crate) rewards: &'a [f64],
    pub(crate) terminated: bool,
    pub(crate) truncated: bool,
}

impl<'a> Episode<'a> {
    pub(crate) fn new(
        id: u64,
        running: &'a mut RunningEpisode,
        agents: &'a [String],
        moment: Moment<'a>,
        environment: Environment<'a>,
    ) -> Self {
        Self {
            user_data: &mut running.user_data,
            custom_metrics: &mut running.custom_metrics,
            id,
            at: moment.at,
            env_steps: running.len,
            sum: running.episode_return,
            agent_returns: &running.agent_returns,
            agents,
            moment,
            environment,
        }
    }

    /// A number that no other episode of the run's training has (or of its evaluations): episode `k` of environment `i` of
    /// `n` is `k·n + i`. The same for any number of threads and in a resumed run.
    #[must_use]
    pub fn id(&self) -> u64 {
        self.id
    }

    /// Index of the environment.
    #[must_use]
    pub fn env_index(&self) -> usize {
        self.environment.index()
    }

    /// Whether it is an episode of evaluation.
    #[must_use]
    pub fn in_evaluation(&self) -> bool {
        self.environment.in_evaluation()
    }

    /// Steps that each environment of the run (or of the evaluation) has made so far: environments step together, so this and
    /// the index of the environment order what happens in different processes.
    #[must_use]
    pub fn at(&self) -> u64 {
        self.at
    }

    /// Environment steps so far.
    #[must_use]
    pub fn env_steps(&self) -> u64 {
        self.env_steps
    }

    /// Sum of the raw rewards of all agents so far.
    #[must_use]
    pub fn episode_return(&self) -> f64 {
        self.sum
    }

    /// Ids of the agents.
    #[must_use]
    pub fn agents(&self) -> &[String] {
        self.agents
    }

    /// Sum of an agent's raw rewards so far.
    #[must_use]
    pub fn agent_return(&self, agent: usize) -> Option<f64> {
        let single = (agent == 0 && self.agent_returns.is_empty()).then_some(self.sum);
        single.or_else(|| self.agent_returns.get(agent).copied())
    }

    /// What an agent observed at the reset or in the last step, flattened as Gymnasium does and not normalised; `None`
    /// where it observed nothing then.
    #[must_use]
    pub fn observation(&self, agent: usize) -> Option<&[f32]> {
        self.moment.observations.get(agent).copied().flatten()
    }

    /// An agent's action in the last step, as the environment took it; `None` where it did not act.
    #[must_use]
    pub fn action(&self, agent: usize) -> Option<&RowRef<'a>> {
        self.moment.actions.get(agent)?.as_ref()
    }

    /// An agent's raw reward in the last step; 0 before the first one.
    #[must_use]
    pub fn reward(&self, agent: usize) -> f64 {
        self.moment.rewards.get(agent).copied().unwrap_or(0.0)
    }

    /// The episode ended by the environment's own rules.
    #[must_use]
    pub fn terminated(&self) -> bool {
        self.moment.terminated
    }

    /// The episode was cut from outside.
    #[must_use]
    pub fn truncated(&self) -> bool {
        self.moment.truncated
    }

    /// The environment.
    pub fn environment(&mut self) -> &mut Environment<'a> {
        &mut self.environment
    }

    fn place(&self) -> Place {
        Place { episode: Some(self.id), env: Some(self.env_index()), env_step: Some(self.env_steps) }
    }

    fn check_metrics(&self) -> Result<(), String> {
        match self.custom_metrics.iter().find(|(_, value)| !value.is_finite()) {
            None => Ok(()),
            Some((name, value)) => Err(format!(
                "it set the custom metric '{name}' to {value}, where a finite number was expected; leave a metric \
                 without data out"
            )),
        }
    }
}

/// The hooks of episodes, as the runners call them.
#[derive(Debug, Clone, Copy)]
pub struct EpisodeHooks<'a> {
    /// Who is called.
    pub callbacks: &'a CallbackList,
    /// Ids of one environment's agents.
    pub agents: &'a [String],
    /// Whether the environments are evaluation's.
    pub in_evaluation: bool,
}

impl EpisodeHooks<'_> {
    /// Whether somebody wants this hook.
    pub(crate) fn wants(&self, hook: Hook) -> bool {
        self.callbacks.wants(hook)
    }

    /// Calls one hook of an episode.
    pub(crate) fn call(&self, hook: Hook, episode: &mut Episode<'_>) -> Result<(), Error> {
        let place = episode.place();
        self.callbacks.call(hook, place, |callbacks| {
            match hook {
                Hook::EpisodeCreated => callbacks.on_episode_created(episode),
                Hook::EpisodeStart => callbacks.on_episode_start(episode),
                Hook::EpisodeStep => callbacks.on_episode_step(episode),
                _ => callbacks.on_episode_end(episode),
            }?;
            Ok(episode.check_metrics()?)
        })
    }
}
