//! Truncation after a number of steps.

use crate::column::Column;
use crate::env::{Env, EnvState, Step};
use crate::error::EnvError;
use crate::multi_agent::{AgentActions, AgentIndex, AgentStep, MultiAgentEnv};
use crate::row::{Row, RowRef};
use crate::scene::Scene;
use crate::space::Space;
use crate::state::{entry, nest, nested};

/// Truncates episodes after `limit` steps. A step that also terminates keeps both flags, as in Gymnasium.
#[derive(Debug, Clone)]
pub struct TimeLimit<E> {
    env: E,
    counter: Counter,
}

/// Steps of an episode, and their limit.
#[derive(Debug, Clone, Copy)]
struct Counter {
    limit: u32,
    steps: u32,
    ended: bool,
}

impl Counter {
    fn new(limit: u32) -> Counter {
        Counter { limit, steps: 0, ended: false }
    }

    fn start(&mut self) {
        (self.steps, self.ended) = (0, false);
    }

    /// Counts a step; whether the limit is reached. Steps after the truncation are refused here because the
    /// environment inside does not know of it.
    fn count(&mut self) -> Result<bool, EnvError> {
        if self.ended {
            return Err(EnvError::StepAfterEnd { place: crate::error::Place::default() });
        }
        self.steps += 1;
        self.ended = self.steps >= self.limit;
        Ok(self.ended)
    }

    fn save(self, inner: EnvState) -> EnvState {
        let mut state = EnvState::new();
        nest(&mut state, "env", inner);
        state.insert("time_limit/steps".to_owned(), Column::U32(vec![self.steps]));
        state.insert("time_limit/ended".to_owned(), Column::Bool(vec![self.ended]));
        state
    }

    fn restore(&mut self, state: &EnvState) -> Result<(), EnvError> {
        self.steps = entry::<u32>(state, "time_limit/steps", 1)?[0];
        self.ended = entry::<bool>(state, "time_limit/ended", 1)?[0];
        Ok(())
    }
}

impl<E> TimeLimit<E> {
    /// Truncates episodes of `env` after `limit` steps.
    pub fn new(env: E, limit: u32) -> TimeLimit<E> {
        TimeLimit { env, counter: Counter::new(limit) }
    }
}

impl<E: Env> Env for TimeLimit<E> {
    fn observation_space(&self) -> Space {
        self.env.observation_space()
    }

    fn action_space(&self) -> Space {
        self.env.action_space()
    }

    fn reset(&mut self, seed: Option<u64>, observation: &mut Row<'_>) -> Result<(), EnvError> {
        self.counter.start();
        self.env.reset(seed, observation)
    }

    fn step(&mut self, action: &RowRef<'_>, observation: &mut Row<'_>) -> Result<Step, EnvError> {
        let at_limit = self.counter.count()?;
        let step = self.env.step(action, observation)?;
        Ok(Step { truncated: step.truncated || at_limit, ..step })
    }

    fn save_state(&self) -> Option<EnvState> {
        Some(self.counter.save(self.env.save_state()?))
    }

    fn restore_state(&mut self, state: &EnvState) -> Result<(), EnvError> {
        self.counter.restore(state)?;
        self.env.restore_state(&nested(state, "env"))
    }

    fn draw(&self) -> Option<Scene> {
        self.env.draw()
    }

    fn inner_mut(&mut self) -> Option<&mut dyn Env> {
        Some(&mut self.env)
    }
}

/// Truncates the episodes of a multi-agent environment, for all agents at once, after `limit` steps.
#[derive(Debug, Clone)]
pub struct MultiTimeLimit<E> {
    env: E,
    counter: Counter,
}

impl<E> MultiTimeLimit<E> {
    /// Truncates episodes of `env` after `limit` steps.
    pub fn new(env: E, limit: u32) -> MultiTimeLimit<E> {
        MultiTimeLimit { env, counter: Counter::new(limit) }
    }
}

impl<E: MultiAgentEnv> MultiAgentEnv for MultiTimeLimit<E> {
    fn agents(&self) -> &[String] {
        self.env.agents()
    }

    fn observation_space(&self, agent: AgentIndex) -> &Space {
        self.env.observation_space(agent)
    }

    fn action_space(&self, agent: AgentIndex) -> &Space {
        self.env.action_space(agent)
    }

    fn reset(&mut self, seed: Option<u64>, out: &mut AgentStep) -> Result<(), EnvError> {
        self.counter.start();
        self.env.reset(seed, out)
    }

    fn step(&mut self, actions: &AgentActions, out: &mut AgentStep) -> Result<(), EnvError> {
        let at_limit = self.counter.count()?;
        self.env.step(actions, out)?;
        out.all_truncated |= at_limit;
        Ok(())
    }

    fn save_state(&self) -> Option<EnvState> {
        Some(self.counter.save(self.env.save_state()?))
    }

    fn restore_state(&mut self, state: &EnvState) -> Result<(), EnvError> {
        self.counter.restore(state)?;
        self.env.restore_state(&nested(state, "env"))
    }

    fn draw(&self) -> Option<Scene> {
        self.env.draw()
    }

    fn inner_mut(&mut self) -> Option<&mut dyn MultiAgentEnv> {
        Some(&mut self.env)
    }
}
