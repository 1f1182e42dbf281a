//! The fast path: environments in which one agent decides at every step. Rows form the rectangle `[T, B]`.
//!
//! Observations are written by the environment straight into the table's next block where the space allows it, so a
//! step is: forward, draw, convert, step, and a look at the flags.

use std::ops::Range;

use skirl_env::{Column, Outcomes, VectorEnv};
use skirl_math::rng::StreamKey;
use skirl_nn::Tape;
use skirl_nn::distributions::DistScratch;
use skirl_nn::{Mat, MatMut};

use super::action_codec::ActionCodec;
use super::episodes::{EpisodeIds, EpisodeRecord, RunningEpisode};
use super::normalizer::Normalizer;
use super::observations::{ObservationConnector, SeenObservations, find_non_finite};
use super::rewards::RewardConnector;
use crate::callbacks::{EpisodeHooks, Hook};
use crate::contract::policy::Policy;
use crate::contract::{Links, ModuleRollout, Observations};
use crate::error::Error;

mod blocks;
mod hooks;
mod in_step;
mod outputs;
mod state;
mod values;

use blocks::Blocks;
use outputs::Outputs;

pub use blocks::BlockMemory;
pub use in_step::InStep;
pub use state::RunnerState;
pub use values::value_end_rows;

/// Rows of one forward: small enough that the activations stay in the first-level cache.
pub const FORWARD_ROWS: usize = 64;

/// A contiguous range of a run's environments, stepped together by one thread.
pub struct VectorRunner {
    env: Box<dyn VectorEnv>,
    first_env: usize,
    num_envs: usize,
    /// Exploration stream of each environment.
    keys: Vec<StreamKey>,
    /// Steps taken since the start of the run: the counter of all exploration streams.
    steps: u64,
    observations: ObservationConnector,
    seen: SeenObservations,
    codec: ActionCodec,
    rewards: RewardConnector,
    env_actions: Vec<Column>,
    outcomes: Outcomes,
    episodes: Vec<RunningEpisode>,
    ids: EpisodeIds,
    finished: Vec<EpisodeRecord>,
    tape: Option<Tape>,
    scratch: DistScratch,
    table: ModuleRollout,
    blocks: Blocks,
    /// Memory for rows of several blocks.
    together: Vec<f32>,
    /// The newest observation of one environment before it was normalised, for callbacks.
    raw: Vec<f32>,
}

/// What does not change from step to step.
#[derive(Debug)]
pub struct StepRules<'a> {
    /// The policy that acts.
    pub policy: &'a Policy,
    /// Frozen observation statistics.
    pub normalizer: Option<&'a Normalizer>,
    /// Draw from the distribution, or take its mode.
    pub explore: bool,
    /// Hooks of episodes, where somebody wants them.
    pub hooks: Option<EpisodeHooks<'a>>,
}

impl VectorRunner {
    /// Takes over `env`; environment `i` of it is number `first_env + i` of the run. Call [`begin`](Self::begin) first.
    pub fn new(
        env: Box<dyn VectorEnv>,
        first_env: usize,
        policy: &Policy,
        codec: ActionCodec,
        rewards: RewardConnector,
        explore: StreamKey,
        normalized: bool,
    ) -> Self {
        let num_envs = env.num_envs();
        let observations = ObservationConnector::new(env.observation_space().clone(), num_envs);
        let width = observations.width();
        let links = Links::Rectangular { num_envs };
        Self {
            keys: (0..num_envs).map(|index| explore.index((first_env + index) as u64)).collect(),
            env_actions: vec![codec.column(num_envs)],
            outcomes: Outcomes::new(num_envs),
            episodes: vec![RunningEpisode::default(); num_envs],
            finished: Vec::new(),
            seen: SeenObservations::new(num_envs, width, normalized),
            tape: None,
            scratch: policy.dist.scratch(),
            table: ModuleRollout::new(width, policy.dist.num_inputs(), policy.empty_actions(), links),
            blocks: Blocks::new(num_envs * width),
            together: Vec::new(),
            raw: vec![0.0; width],
            ids: EpisodeIds { first: 0, num_envs },
            steps: 0,
            env,
            first_env,
            num_envs,
            observations,
            codec,
            rewards,
        }
    }

    /// Index of the first environment in the run.
    pub fn first_env(&self) -> usize {
        self.first_env
    }

    /// Environments of this runner.
    pub fn num_envs(&self) -> usize {
        self.num_envs
    }

    /// The environments themselves.
    pub fn env_mut(&mut self) -> &mut dyn VectorEnv {
        &mut *self.env
    }

    /// Starts the exploration streams anew under `explore`: what follows does not depend on what was drawn before.
    pub fn restart_exploration(&mut self, explore: StreamKey) {
        let keys = self.keys.iter_mut().enumerate();
        keys.for_each(|(index, key)| *key = explore.index((self.first_env + index) as u64));
        self.steps = 0;
    }

