//! What happens after a failure: the process is replaced, its environments start new episodes, and the work is done again;
//! or the run ends with what failed first.

use std::sync::Arc;
use std::time::Duration;

use skirl::Error;

use crate::launch::{Launch, Rules, Told, as_error, no_worker};
use crate::memory::SharedMemory;
use crate::message::{Build, Reply, Request};
use crate::output::tell_failure;
use crate::process::{Failure, Process};
use crate::shard::RemoteRange;

/// Failures in a row.
#[derive(Debug, Default)]
pub(crate) struct Failures {
    in_a_row: usize,
    /// What failed first: what follows may be a consequence.
    first: Option<String>,
    /// All there were, to draw new seeds from.
    total: u64,
}

impl Failures {
    /// Work has succeeded since the last one.
    pub(crate) fn were_put_right(&self) -> bool {
        self.in_a_row == 0
    }
}

impl RemoteRange {
    /// Does `work` until it succeeds, putting right what fails on the way.
    pub(crate) fn insist<T>(
        &mut self,
        mut work: impl FnMut(&mut Self) -> Result<T, Failure>,
    ) -> Result<T, Error> {
        loop {
            let before = match &self.posted {
                Some(posted) => posted.env_steps_before,
                None => self.env_steps_counted(),
            };
            match self.be_there().and_then(|()| work(self)) {
                Ok(done) => {
                    self.failures.in_a_row = 0;
                    return Ok(done);
                }
                Err(failure @ (Failure::Interrupted { .. } | Failure::Hook(_))) => {
                    return Err(self.give_up(&failure));
                }
                Err(failure) => {
                    self.faults.env_steps_dropped += self.env_steps_counted().saturating_sub(before);
                    self.put_right(&failure)?;
                }
            }
        }
    }

    /// Nobody wants what was under way, or a hook has ended it. Its environments are reset before they step again.
    fn give_up(&mut self, failure: &Failure) -> Error {
        self.begun = false;
        self.round.is_due = false;
        if matches!(failure, Failure::Interrupted { killed: true }) {
            self.lose_process();
            self.faults.restarts += 1;
        }
        as_error(&self.build, failure)
    }

    /// Counts a failure and prepares the next try; an error where there is to be none.
    fn put_right(&mut self, failure: &Failure) -> Result<(), Error> {
        let lost = !matches!(failure, Failure::Refused(_));
        self.begun = false;
        self.failures.total += 1;
        self.failures.in_a_row += 1;
        let first = self.failures.first.take().filter(|_| self.failures.in_a_row > 1);
        let first = first.unwrap_or_else(|| failure.message().to_owned());
        if lost {
            self.lose_process();
        }
        if let Some(reason) = self.why_not_again() {
            self.failures.in_a_row = 0;
            // A traceback may follow the first line.
            let (said, rest) = first.split_at(first.find('\n').unwrap_or(first.len()));
            return Err(no_worker(&self.build, &format!("{said}{reason}{rest}")));
        }
        self.failures.first = Some(first);
        let keep = !lost && self.rules.options.restart_failed_sub_environments;
        if keep {
            self.faults.env_restarts += 1;
        } else {
            self.lose_process();
            self.faults.restarts += 1;
        }
        self.round.is_due = self.failures.in_a_row == 1 && self.round.can_be_played_again();
        let what = if keep { "its environments are reset" } else { "it is replaced" };
        tell_failure(&self.tag(), failure.message(), &format!("{what}, and the run goes on"));
        std::thread::sleep(Duration::from_secs_f64(self.rules.options.delay_between_env_runner_restarts_s));
        if !self.round.is_due {
            self.episodes.iter_mut().for_each(skirl::collect::episodes::RunningEpisode::restart);
        }
        Ok(())
    }

    /// Why a failure is not to be put right; the end of a sentence.
    fn why_not_again(&self) -> Option<String> {
        let options = &self.rules.options;
        if !options.restart_failed_env_runners {
            return Some(String::new());
        }
        if self.faults.restarts >= options.max_num_env_runner_restarts as u64 {
            return Some(format!(" (after {} restarts, max_num_env_runner_restarts)", self.faults.restarts));
        }
        let tolerance = options.num_consecutive_env_runner_failures_tolerance;
        (self.failures.in_a_row > tolerance).then(|| match tolerance {
            0 => String::new(),
            _ => format!(" (and failed again {tolerance} times without completing a rollout)"),
        })
    }

    fn lose_process(&mut self) {
        *self.process_mut() = None;
        self.faults.healthy = 0;
    }

    /// Has a process whose environments are built and reset.
    fn be_there(&mut self) -> Result<(), Failure> {
        if self.process_mut().is_none() {
            self.build.recreated = true;
            let (process, told) = Self::start_process(&self.launch, &self.rules, &self.build, &self.memory)?;
            self.check_same(&told)?;
            *self.process_mut() = Some(process);
            self.faults.healthy = 1;
            for (env, task) in self.tasks.clone() {
                self.ask(&Request::SetTask { env, task }, &[])?;
            }
        }
        if std::mem::take(&mut self.round.is_due) {
            self.play_again()?;
        } else if !self.begun && self.failures.in_a_row > 0 {
            // Seeds of their own: the same ones would lead to the same failure, and play known episodes again.
            let seeds = self.seeds.child("restarted").index(self.failures.total);
            self.try_begin(seeds)?;
        }
        Ok(())
    }

    fn check_same(&self, told: &Told) -> Result<(), Failure> {
        let spaces = (self.spaces.observation.to_json(), self.spaces.action.to_json());
        if (&told.observation, &told.action) == (&spaces.0, &spaces.1) {
            return Ok(());
        }
        Err(Failure::Refused(format!(
            "its environments have other spaces than before: observations {}, actions {}",
            told.observation, told.action
        )))
    }

    /// A process with its environments, not reset.
    pub(crate) fn start_process(
        launch: &Launch,
        rules: &Rules,
        build: &Build,
        memory: &SharedMemory,
    ) -> Result<(Process, Told), Failure> {
        let interrupted = Arc::clone(&launch.interrupted);
        let mut process = Process::start(&launch.command, memory, &tag_of(build), interrupted)
            .map_err(|error| Failure::Died(format!("could not be started: {error}")))?;
        let request = Request::Build(build.clone());
        match process.ask(&request, &launch.constructors, rules.start_patience) {
            Ok((Reply::Built { observation, action, layout }, _)) => {
                Ok((process, Told { observation, action, layout }))
            }
            Ok(_) => Err(Failure::Died("gave an answer that was not asked for".to_owned())),
            // A worker that dies before it can speak, of an import that fails for example, prints why.
            Err(Failure::Died(message)) => Err(Failure::Died(with_output(message, &process))),
            Err(failure) => Err(failure),
        }
    }
}

/// What stands before the lines of a worker.
pub(crate) fn tag_of(build: &Build) -> String {
    let whose = if build.in_evaluation { "evaluation " } else { "" };
    format!("[{whose}env_runner {}]", build.runner)
}

fn with_output(message: String, process: &Process) -> String {
    match process.last_lines() {
        lines if lines.is_empty() => message,
        lines => format!("{message} before its environments were built\nIt printed:\n{}", lines.join("\n")),
    }
}
