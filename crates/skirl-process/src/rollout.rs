//! A rollout of a worker: asked for, waited for, taken over.

use std::sync::PoisonError;
use std::sync::atomic::AtomicBool;

use skirl::collect::episodes::{EpisodeRecord, RunningEpisode};
use skirl::collect::vector_runner::StepRules;
use skirl_math::stats::ColumnMoments;

use crate::layout::Layout;
use crate::message::{Reply, Request, unpack_moments};
use crate::process::{Failure, Process};
use crate::round::Sampled;
use crate::shard::{RemoteRange, statistics};

/// A rollout that was asked for, and is not waited for yet.
#[derive(Debug)]
pub(crate) struct Posted {
    /// Its sizes, and the number of the request; why it could not be asked for.
    asked: Result<(Layout, u64), Failure>,
    /// Steps of environments counted before.
    pub(crate) env_steps_before: u64,
}

/// What came with the last rollout, beside the columns in shared memory.
#[derive(Debug, Default)]
pub(crate) struct Delivered {
    pub(crate) ends: usize,
    pub(crate) terminated: Vec<bool>,
    pub(crate) truncated: Vec<bool>,
    pub(crate) env: Vec<u32>,
    pub(crate) agent: Vec<u32>,
    pub(crate) finished: Vec<EpisodeRecord>,
    pub(crate) seen: Vec<ColumnMoments>,
    /// By callbacks, since it was asked for.
    pub(crate) logged: Vec<String>,
    /// Somebody has read the rows.
    pub(crate) read: AtomicBool,
}

impl Delivered {
    pub(crate) fn log(&mut self, logged: String) {
        self.logged.extend(Some(logged).filter(|logged| !logged.is_empty()));
    }
}

impl RemoteRange {
    /// Asks for a rollout, so that all workers are busy before the first is waited for. Where anything has to be put right or
    /// handed over before, [`try_sample`](Self::try_sample) asks.
    pub(crate) fn post(&mut self, rules: &StepRules<'_>, steps: usize) {
        let in_order = self.begun && self.failures.were_put_right() && !self.round.is_due;
        let table = self.tables.opened();
        let has_table = |process: &Process| table.is_none_or(|open| process.has_table(open.id));
        if in_order && self.process_mut().as_ref().is_some_and(has_table) {
            self.statistics = statistics(rules.normalizer);
            let env_steps_before = self.env_steps_counted();
            self.posted = Some(Posted { asked: self.try_post(rules, steps), env_steps_before });
        }
    }

    pub(crate) fn claim(&mut self, layout: &Layout) -> Result<(), Failure> {
        let len = layout.len().ok_or_else(|| Failure::Refused("a rollout of absurd size".to_owned()))?;
        self.memory.grow(len).map_err(|error| Failure::Refused(error.to_string()))
    }

    /// Room for the end rows that are always there, and for some of episodes; more is made when it is needed.
    pub(crate) fn layout_for(&self, steps: usize) -> Layout {
        let rows = steps.max(1) * self.build.num_envs;
        let ends = self.build.num_envs * 2 + rows / 16;
        Layout { rows, ends: ends.max(self.layout.ends), ..self.layout }
    }

    /// Has the process map the open table, if there is one, and tells its number.
    fn hand_over_table(&mut self) -> Result<Option<u64>, Failure> {
        let Some(open) = self.tables.opened() else { return Ok(None) };
        let (tables, patience) = (self.tables.clone(), self.rules.step_patience);
        let Some(process) = self.process_mut() else { return Ok(None) };
        process.take_table(open, &tables.known(), || tables.file(), patience)?;
        Ok(Some(open.id))
    }

