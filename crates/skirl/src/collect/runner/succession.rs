//! A runner that takes the place of another one in the middle of a run.

use super::{EnvRunner, Kind};
use crate::error::Error;

impl EnvRunner {
    /// Goes on in the place of `before`, a runner of as many environments with several agents, whose modules may be others:
    /// with its counts, the numbers of its episodes, its tasks and the observation statistics of modules that both have.
    /// Its running episodes are given up; fresh ones begin here, with seeds that no episode before had. `before` stays as it
    /// was.
    ///
    /// # Errors
    /// An environment that fails; environments with one agent, whose module is always the same.
    pub fn take_the_place_of(&mut self, before: &Self) -> Result<(), Error> {
        self.set_normalizers(&before.normalizers);
        self.restore_tasks(before.tasks.newest.clone())?;
        let (Kind::Agents(runner), Kind::Agents(old)) = (&mut self.kind, &before.kind) else {
            return Err(Error::RunnerState {
                expected: "environments with several agents".to_owned(),
                found: "one agent".to_owned(),
            });
        };
        runner.count_on_from(old);
        self.seeds = self.options.seed.child("env").child("restored").index(old.steps());
        self.begin_episodes(false)?;
        self.take_seen();
        Ok(())
    }
}
