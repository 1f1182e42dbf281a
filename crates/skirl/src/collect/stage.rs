//! The `collect` stage: newest weights in, one rollout out.

use super::EnvRunner;
use crate::contract::shared::Shared;
use crate::contract::slots::{AGENT_STEPS, ENV_STEPS, EPISODES, SAMPLE};
use crate::pipeline::{Declaration, Flow, Middleware, PipelineError, View};
use crate::publish::WeightBoard;

/// Steps every environment a fixed number of times.
#[derive(Debug)]
pub struct Collect {
    runner: Shared<EnvRunner>,
    board: WeightBoard,
    steps: usize,
}

impl Collect {
    /// `steps` per environment and iteration.
    pub fn new(runner: Shared<EnvRunner>, board: WeightBoard, steps: usize) -> Self {
        Self { runner, board, steps }
    }
}

impl Middleware for Collect {
    fn name(&self) -> &'static str {
        "collect"
    }

    fn declare(&self, slots: &mut Declaration) {
        slots.writes(SAMPLE).writes(EPISODES);
        slots.updates(ENV_STEPS).initial(ENV_STEPS, 0).updates(AGENT_STEPS).initial(AGENT_STEPS, 0);
    }

    fn forward(&mut self, view: &mut View<'_>) -> Result<Flow, PipelineError> {
        let mut runner = self.runner.lock();
        runner.sync(&self.board).map_err(PipelineError::failed)?;
        let rollout = runner.sample(self.steps).map_err(PipelineError::failed)?;
        *view.get_mut(ENV_STEPS)? += rollout.env_steps;
        *view.get_mut(AGENT_STEPS)? += rollout.agent_steps;
        view.put(SAMPLE, rollout)?;
        view.put(EPISODES, runner.take_finished())?;
        Ok(Flow::Continue)
    }
}
