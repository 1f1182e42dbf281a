//! Environments with several agents: simultaneous, turn-based, or both.

use std::any::Any;

use serde_json::Value;

use crate::column::{Column, column_muts, column_refs};
use crate::env::{Env, EnvState};
use crate::error::EnvError;
use crate::row::{Row, RowRef};
use crate::scene::Scene;
use crate::space::Space;

/// Index of an agent in [`MultiAgentEnv::agents`].
pub type AgentIndex = usize;

/// The name of the only agent of a single-agent environment.
pub const DEFAULT_AGENT: &str = "default_agent";

/// An environment with several agents.
///
/// An agent that is `observed` after a reset or step must act in the next step, unless it ended. An agent that is not
/// observed does not act; rewards may reach it all the same, and belong to its last action. An agent's last observation
/// comes with its `terminated` or `truncated`, or with `all_terminated` or `all_truncated`. After that it stays out until the
/// next reset: an observation or a reward for it is an error.
pub trait MultiAgentEnv: Any + Send {
    /// All agents that can ever appear, in a fixed order.
    fn agents(&self) -> &[String];

    /// Observation space of an agent.
    fn observation_space(&self, agent: AgentIndex) -> &Space;

    /// Action space of an agent.
    fn action_space(&self, agent: AgentIndex) -> &Space;

    /// Starts an episode. `seed` as in [`Env::reset`].
    fn reset(&mut self, seed: Option<u64>, out: &mut AgentStep) -> Result<(), EnvError>;

    /// Takes the actions of those agents that must act.
    fn step(&mut self, actions: &AgentActions, out: &mut AgentStep) -> Result<(), EnvError>;

    /// Everything that `restore_state` needs to go on exactly here, or `None` if this environment cannot.
    fn save_state(&self) -> Option<EnvState> {
        None
    }

    /// Goes on where `save_state` was called.
    fn restore_state(&mut self, _state: &EnvState) -> Result<(), EnvError> {
        Err(EnvError::NoState { env: std::any::type_name::<Self>().to_owned() })
    }

    /// The present state as a picture, or `None` if this environment does not draw itself.
    fn draw(&self) -> Option<Scene> {
        None
    }

    /// The environment inside, if this is a wrapper. As [`Env::inner_mut`].
    fn inner_mut(&mut self) -> Option<&mut dyn MultiAgentEnv> {
        None
    }

    /// Puts a new environment in the place of this one, which failed. As [`VectorEnv::rebuild`](crate::VectorEnv::rebuild).
    fn rebuild(&mut self) -> Result<(), EnvError> {
        match self.inner_mut() {
            Some(inner) => inner.rebuild(),
            None => Ok(()),
        }
    }

    /// Sets the task. As [`Env::set_task`].
    fn set_task(&mut self, task: &Value) -> Result<(), EnvError> {
        match self.inner_mut() {
            Some(inner) => inner.set_task(task),
            None => Err(EnvError::NoTask { env: std::any::type_name::<Self>().to_owned() }),
        }
    }

    /// The task. As [`Env::get_task`].
    fn get_task(&mut self) -> Result<Value, EnvError> {
        match self.inner_mut() {
            Some(inner) => inner.get_task(),
            None => Err(EnvError::NoTask { env: std::any::type_name::<Self>().to_owned() }),
        }
    }
}

impl std::fmt::Debug for dyn MultiAgentEnv {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "MultiAgentEnv({})", self.agents().join(", "))
    }
}

impl MultiAgentEnv for Box<dyn MultiAgentEnv> {
    fn agents(&self) -> &[String] {
        (**self).agents()
    }

    fn observation_space(&self, agent: AgentIndex) -> &Space {
        (**self).observation_space(agent)
    }

    fn action_space(&self, agent: AgentIndex) -> &Space {
        (**self).action_space(agent)
    }

    fn reset(&mut self, seed: Option<u64>, out: &mut AgentStep) -> Result<(), EnvError> {
        (**self).reset(seed, out)
    }

    fn step(&mut self, actions: &AgentActions, out: &mut AgentStep) -> Result<(), EnvError> {
        (**self).step(actions, out)
    }

    fn save_state(&self) -> Option<EnvState> {
        (**self).save_state()
    }

    fn restore_state(&mut self, state: &EnvState) -> Result<(), EnvError> {
        (**self).restore_state(state)
    }

    fn draw(&self) -> Option<Scene> {
        (**self).draw()
    }

    fn inner_mut(&mut self) -> Option<&mut dyn MultiAgentEnv> {
        Some(&mut **self)
    }
}

/// What a reset or step of a [`MultiAgentEnv`] gives back, indexed by agent.
#[derive(Debug, Clone, PartialEq)]
pub struct AgentStep {
    /// `[agent][leaf]`, one row; meaningful where `observed`.
    pub observations: Vec<Vec<Column>>,
    /// The agent got an observation now: it must act next, unless it ended.
    pub observed: Vec<bool>,
    /// Rewards; they may come without an observation.
    pub rewards: Vec<f64>,
    /// The agent's episode ended in a terminal state.
    pub terminated: Vec<bool>,
    /// The agent's episode was cut off.
    pub truncated: Vec<bool>,
    /// The episode ended in a terminal state for all agents.
    pub all_terminated: bool,
    /// The episode was cut off for all agents.
    pub all_truncated: bool,
}

