//! Environments that are filmed while they are stepped.

use skirl_env::wrappers::VectorWrapper;
use skirl_env::{
    AgentActions, AgentIndex, AgentStep, ColumnMut, ColumnRef, EnvError, EnvState, MultiAgentEnv, Outcomes,
    Scene, Space, VectorEnv,
};

use super::Film;

/// Environments with one agent, number `first_env` of the run and those after it.
pub(super) struct VectorCamera {
    pub(super) env: Box<dyn VectorEnv>,
    pub(super) first_env: usize,
    pub(super) film: Film,
}

impl VectorWrapper for VectorCamera {
    fn inner(&self) -> &dyn VectorEnv {
        &*self.env
    }

    fn inner_mut(&mut self) -> &mut dyn VectorEnv {
        &mut *self.env
    }

    fn reset(
        &mut self,
        env: usize,
        seed: Option<u64>,
        observations: &mut [ColumnMut<'_>],
    ) -> Result<(), EnvError> {
        self.env.reset(env, seed, observations)?;
        self.film.begin(self.first_env + env, || self.env.draw(env));
        Ok(())
    }

    fn step(
        &mut self,
        actions: &[ColumnRef<'_>],
        observations: &mut [ColumnMut<'_>],
        outcomes: &mut Outcomes,
    ) -> Result<(), EnvError> {
        self.env.step(actions, observations, outcomes)?;
        for env in 0..self.env.num_envs() {
            self.film.step(self.first_env + env, || self.env.draw(env));
        }
        Ok(())
    }
}

/// An environment with several agents.
pub(super) struct MultiCamera {
    pub(super) env: Box<dyn MultiAgentEnv>,
    pub(super) index: usize,
    pub(super) film: Film,
}

impl MultiAgentEnv for MultiCamera {
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
        self.env.reset(seed, out)?;
        self.film.begin(self.index, || self.env.draw());
        Ok(())
    }

    fn step(&mut self, actions: &AgentActions, out: &mut AgentStep) -> Result<(), EnvError> {
        self.env.step(actions, out)?;
        self.film.step(self.index, || self.env.draw());
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

    fn inner_mut(&mut self) -> Option<&mut dyn MultiAgentEnv> {
        Some(&mut *self.env)
    }
}
