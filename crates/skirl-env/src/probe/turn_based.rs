//! A probe of two agents that act in turns.

use super::coin::{Coin, sign};
use crate::dtype::DType;
use crate::env::EnvState;
use crate::error::EnvError;
use crate::multi_agent::{AgentActions, AgentIndex, AgentStep, MultiAgentEnv};
use crate::space::Space;

/// Two rounds. In each, `first` sees a sign and should answer with it; then `second` sees `first`'s answer and should
/// answer with the opposite.
///
/// Observation: the sign to react to (±1), the round (0 or 1). Each right answer earns 1, each wrong one -1. `first` is
/// paid only when `second` has moved, that is out of its turn (in the second round together with its end); `second` is
/// paid at once, which is out of its turn too, since the next observation is for `first`. Under the best policy the value
/// of each agent is 1 + γ in round 0 and 1 in round 1, with γ per decision of the agent.
#[derive(Debug, Clone)]
pub struct TurnBased {
    agents: Vec<String>,
    observation_space: Space,
    action_space: Space,
    /// Signs of the two rounds, and the last answer of `first`.
    coin: Coin<3>,
}

const FIRST: AgentIndex = 0;
const SECOND: AgentIndex = 1;
const ROUNDS: u32 = 2;

impl Default for TurnBased {
    fn default() -> TurnBased {
        TurnBased {
            agents: vec!["first".to_owned(), "second".to_owned()],
            observation_space: Space::boxed(-1.0, 1.0, &[2], DType::F32),
            action_space: Space::discrete(2),
            coin: Coin::default(),
        }
    }
}

fn pay(right: bool) -> f64 {
    if right { 1.0 } else { -1.0 }
}

impl TurnBased {
    fn round(&self) -> u32 {
        self.coin.steps / 2
    }

    /// The sign that `first` sees in a round.
    fn shown(&self) -> i64 {
        self.coin.drawn[self.round().min(ROUNDS - 1) as usize]
    }

    fn show(&self, agent: AgentIndex, coin: i64, out: &mut AgentStep) -> Result<(), EnvError> {
        let round = self.round().min(ROUNDS - 1);
        out.observe(agent).set(&[sign(coin), round as f32])
    }

    fn move_first(&mut self, actions: &AgentActions, out: &mut AgentStep) -> Result<(), EnvError> {
        let answer = actions.required(FIRST, &self.agents[FIRST])?.discrete_below(2)?;
        self.coin.drawn[2] = answer;
        self.coin.steps += 1;
        self.show(SECOND, answer, out)
    }

    fn move_second(&mut self, actions: &AgentActions, out: &mut AgentStep) -> Result<(), EnvError> {
        let answer = actions.required(SECOND, &self.agents[SECOND])?.discrete_below(2)?;
        let first_answer = self.coin.drawn[2];
        out.rewards[FIRST] = pay(first_answer == self.shown());
        out.rewards[SECOND] = pay(answer != first_answer);
        self.coin.steps += 1;
        if self.round() < ROUNDS {
            return self.show(FIRST, self.shown(), out);
        }
        out.terminated.fill(true);
        out.all_terminated = true;
        self.show(FIRST, self.shown(), out)?;
        self.show(SECOND, answer, out)
    }
}

impl MultiAgentEnv for TurnBased {
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
        self.coin.toss(seed, [2, 2, 1]);
        self.show(FIRST, self.shown(), out)
    }

    fn step(&mut self, actions: &AgentActions, out: &mut AgentStep) -> Result<(), EnvError> {
        out.clear();
        if self.round() >= ROUNDS {
            return Err(EnvError::StepAfterEnd { place: crate::error::Place::default() });
        }
        if self.coin.steps.is_multiple_of(2) {
            self.move_first(actions, out)
        } else {
            self.move_second(actions, out)
        }
    }

    fn save_state(&self) -> Option<EnvState> {
        Some(self.coin.save())
    }

    fn restore_state(&mut self, state: &EnvState) -> Result<(), EnvError> {
        self.coin.restore(state)
    }
}