impl AgentStep {
    /// Room for the agents of an environment.
    pub fn for_env(env: &dyn MultiAgentEnv) -> AgentStep {
        let agents = env.agents().len();
        AgentStep {
            observations: (0..agents).map(|agent| env.observation_space(agent).columns(1)).collect(),
            observed: vec![false; agents],
            rewards: vec![0.0; agents],
            terminated: vec![false; agents],
            truncated: vec![false; agents],
            all_terminated: false,
            all_truncated: false,
        }
    }

    /// No observations, no rewards, no ends. Observation columns keep their old values.
    pub fn clear(&mut self) {
        self.observed.fill(false);
        self.rewards.fill(0.0);
        self.terminated.fill(false);
        self.truncated.fill(false);
        self.all_terminated = false;
        self.all_truncated = false;
    }

    /// The place for an agent's observation; marks the agent as observed.
    pub fn observe(&mut self, agent: AgentIndex) -> Row<'_> {
        self.observed[agent] = true;
        Row::new(column_muts(&mut self.observations[agent]))
    }

    /// An agent's observation, for reading.
    pub fn observation(&self, agent: AgentIndex) -> RowRef<'_> {
        RowRef::new(column_refs(&self.observations[agent]))
    }

    /// Whether the agent's episode is over, for any reason.
    pub fn ended(&self, agent: AgentIndex) -> bool {
        self.terminated[agent] || self.truncated[agent] || self.all_ended()
    }

    /// Whether the episode is over for all agents.
    pub fn all_ended(&self) -> bool {
        self.all_terminated || self.all_truncated
    }
}

/// The actions of one step, indexed by agent.
#[derive(Debug, Clone, PartialEq)]
pub struct AgentActions {
    /// `[agent][leaf]`, one row; meaningful where `acts`.
    pub actions: Vec<Vec<Column>>,
    /// The agents that act in this step.
    pub acts: Vec<bool>,
}

impl AgentActions {
    /// Room for the agents of an environment.
    pub fn for_env(env: &dyn MultiAgentEnv) -> AgentActions {
        let agents = env.agents().len();
        AgentActions {
            actions: (0..agents).map(|agent| env.action_space(agent).columns(1)).collect(),
            acts: vec![false; agents],
        }
    }

    /// Nobody acts.
    pub fn clear(&mut self) {
        self.acts.fill(false);
    }

    /// An agent's action.
    pub fn action(&self, agent: AgentIndex) -> RowRef<'_> {
        RowRef::new(column_refs(&self.actions[agent]))
    }

    /// An agent's action, or an error if the agent does not act.
    pub fn required(&self, agent: AgentIndex, name: &str) -> Result<RowRef<'_>, EnvError> {
        if self.acts[agent] {
            return Ok(self.action(agent));
        }
        Err(EnvError::invalid_action("nothing", format!("an action of agent \"{name}\", which was observed")))
    }
}

/// A single-agent environment as a [`MultiAgentEnv`] with one agent, `default_agent`.
#[derive(Debug)]
pub struct SingleAsMulti<E> {
    env: E,
    agents: [String; 1],
    observation_space: Space,
    action_space: Space,
}

impl<E: Env> SingleAsMulti<E> {
    /// Wraps an environment.
    pub fn new(env: E) -> SingleAsMulti<E> {
        SingleAsMulti {
            observation_space: env.observation_space(),
            action_space: env.action_space(),
            agents: [DEFAULT_AGENT.to_owned()],
            env,
        }
    }
}

impl<E: Env> MultiAgentEnv for SingleAsMulti<E> {
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
        self.env.reset(seed, &mut out.observe(0))
    }

    fn step(&mut self, actions: &AgentActions, out: &mut AgentStep) -> Result<(), EnvError> {
        out.clear();
        let action = actions.required(0, DEFAULT_AGENT)?;
        let step = self.env.step(&action, &mut out.observe(0))?;
        out.rewards[0] = step.reward;
        (out.terminated[0], out.truncated[0]) = (step.terminated, step.truncated);
        (out.all_terminated, out.all_truncated) = (step.terminated, step.truncated);
        Ok(())
    }

    fn save_state(&self) -> Option<EnvState> {
        self.env.save_state()
    }

    fn restore_state(&mut self, state: &EnvState) -> Result<(), EnvError> {
        self.env.restore_state(state)
    }

    fn draw(&self) -> Option<Scene> {
        self.env.draw()
    }

    fn set_task(&mut self, task: &Value) -> Result<(), EnvError> {
        self.env.set_task(task)
    }

    fn get_task(&mut self) -> Result<Value, EnvError> {
        self.env.get_task()
    }
}