    /// Goes on at another place of the run: its exploration streams, their counter, and the numbers of episodes. For a runner
    /// that another process directs.
    pub fn go_on_at(&mut self, explore: StreamKey, steps: u64, ids: EpisodeIds) {
        self.restart_exploration(explore);
        self.steps = steps;
        self.ids = ids;
    }

    /// Steps taken: the counter of the exploration streams.
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// Running episode of each environment.
    pub fn episodes(&self) -> &[RunningEpisode] {
        &self.episodes
    }

    /// Replaces what is known of the running episodes; as many as there are environments.
    pub fn set_episodes(&mut self, episodes: Vec<RunningEpisode>) {
        if episodes.len() == self.num_envs {
            self.episodes = episodes;
        }
    }

    /// Gives up all running episodes and numbers those that follow; [`begin`](Self::begin) must follow.
    pub fn number_episodes(&mut self, ids: EpisodeIds) {
        self.ids = ids;
        self.episodes.iter_mut().for_each(RunningEpisode::number_anew);
    }

    /// Id of episode `index` of environment `env` of this range.
    pub fn episode_id(&self, env: usize, index: u64) -> u64 {
        self.ids.of(self.first_env + env, index)
    }

    /// The first id that no episode so far has.
    pub fn next_episode_id(&self) -> u64 {
        let played = self.episodes.iter().map(|episode| episode.index + 1).max();
        self.ids.of(0, played.unwrap_or(0))
    }

    /// Gives up all running episodes; [`begin`](Self::begin) must follow.
    pub fn restart(&mut self) {
        self.episodes.iter_mut().for_each(RunningEpisode::restart);
    }

    /// Resets the environments of episodes that have not started, each with its own seed.
    pub fn begin(
        &mut self,
        seeds: StreamKey,
        normalizer: Option<&Normalizer>,
        hooks: Option<EpisodeHooks<'_>>,
    ) -> Result<(), Error> {
        let due = (0..self.num_envs).filter(|&index| !self.episodes[index].started);
        let due: Vec<(usize, u64)> =
            due.map(|index| (index, seeds.index((self.first_env + index) as u64).0 >> 33)).collect();
        self.env.will_reset(&due).map_err(|source| self.locate(source))?;
        for (index, seed) in due {
            self.call_hook(hooks, Hook::EpisodeCreated, index, None)?;
            let (global, env) = (self.first_env + index, &mut self.env);
            self.observations
                .fill_row(index, &mut self.blocks.waiting, |columns| env.reset(index, Some(seed), columns))
                .map_err(|source| Error::env(global, 0, source))?;
            let width = self.table.obs_width;
            let input = &mut self.blocks.waiting[index * width..][..width];
            if let Some((_, element, value)) = find_non_finite(input, width) {
                return Err(Error::non_finite_observation(global, 0, element, value));
            }
            self.raw.copy_from_slice(input);
            if let Some(normalizer) = normalizer {
                normalizer.apply(input);
            }
            self.call_hook(hooks, Hook::EpisodeStart, index, None)?;
            self.episodes[index].started = hooks.is_some();
        }
        Ok(())
    }

    /// Steps every environment `steps` times. The table is valid until the next call.
    pub fn sample(&mut self, rules: &StepRules<'_>, steps: usize) -> Result<(), Error> {
        self.open(steps)?;
        for t in 0..steps {
            self.act(rules, t)?;
            self.step_envs(rules, t)?;
        }
        self.close(rules, steps)
    }

    /// Writes the observations of the rollouts that follow into `memory` instead of the table, which has none then; `None` for
    /// the table again. Gives back what was lent before.
    pub fn write_to(&mut self, memory: Option<Box<dyn BlockMemory>>) -> Option<Box<dyn BlockMemory>> {
        if memory.is_some() {
            self.table.obs = Observations::default();
        }
        self.blocks.lend(memory)
    }

    /// A table for `steps` blocks, with the first one's observations.
    fn open(&mut self, steps: usize) -> Result<(), Error> {
        let rows = steps * self.num_envs;
        let room = self.blocks.room();
        if let Some(room) = room.filter(|&room| room < steps) {
            return Err(Error::Internal(format!("memory for {room} of {steps} steps")));
        }
        self.table.resize(rows, if room.is_some() { 0 } else { rows });
        self.table.links = Links::Rectangular { num_envs: self.num_envs };
        self.table.ends.clear();
        self.episodes.iter_mut().for_each(|episode| episode.started = true);
        self.blocks.open(steps, &mut self.table.obs);
        Ok(())
    }

