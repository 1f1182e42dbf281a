//! The `collect` stage: newest weights in, one rollout out.

use serde_json::Value;

use super::EnvRunner;
use super::runner_state::EnvRunnerState;
use super::whole_episodes::{Running, WholeEpisodes};
use crate::contract::shared::Shared;
use crate::contract::slots::{AGENT_STEPS, ENV_STEPS, EPISODES, ROW_COUNTS, SAMPLE, SPENT};
use crate::contract::{Rollout, RowCounts};
use crate::error::Error;
use crate::pipeline::{Declaration, Flow, Middleware, PipelineError, View};
use crate::publish::WeightBoard;

/// Steps every environment a fixed number of times, or until whole episodes make a batch.
#[derive(Debug)]
pub struct Collect {
    runner: Shared<EnvRunner>,
    board: WeightBoard,
    steps: usize,
    whole_episodes: Option<WholeEpisodes>,
}

impl Collect {
    /// `steps` per environment and iteration.
    pub fn new(runner: Shared<EnvRunner>, board: WeightBoard, steps: usize) -> Self {
        Self { runner, board, steps, whole_episodes: None }
    }

    /// Goes on until whole episodes make a batch of at least `min_rows` rows; those that run wait for the next one.
    #[must_use]
    pub fn whole_episodes(self, min_rows: usize) -> Self {
        Self { whole_episodes: Some(WholeEpisodes::new(min_rows)), ..self }
    }

    /// Until it succeeds, where failing environments are to be put right.
    fn sample(&mut self, runner: &mut EnvRunner) -> Result<Rollout, Error> {
        loop {
            match self.try_sample(runner) {
                Ok(rollout) => {
                    runner.went_well();
                    return Ok(rollout);
                }
                Err(error) => runner.put_right(error)?,
            }
        }
    }

    fn try_sample(&mut self, runner: &mut EnvRunner) -> Result<Rollout, Error> {
        let steps = self.steps;
        let Some(episodes) = &mut self.whole_episodes else { return runner.sample(steps) };
        let sampled = runner.sample_with(|runner| gather(runner, episodes, steps));
        if sampled.is_err() {
            // All environments were reset.
            episodes.clear();
        }
        sampled
    }
}

/// Collects until whole episodes make a batch.
fn gather(runner: &mut EnvRunner, episodes: &mut WholeEpisodes, steps: usize) -> Result<Rollout, Error> {
    let mut rollout = runner.collect(steps)?;
    episodes.add(std::mem::take(&mut rollout.modules));
    while !episodes.is_enough(rollout.env_steps)? {
        let more = runner.collect(steps)?;
        rollout.env_steps += more.env_steps;
        rollout.agent_steps += more.agent_steps;
        episodes.add(more.modules);
    }
    rollout.modules = episodes.take();
    Ok(rollout)
}

impl Middleware for Collect {
    fn name(&self) -> &'static str {
        "collect"
    }

    fn declare(&self, slots: &mut Declaration) {
        slots.writes(SAMPLE).writes(EPISODES).writes(ROW_COUNTS).takes_optional(SPENT);
        slots.updates(ENV_STEPS).initial(ENV_STEPS, 0).updates(AGENT_STEPS).initial(AGENT_STEPS, 0);
    }

    fn forward(&mut self, view: &mut View<'_>) -> Result<Flow, PipelineError> {
        let shared = self.runner.clone();
        let mut runner = shared.lock();
        runner.sync(&self.board).map_err(PipelineError::failed)?;
        runner.reuse(view.take_optional(SPENT)?.unwrap_or_default().into_spare());
        let rollout = self.sample(&mut runner).map_err(PipelineError::failed)?;
        *view.get_mut(ENV_STEPS)? += rollout.env_steps;
        *view.get_mut(AGENT_STEPS)? += rollout.agent_steps;
        view.put(ROW_COUNTS, RowCounts::of(&rollout))?;
        view.put(SAMPLE, rollout)?;
        view.put(EPISODES, runner.take_finished())?;
        Ok(Flow::Continue)
    }

    fn save_state(&self) -> Result<Value, PipelineError> {
        let Some(episodes) = &self.whole_episodes else { return Ok(Value::Null) };
        serde_json::to_value(episodes.running()).map_err(|source| PipelineError::State(source.to_string()))
    }

    fn restore_state(&mut self, state: &Value) -> Result<(), PipelineError> {
        let Some(episodes) = &mut self.whole_episodes else { return Ok(()) };
        let wrong = |found: String| {
            PipelineError::State(format!("the rows of running episodes in stage `collect`: {found}"))
        };
        let running: Running =
            serde_json::from_value(state.clone()).map_err(|source| wrong(source.to_string()))?;
        let runner = self.runner.lock();
        running.check_for(runner.policies()).map_err(wrong)?;
        let state = runner.save_state().map_err(PipelineError::failed)?;
        let EnvRunnerState::Vector(runner) = state else { return Ok(()) };
        let lengths: Vec<u64> = runner.episodes.iter().map(|episode| episode.len).collect();
        episodes.restore(running, &lengths);
        Ok(())
    }
}
