//! Counts the steps of many environments, applies their time limit, and refuses steps after an end.

use crate::column::Column;
use crate::env::EnvState;
use crate::error::{EnvError, Place};
use crate::state::entry;

/// Where an environment stands. One byte each, so that a whole batch is checked at memory speed.
const RUNNING: u8 = 0;
const ENDED: u8 = 1;
const NEVER_RESET: u8 = 2;

/// Largest count of steps that is restored: no run reaches it, and above it the next steps could overflow.
const MAX_STEPS: u64 = 1 << 62;

/// Step counters and time limit of a vector environment.
#[derive(Debug, Clone)]
pub struct EpisodeClock {
    limit: u32,
    steps: Vec<u32>,
    status: Vec<u8>,
    total_steps: u64,
}

impl EpisodeClock {
    /// Counters for `num_envs` environments; `limit` is `max_episode_steps`.
    pub fn new(num_envs: usize, limit: Option<u32>) -> EpisodeClock {
        EpisodeClock {
            limit: limit.unwrap_or(u32::MAX),
            steps: vec![0; num_envs],
            status: vec![NEVER_RESET; num_envs],
            total_steps: 0,
        }
    }

    /// The time limit.
    pub fn limit(&self) -> Option<u32> {
        (self.limit != u32::MAX).then_some(self.limit)
    }

    /// Steps that each environment has taken since it was built (equal for all: they step together).
    pub fn total_steps(&self) -> u64 {
        self.total_steps
    }

    /// An episode begins.
    pub fn start(&mut self, env: usize) -> Result<(), EnvError> {
        let num_envs = self.steps.len();
        let (Some(steps), Some(status)) = (self.steps.get_mut(env), self.status.get_mut(env)) else {
            return Err(EnvError::raised(format!(
                "reset of environment {env}, but there are only {num_envs}"
            )));
        };
        (*steps, *status) = (0, RUNNING);
        Ok(())
    }

    /// Before a step: every environment must be in an episode.
    pub fn before_step(&self) -> Result<(), EnvError> {
        // Combining all bytes vectorises; the search is for the error only.
        if self.status.iter().fold(0, |all, status| all | status) == RUNNING {
            return Ok(());
        }
        let env = self.status.iter().position(|&status| status != RUNNING);
        let place = Place { env, env_step: Some(self.total_steps + 1) };
        match env.map(|env| self.status[env]) {
            Some(ENDED) => Err(EnvError::StepAfterEnd { place }),
            _ => Err(EnvError::StepBeforeReset { place }),
        }
    }

    /// After a step: counts it, writes `truncated`, and notes which episodes ended.
    pub fn after_step(&mut self, terminated: &[bool], truncated: &mut [bool]) {
        self.total_steps += 1;
        let limit = self.limit;
        for (((steps, status), &terminated), truncated) in
            self.steps.iter_mut().zip(&mut self.status).zip(terminated).zip(truncated)
        {
            *steps += 1;
            *truncated = *steps >= limit;
            *status = u8::from(terminated) | u8::from(*truncated);
        }
    }

    /// As [`EpisodeClock::after_step`], for environments that truncate by themselves too.
    pub fn after_step_keeping(&mut self, terminated: &[bool], truncated: &mut [bool]) {
        let own: Vec<bool> = truncated.to_vec();
        self.after_step(terminated, truncated);
        for ((truncated, own), status) in truncated.iter_mut().zip(own).zip(&mut self.status) {
            *truncated |= own;
            *status |= u8::from(own);
        }
    }

    /// Saves the counters under `clock/`.
    pub fn save(&self, state: &mut EnvState) {
        state.insert("clock/steps".to_owned(), Column::U32(self.steps.clone()));
        state.insert("clock/status".to_owned(), Column::U8(self.status.clone()));
        state.insert("clock/total_steps".to_owned(), Column::U64(vec![self.total_steps]));
    }

    /// Restores what [`EpisodeClock::save`] saved.
    pub fn restore(&mut self, state: &EnvState) -> Result<(), EnvError> {
        let steps = entry::<u32>(state, "clock/steps", self.steps.len())?;
        let status = entry::<u8>(state, "clock/status", self.status.len())?;
        let total_steps = entry::<u64>(state, "clock/total_steps", 1)?;
        let bad = |field: &str, expected: String, found: String| {
            Err(EnvError::BadState { field: field.to_owned(), expected, found })
        };
        if let Some(count) = steps.iter().find(|&&count| count > self.limit || count == u32::MAX) {
            return bad(
                "clock/steps",
                format!("at most {} steps of an episode", self.limit),
                count.to_string(),
            );
        }
        if let Some(other) = status.iter().find(|&&status| status > NEVER_RESET) {
            return bad("clock/status", format!("at most {NEVER_RESET}"), other.to_string());
        }
        if total_steps[0] > MAX_STEPS {
            return bad("clock/total_steps", format!("at most {MAX_STEPS}"), total_steps[0].to_string());
        }
        self.steps.copy_from_slice(steps);
        self.status.copy_from_slice(status);
        self.total_steps = total_steps[0];
        Ok(())
    }
}
