//! `TwoCartPole-v0`: two independent cart-poles in one environment with two agents.

use crate::Column;
use crate::classic::{CartPole, Native};
use crate::env::{Env, EnvState};
use crate::error::EnvError;
use crate::multi_agent::{AgentActions, AgentIndex, AgentStep, MultiAgentEnv};
use crate::scene::Scene;
use crate::seeding::SeedSequence;
use crate::space::Space;
use crate::state::{entry, nest, nested};

/// Two cart-poles, agents `cart_0` and `cart_1`. An agent ends when its pole falls, the episode when both have fallen.
///
/// `cart_0` with a seed moves exactly as `CartPole-v1` with that seed; `cart_1` has a stream of its own.
#[derive(Debug)]
pub struct TwoCartPoles {
    agents: Vec<String>,
    carts: [Native<CartPole>; 2],
    fallen: [bool; 2],
    observation_space: Space,
    action_space: Space,
}

impl Default for TwoCartPoles {
    fn default() -> TwoCartPoles {
        let cart = Native::new(CartPole::default());
        TwoCartPoles {
            agents: vec!["cart_0".to_owned(), "cart_1".to_owned()],
            observation_space: cart.observation_space(),
            action_space: cart.action_space(),
            carts: [cart.clone(), cart],
            fallen: [false; 2],
        }
    }
}

impl MultiAgentEnv for TwoCartPoles {
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
        self.fallen = [false; 2];
        let seeds = [seed, seed.map(second_seed)];
        for (agent, (cart, seed)) in self.carts.iter_mut().zip(seeds).enumerate() {
            cart.reset(seed, &mut out.observe(agent))?;
        }
        Ok(())
    }

    fn step(&mut self, actions: &AgentActions, out: &mut AgentStep) -> Result<(), EnvError> {
        out.clear();
        for (agent, cart) in self.carts.iter_mut().enumerate() {
            if self.fallen[agent] {
                continue;
            }
            let action = actions.required(agent, &self.agents[agent])?;
            let step = cart.step(&action, &mut out.observe(agent))?;
            out.rewards[agent] = step.reward;
            out.terminated[agent] = step.terminated;
            self.fallen[agent] = step.terminated;
        }
        out.all_terminated = self.fallen == [true; 2];
        Ok(())
    }

    fn save_state(&self) -> Option<EnvState> {
        let mut state = EnvState::new();
        state.insert("fallen".to_owned(), Column::Bool(self.fallen.to_vec()));
        for (name, cart) in self.agents.iter().zip(&self.carts) {
            nest(&mut state, name, cart.save_state()?);
        }
        Some(state)
    }

    fn restore_state(&mut self, state: &EnvState) -> Result<(), EnvError> {
        self.fallen.copy_from_slice(entry(state, "fallen", 2)?);
        for (name, cart) in self.agents.iter().zip(&mut self.carts) {
            cart.restore_state(&nested(state, name))?;
        }
        Ok(())
    }

    /// One cart above the other.
    fn draw(&self) -> Option<Scene> {
        let [upper, lower] = &self.carts;
        Some(upper.draw()?.above(lower.draw()?))
    }
}

/// The seed of the second cart.
fn second_seed(seed: u64) -> u64 {
    let mut words = [0];
    SeedSequence::with_spawn_key(seed, &[1]).generate(&mut words);
    words[0]
}
