//! What callbacks see of the fast path. Nothing here runs without hooks of episodes.

use skirl_env::{Column, RowRef};

use super::{StepRules, VectorRunner};
use crate::callbacks::{Environment, Episode, EpisodeHooks, Hook, Moment};
use crate::error::Error;

/// Of a moment after a step: whether the episode (terminated, was truncated).
type Ended = (bool, bool);

impl VectorRunner {
    /// After environment `index` stepped and its observation was read.
    pub(super) fn call_step_hooks(&mut self, rules: &StepRules<'_>, index: usize) -> Result<(), Error> {
        let ended = (self.outcomes.terminated[index], self.outcomes.truncated[index]);
        self.call_hook(rules.hooks, Hook::EpisodeStep, index, Some(ended))?;
        match ended {
            (false, false) => Ok(()),
            _ => self.call_hook(rules.hooks, Hook::EpisodeEnd, index, Some(ended)),
        }
    }

    /// One hook of the episode that runs in environment `index`; `stepped` where it made a step.
    pub(super) fn call_hook(
        &mut self,
        hooks: Option<EpisodeHooks<'_>>,
        hook: Hook,
        index: usize,
        stepped: Option<Ended>,
    ) -> Result<(), Error> {
        let Some(hooks) = hooks.filter(|hooks| hooks.wants(hook)) else { return Ok(()) };
        let Self { env, episodes, raw, env_actions, outcomes, ids, first_env, num_envs, steps, .. } = self;
        let mut moment = Moment { at: *steps, ..Moment::default() };
        if hook != Hook::EpisodeCreated {
            moment.observations = vec![Some(raw.as_slice())];
        }
        if let Some((terminated, truncated)) = stepped {
            moment.actions = vec![action(&env_actions[0], index, *num_envs)];
            moment.rewards = &outcomes.rewards[index..=index];
            (moment.terminated, moment.truncated) = (terminated, truncated);
        }
        let running = &mut episodes[index];
        let id = ids.of(*first_env + index, running.index);
        let environment = Environment::of_vector(&mut **env, index, *first_env, hooks.in_evaluation);
        hooks.call(hook, &mut Episode::new(id, running, hooks.agents, moment, environment))
    }
}

/// Row `index` of the actions of all environments.
fn action(actions: &Column, index: usize, num_envs: usize) -> Option<RowRef<'_>> {
    let size = actions.len() / num_envs.max(1);
    Some(RowRef::new(vec![actions.as_ref().slice(index * size..(index + 1) * size)?]))
}