    fn try_post(&mut self, rules: &StepRules<'_>, steps: usize) -> Result<(Layout, u64), Failure> {
        let table = self.hand_over_table()?;
        let layout = Layout { obs_elsewhere: table.is_some(), ..self.layout_for(steps) };
        let weights = rules.policy.net.params().values();
        if weights.len() != layout.weights {
            return Err(Failure::Refused(format!(
                "its policy has {} parameters, {} were expected",
                layout.weights,
                weights.len()
            )));
        }
        self.claim(&layout)?;
        let room = layout.weights_mut(&mut self.memory);
        room.ok_or_else(|| Failure::Refused("no room for weights".to_owned()))?.copy_from_slice(weights);
        let (place, explore, version) = (self.place, rules.explore, rules.policy.version);
        let tables = self.tables.known();
        let request = Request::Sample { place, steps, explore, version, layout, table, tables };
        let patience = self.rules.step_patience;
        let process = self.process.get_mut().unwrap_or_else(PoisonError::into_inner);
        let process = process.as_mut().ok_or_else(Failure::no_process)?;
        Ok((layout, process.post(&request, &self.statistics, patience)?))
    }

    /// Waits for the rollout that was asked for, else asks for it now.
    pub(crate) fn try_sample(&mut self, rules: &StepRules<'_>, steps: usize) -> Result<(), Failure> {
        let posted = self.posted.take().map(|posted| posted.asked).transpose()?;
        // Whoever asked for something else meanwhile was given the answer to that, and this one is lost.
        let newest = self.process_mut().as_ref().map(Process::newest_request);
        let mut layout = match posted.filter(|(_, request)| newest == Some(*request)) {
            Some((layout, _)) => layout,
            None => self.try_post(rules, steps)?.0,
        };
        let (explore, version, patience) = (rules.explore, rules.policy.version, self.rules.step_patience);
        let mut reply = self.process_mut().as_mut().ok_or_else(Failure::no_process)?.answer(patience)?;
        if let (Reply::MoreRoom { ends }, _) = reply {
            layout.ends = ends.saturating_add(ends / 4);
            self.claim(&layout)?;
            reply = self.ask(&Request::Deliver { layout }, &[])?;
        }
        self.layout = layout;
        let width = layout.obs_width;
        match reply {
            (Reply::Sampled { ends, steps: place, episodes, finished, logged }, seen) => {
                let seen = unpack_moments(&seen, width).ok_or_else(nonsense)?;
                self.take(ends, episodes, finished, seen).ok_or_else(nonsense)?;
                self.place.steps = place;
                self.delivered.log(logged);
                self.round.sampled(Sampled { steps, explore, version, layout });
                Ok(())
            }
            _ => Err(nonsense()),
        }
    }

    /// Takes a rollout over, after a look at whatever could lead outside of it; `None` where it is not sound.
    fn take(
        &mut self,
        ends: usize,
        episodes: Vec<RunningEpisode>,
        finished: Vec<EpisodeRecord>,
        seen: Vec<ColumnMoments>,
    ) -> Option<()> {
        let (num_envs, first_env) = (self.build.num_envs, self.build.first_env);
        let (rows, columns) = (self.layout.rows, self.layout.read(&self.memory, ends)?);
        let sound = ends <= self.layout.ends
            && episodes.len() == num_envs
            && columns.end_rows.iter().all(|&row| (row as usize) < rows)
            && finished.iter().all(|record| (first_env..first_env + num_envs).contains(&record.env));
        let delivered = &mut self.delivered;
        delivered.terminated.clear();
        delivered.terminated.extend(columns.flags.iter().map(|flags| flags & 1 != 0));
        delivered.truncated.clear();
        delivered.truncated.extend(columns.flags.iter().map(|flags| flags & 2 != 0));
        if delivered.env.len() != rows {
            delivered.env = (0..rows).map(|row| (first_env + row % num_envs) as u32).collect();
            delivered.agent = vec![0; rows];
        }
        delivered.finished.extend(finished);
        delivered.seen.extend(seen);
        delivered.ends = ends;
        *delivered.read.get_mut() = false;
        self.episodes = episodes;
        sound.then_some(())
    }
}

/// A worker that says what makes no sense is as good as dead.
pub(crate) fn nonsense() -> Failure {
    Failure::Died("delivered something that is no rollout of its environments".to_owned())
}