    /// Observations of block `t`, `[num_envs, obs_width]`.
    fn block(&self, t: usize) -> &[f32] {
        self.blocks.at(t, &self.table.obs)
    }

    /// Forward and draw for block `t`.
    fn act(&mut self, rules: &StepRules<'_>, t: usize) -> Result<(), Error> {
        let mut tape = self.take_tape(rules);
        let width = self.table.obs_width;
        for first in (0..self.num_envs).step_by(FORWARD_ROWS) {
            let envs = first..self.num_envs.min(first + FORWARD_ROWS);
            let obs = &self.block(t)[envs.start * width..envs.end * width];
            let outputs = values::act(rules.policy, Mat::new(obs, envs.len(), width), &mut tape)?;
            self.draw(rules, t, envs, outputs)?;
        }
        self.tape = Some(tape);
        Ok(())
    }

    fn take_tape(&mut self, rules: &StepRules<'_>) -> Tape {
        self.tape.take().unwrap_or_else(|| values::tape(rules.policy, self.num_envs))
    }

    /// Draws the actions of some environments for block `t`, and keeps what they were drawn from.
    fn draw(
        &mut self,
        rules: &StepRules<'_>,
        t: usize,
        envs: Range<usize>,
        outputs: Outputs<'_>,
    ) -> Result<(), Error> {
        let Self { table, scratch, keys, .. } = self;
        let (start, end) = (t * self.num_envs + envs.start, t * self.num_envs + envs.end);
        let explore = rules.explore.then_some((&keys[envs], self.steps));
        let logp = &mut table.logp[start..end];
        rules.policy.choose(outputs.dist_inputs, explore, &mut table.actions, start..end, logp, scratch)?;
        let width = table.dist_width;
        copy_rows(outputs.dist_inputs, &mut table.dist_inputs[start * width..end * width]);
        if let Some(values) = outputs.values {
            copy_rows(values, &mut table.values[start..end]);
        }
        Ok(())
    }

    /// Steps the environments with block `t`'s actions and fills block `t + 1`'s observations.
    fn step_envs(&mut self, rules: &StepRules<'_>, t: usize) -> Result<(), Error> {
        let start = t * self.num_envs;
        self.codec.encode(&self.table.actions, start, self.num_envs, &mut self.env_actions[0]);
        self.steps += 1;
        let (env, outcomes, actions) = (&mut self.env, &mut self.outcomes, &self.env_actions);
        let block = self.blocks.at_mut(t + 1, &mut self.table.obs);
        self.observations
            .fill(block, |columns| env.step(&[actions[0].as_ref()], columns, outcomes))
            .map_err(|source| self.locate(source))?;
        self.check_observations(t + 1)?;
        self.check_rewards()?;
        self.record_outcomes(rules, t)
    }

    fn record_outcomes(&mut self, rules: &StepRules<'_>, t: usize) -> Result<(), Error> {
        let (start, width) = (t * self.num_envs, self.table.obs_width);
        for index in 0..self.num_envs {
            let (reward, row) = (self.outcomes.rewards[index], start + index);
            self.table.rewards[row] = finite(self.rewards.apply(reward), reward)
                .map_err(|value| Error::non_finite_reward(self.first_env + index, self.steps, value))?;
            self.table.terminated[row] = self.outcomes.terminated[index];
            self.table.truncated[row] = self.outcomes.truncated[index];
            self.episodes[index].step(reward);
            let block = self.blocks.at_mut(t + 1, &mut self.table.obs);
            let input = &mut block[index * width..][..width];
            if rules.hooks.is_some() {
                self.raw.copy_from_slice(input);
            }
            self.seen.observe(rules.normalizer, index, input);
            if rules.hooks.is_some() {
                self.call_step_hooks(rules, index)?;
            }
            if self.outcomes.terminated[index] || self.outcomes.truncated[index] {
                self.end_episode(rules, t, index)?;
            }
        }
        Ok(())
    }

    /// Keeps the final observation as an end row and resets the environment.
    fn end_episode(&mut self, rules: &StepRules<'_>, t: usize, index: usize) -> Result<(), Error> {
        let (width, row) = (self.table.obs_width, t * self.num_envs + index);
        let final_obs = &self.blocks.at(t + 1, &self.table.obs)[index * width..][..width];
        self.table.ends.push(row as u32, final_obs);
        self.finished.push(self.episodes[index].finish(self.first_env + index, self.steps, self.ids));
        self.call_hook(rules.hooks, Hook::EpisodeCreated, index, None)?;
        let block = self.blocks.at_mut(t + 1, &mut self.table.obs);
        let env = &mut self.env;
        self.observations
            .fill_row(index, block, |columns| env.reset(index, None, columns))
            .map_err(|source| Error::env(self.first_env + index, self.steps, source))?;
        let input = &mut block[index * width..][..width];
        if let Some((_, element, value)) = find_non_finite(input, width) {
            return Err(Error::non_finite_observation(self.first_env + index, self.steps, element, value));
        }
        if rules.hooks.is_some() {
            self.raw.copy_from_slice(input);
        }
        self.seen.observe(rules.normalizer, index, input);
        self.call_hook(rules.hooks, Hook::EpisodeStart, index, None)
    }

