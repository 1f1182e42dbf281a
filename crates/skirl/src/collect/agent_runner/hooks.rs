//! What callbacks see of the general runner. Nothing here runs without hooks of episodes.

use super::AgentRunner;
use crate::callbacks::{Environment, Episode, EpisodeHooks, Hook, Moment};
use crate::error::Error;

impl AgentRunner {
    /// One hook of the episode that runs in environment `index`; `stepped` where it made a step: whether it (terminated,
    /// was truncated).
    pub(super) fn call_hook(
        &mut self,
        hooks: Option<EpisodeHooks<'_>>,
        hook: Hook,
        index: usize,
        stepped: Option<(bool, bool)>,
    ) -> Result<(), Error> {
        let Some(hooks) = hooks.filter(|hooks| hooks.wants(hook)) else { return Ok(()) };
        let slot = &mut self.envs[index];
        let mut moment = Moment { at: self.steps, ..Moment::default() };
        if hook != Hook::EpisodeCreated {
            let raw = slot.agents.iter().map(|agent| agent.raw.as_slice());
            moment.observations = raw.map(|raw| (!raw.is_empty()).then_some(raw)).collect();
        }
        if let Some((terminated, truncated)) = stepped {
            let actions = &slot.actions;
            let acts = actions.acts.iter().enumerate();
            moment.actions = acts.map(|(agent, &acts)| acts.then(|| actions.action(agent))).collect();
            moment.rewards = &slot.step.rewards;
            (moment.terminated, moment.truncated) = (terminated, truncated);
        }
        let id = self.ids.of(index, slot.episode.index);
        let environment = Environment::of_multi_agent(&mut *slot.env, index, hooks.in_evaluation);
        hooks.call(hook, &mut Episode::new(id, &mut slot.episode, hooks.agents, moment, environment))
    }

    /// `on_environment_created` for each environment.
    pub(crate) fn announce_environments(
        &mut self,
        announce: &mut dyn FnMut(&mut Environment<'_>) -> Result<(), Error>,
        in_evaluation: bool,
    ) -> Result<(), Error> {
        self.envs.iter_mut().enumerate().try_for_each(|(index, slot)| {
            announce(&mut Environment::of_multi_agent(&mut *slot.env, index, in_evaluation))
        })
    }
}
