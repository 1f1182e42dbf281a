//! Environments of this process that fail: made anew, and the rollout done again, or the run ends with what failed first.

use super::{EnvRunner, Kind};
use crate::error::Error;
use skirl_env::EnvError;

/// Failures that were put right.
#[derive(Debug, Default)]
pub(super) struct Restarts {
    in_a_row: usize,
    /// What failed first: what follows may be a consequence.
    first: Option<Error>,
    total: u64,
    env_steps_dropped: u64,
    /// What the user should be told.
    notes: Vec<String>,
}

impl EnvRunner {
    /// After a failed rollout: makes the environment anew that failed, and resets all of them, so that the rollout can be
    /// tried again; an error where it is not to be.
    pub(in crate::collect) fn put_right(&mut self, mut error: Error) -> Result<(), Error> {
        loop {
            if let Err(error) = self.replace_failed(error) {
                // The run ends, or is interrupted: what fails after that is no consequence.
                self.went_well();
                return Err(error);
            }
            // Seeds of their own: the same ones would lead to the same failure, and play known episodes again.
            let root = self.options.seed.child("restarted").index(self.restarts.total);
            match self.reset_with(root) {
                Ok(()) => break,
                Err(failed) => error = failed,
            }
        }
        self.needs_reset = false;
        Ok(())
    }

    /// Makes the environment anew that failed; an error where that is not to be.
    fn replace_failed(&mut self, error: Error) -> Result<(), Error> {
        let Some(tolerance) = self.options.restart_failed_envs else { return Err(error) };
        let Some(env) = failed_env(&error) else { return Err(error) };
        self.restarts.in_a_row += 1;
        let note = format!(
            "{error}. It was made anew, and its rollout done again (restart_failed_sub_environments)"
        );
        let first = self.restarts.first.take().unwrap_or(error);
        if self.restarts.in_a_row > tolerance {
            return Err(first);
        }
        self.options.shared.discard();
        self.rebuild(env).map_err(|source| Error::env(env, 0, source))?;
        self.restarts.total += 1;
        self.restarts.notes.push(note);
        self.restarts.first = Some(first);
        Ok(())
    }

    /// A rollout was completed, or nobody tries it again.
    pub(in crate::collect) fn went_well(&mut self) {
        (self.restarts.in_a_row, self.restarts.first) = (0, None);
    }

    /// Leaves nothing of a rollout that failed, which had begun when `before` steps were made: its steps are counted as
    /// dropped, and all environments are reset. Returns why it ended: the failure, or an interruption that came during the
    /// resets.
    pub(super) fn give_up(&mut self, error: Error, before: u64) -> Error {
        self.restarts.env_steps_dropped += self.env_steps_made().saturating_sub(before);
        self.restart(self.options.seed);
        let begun = self.begin_episodes(false);
        self.needs_reset = begun.is_err();
        self.take_finished();
        begun.err().filter(is_interruption).unwrap_or(error)
    }

    /// Environments of this process that failed and were made anew, where the configuration asks for that.
    pub fn env_restarts(&self) -> Option<u64> {
        let is_here = self.faults().is_none() && self.options.restart_failed_envs.is_some();
        is_here.then_some(self.restarts.total)
    }

    /// Environment steps that were lost with failed environments, of this process or of others.
    pub fn env_steps_dropped(&self) -> u64 {
        self.faults().map_or(self.restarts.env_steps_dropped, |faults| faults.env_steps_dropped)
    }

    /// What the user should be told since the last call.
    pub(crate) fn take_notes(&mut self) -> Vec<String> {
        std::mem::take(&mut self.restarts.notes)
    }

    /// Steps of all environments since the exploration streams began.
    pub(super) fn env_steps_made(&mut self) -> u64 {
        match &mut self.kind {
            Kind::Vector(places) => {
                let ranges = places.iter_mut().filter_map(|place| place.shard.in_process());
                ranges.map(|range| range.steps() * range.num_envs() as u64).sum()
            }
            Kind::Agents(runner) => runner.steps() * runner.num_envs() as u64,
        }
    }

    fn rebuild(&mut self, env: usize) -> Result<(), EnvError> {
        match &mut self.kind {
            Kind::Vector(places) => {
                let mut places = places.iter_mut().rev();
                let Some(place) = places.find(|place| place.shard.first_env() <= env) else { return Ok(()) };
                let index = env - place.shard.first_env();
                place.shard.env_mut().rebuild(index)
            }
            Kind::Agents(runner) => {
                runner.envs_mut().nth(env).map_or(Ok(()), skirl_env::MultiAgentEnv::rebuild)
            }
        }
    }
}

fn is_interruption(error: &Error) -> bool {
    matches!(error, Error::Stopped { .. } | Error::Env { source: EnvError::Interrupted { .. }, .. })
}

/// The environment whose fault it was; none where somebody asked the run to end, or the environment is not at fault.
fn failed_env(error: &Error) -> Option<usize> {
    match error {
        interruption if is_interruption(interruption) => None,
        Error::Env { env, .. }
        | Error::NonFinite { env, .. }
        | Error::TruncatedWithoutObservation { env, .. } => Some(*env),
        _ => None,
    }
}