    /// Cuts the open chains at the last block, and values what is not valued yet: every end row that bootstraps at least.
    fn close(&mut self, rules: &StepRules<'_>, steps: usize) -> Result<(), Error> {
        let width = self.table.obs_width;
        for index in 0..self.num_envs {
            let row = (steps - 1) * self.num_envs + index;
            if !self.table.terminated[row] && !self.table.truncated[row] {
                self.table.ends.push(row as u32, &self.blocks.waiting[index * width..][..width]);
            }
        }
        self.table.ends.sort(width);
        for (row, env) in self.table.env.iter_mut().enumerate() {
            *env = (self.first_env + row % self.num_envs) as u32;
        }
        self.number_rows(steps);
        let mut tape = self.take_tape(rules);
        let rows = (&self.blocks, steps);
        values::value_rows(rules.policy, &mut self.table, rows, &mut tape, &mut self.together)?;
        value_end_rows(rules.policy, &mut self.table, &mut tape)?;
        self.tape = Some(tape);
        Ok(())
    }

    /// Writes the episode of each row, going back from the episodes that run now.
    fn number_rows(&mut self, steps: usize) {
        let Self { table, episodes, ids, first_env, num_envs, .. } = self;
        for (env, episode) in episodes.iter().enumerate() {
            let mut id = ids.of(*first_env + env, episode.index);
            for row in (0..steps).rev().map(|t| t * *num_envs + env) {
                if table.terminated[row] || table.truncated[row] {
                    id -= ids.num_envs as u64;
                }
                table.episode[row] = id;
            }
        }
    }

    fn check_observations(&self, block: usize) -> Result<(), Error> {
        let width = self.table.obs_width;
        match find_non_finite(self.block(block), width) {
            Some((row, element, value)) => {
                Err(Error::non_finite_observation(self.first_env + row, self.steps, element, value))
            }
            None => Ok(()),
        }
    }

    fn check_rewards(&self) -> Result<(), Error> {
        if self.outcomes.rewards.iter().sum::<f64>().is_finite() {
            return Ok(());
        }
        match self.outcomes.rewards.iter().position(|reward| !reward.is_finite()) {
            Some(index) => {
                let value = self.outcomes.rewards[index];
                Err(Error::non_finite_reward(self.first_env + index, self.steps, value))
            }
            None => Ok(()),
        }
    }

    fn locate(&self, source: skirl_env::EnvError) -> Error {
        Error::env(
            self.first_env + source.place().and_then(|place| place.env).unwrap_or(0),
            self.steps,
            source,
        )
    }

    /// The rows of the last [`sample`](Self::sample).
    pub fn table(&self) -> &ModuleRollout {
        &self.table
    }

    /// Takes memory for the observations of the next table, unless there is some already.
    pub fn reuse(&mut self, spare: &mut Vec<f32>) {
        if self.table.obs.capacity() == 0 {
            self.table.obs = std::mem::take(spare).into();
        }
    }

    /// Takes the table out, leaving an empty one of the same widths.
    pub fn take_table(&mut self) -> ModuleRollout {
        let links = Links::Rectangular { num_envs: self.num_envs };
        let empty = ModuleRollout::new(
            self.table.obs_width,
            self.table.dist_width,
            self.table.actions.empty(),
            links,
        );
        std::mem::replace(&mut self.table, empty)
    }

    /// Episodes that ended since the last call, by step and then environment.
    pub fn take_finished(&mut self) -> Vec<EpisodeRecord> {
        std::mem::take(&mut self.finished)
    }

    /// Observation statistics since the last call, by environment.
    pub fn take_seen(&mut self) -> Vec<skirl_math::stats::ColumnMoments> {
        self.seen.take()
    }
}

/// A reward that is trained on; the raw one as an error if `f32` cannot hold it.
pub fn finite(applied: f32, raw: f64) -> Result<f32, f64> {
    if applied.is_finite() { Ok(applied) } else { Err(raw) }
}

/// Copies a strided matrix into a dense one.
pub fn copy_rows(from: Mat<'_>, to: &mut [f32]) {
    MatMut::new(to, from.num_rows(), from.num_cols()).copy_from(from);
}

impl std::fmt::Debug for VectorRunner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("VectorRunner")
            .field("first_env", &self.first_env)
            .field("num_envs", &self.num_envs)
            .field("steps", &self.steps)
            .finish_non_exhaustive()
    }
}
