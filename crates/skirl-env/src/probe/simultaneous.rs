//! A probe of two agents that act at the same time.

use super::coin::{Coin, sign};
use super::unit_observation;
use crate::env::EnvState;
use crate::error::{EnvError, Place};
use crate::multi_agent::{AgentActions, AgentIndex, AgentStep, MultiAgentEnv};
use crate::space::Space;

/// Both agents see a sign of their own. `matcher` earns 1 for answering with it and -1 otherwise, over two steps with a
/// new sign in each; `differ` earns 1 for the opposite, and ends after one step.
///
/// Under the best policies the value is 1 + γ, then 1, for `matcher`, and 1 for `differ`. A learner that mixes up the two
/// agents' rows or modules cannot reach both.
#[derive(Debug, Clone)]
pub struct Simultaneous {
    agents: Vec<String>,
    observation_space: Space,
    action_space: Space,
    /// Signs of `matcher` in both steps, sign of `differ`.
    coin: Coin<3>,
}

const MATCHER: AgentIndex = 0;
const DIFFER: AgentIndex = 1;

impl Default for Simultaneous {
    fn default() -> Simultaneous {
        Simultaneous {
            agents: vec!["matcher".to_owned(), "differ".to_owned()],
            observation_space: unit_observation(),
            action_space: Space::discrete(2),
            coin: Coin::default(),
        }
    }
}

fn pay(right: bool) -> f64 {
    if right { 1.0 } else { -1.0 }
}

impl Simultaneous {
    fn answer(&self, agent: AgentIndex, actions: &AgentActions) -> Result<i64, EnvError> {
        actions.required(agent, &self.agents[agent])?.discrete_below(2)
    }
}

impl MultiAgentEnv for Simultaneous {
    fn agents(&self) -> &[String] {
        &self.agents
    }

    fn observation_space(&self, _agent: AgentIndex) -> &Space {
        &self.observation_space
    }

    fn action_space(&self, _agent: AgentIndex) -> &Space {
        &self.action_space
    }

    fn reset(&mut self, seed: Option<u64>, out: &mut AgentStep) -> Result<(), EnvError> {
        out.clear();
        let [matcher, _, differ] = self.coin.toss(seed, [2; 3]);
        out.observe(MATCHER).set(&[sign(matcher)])?;
        out.observe(DIFFER).set(&[sign(differ)])
    }

    fn step(&mut self, actions: &AgentActions, out: &mut AgentStep) -> Result<(), EnvError> {
        out.clear();
        let step = self.coin.steps as usize;
        if step > 1 {
            return Err(EnvError::StepAfterEnd { place: Place::default() });
        }
        out.rewards[MATCHER] = pay(self.answer(MATCHER, actions)? == self.coin.drawn[step]);
        out.observe(MATCHER).set(&[sign(self.coin.drawn[1])])?;
        if step == 0 {
            out.rewards[DIFFER] = pay(self.answer(DIFFER, actions)? != self.coin.drawn[2]);
            out.observe(DIFFER).set(&[sign(self.coin.drawn[2])])?;
            out.terminated[DIFFER] = true;
        } else {
            out.terminated[MATCHER] = true;
            out.all_terminated = true;
        }
        self.coin.steps += 1;
        Ok(())
    }

    fn save_state(&self) -> Option<EnvState> {
        Some(self.coin.save())
    }

    fn restore_state(&mut self, state: &EnvState) -> Result<(), EnvError> {
        self.coin.restore(state)
    }
}
