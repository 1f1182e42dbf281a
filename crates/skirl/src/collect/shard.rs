//! A contiguous range of a run's environments, wherever they are stepped: in this process or in one of their own.

use skirl_env::VectorEnv;
use skirl_math::rng::StreamKey;
use skirl_math::stats::ColumnMoments;

use super::environments::AgentSpaces;
use super::episodes::{EpisodeIds, EpisodeRecord};
use super::normalizer::Normalizer;
use super::vector_runner::{RunnerState, StepRules, VectorRunner};
use crate::callbacks::EpisodeHooks;
use crate::contract::{ModuleRollout, RolloutColumns};
use crate::error::Error;

/// What an [`EnvRunner`](super::EnvRunner) asks of each range of its environments.
///
/// Random streams are counter-based and belong to environments, so who steps a range does not change a byte of what it
/// collects.
pub trait Shard: Send {
    /// Index of the first environment in the run.
    fn first_env(&self) -> usize;

    /// Environments of this range.
    fn num_envs(&self) -> usize;

    /// Where the environments can be reached one by one. Environments of another process take and tell their tasks.
    fn env_mut(&mut self) -> &mut dyn VectorEnv;

    /// Starts the exploration streams anew under `explore`.
    fn restart_exploration(&mut self, explore: StreamKey);

    /// Gives up all running episodes and numbers those that follow; [`begin`](Self::begin) must follow.
    fn number_episodes(&mut self, ids: EpisodeIds);

    /// The first id that no episode so far has.
    fn next_episode_id(&self) -> u64;

    /// Gives up all running episodes; [`begin`](Self::begin) must follow.
    fn restart(&mut self);

    /// Resets the environments of episodes that have not started, each with its own seed.
    fn begin(
        &mut self,
        seeds: StreamKey,
        normalizer: Option<&Normalizer>,
        hooks: Option<EpisodeHooks<'_>>,
    ) -> Result<(), Error>;

    /// Begins with what [`sample`](Self::sample) will be asked for next, where another process does the work.
    fn post(&mut self, _rules: &StepRules<'_>, _steps: usize) {}

    /// Steps every environment `steps` times.
    fn sample(&mut self, rules: &StepRules<'_>, steps: usize) -> Result<(), Error>;

    /// The rows of the last [`sample`](Self::sample).
    fn columns(&self) -> RolloutColumns<'_>;

    /// The rows of the last [`sample`](Self::sample) as a table of their own, where this range holds one; it has them no
    /// more then.
    fn take_table(&mut self) -> Option<ModuleRollout> {
        None
    }

    /// Takes memory for the observations of the next table, where this range makes one that is given away.
    fn reuse(&mut self, _spare: &mut Vec<f32>) {}

    /// Episodes that ended since the last call, by step and then environment.
    fn take_finished(&mut self) -> Vec<EpisodeRecord>;

    /// Observation statistics since the last call, by environment.
    fn take_seen(&mut self) -> Vec<ColumnMoments>;

    /// What callbacks logged in the process of a range since the last call.
    fn take_logged(&mut self) -> Vec<String> {
        Vec::new()
    }

    /// State for exact resume.
    fn save_state(&self) -> RunnerState;

    /// Puts a saved state back. Where the environment's own is missing, [`restart`](Self::restart) and
    /// [`begin`](Self::begin) must follow.
    fn restore_state(&mut self, state: RunnerState) -> Result<(), Error>;

    /// The range itself, where this process steps it.
    fn in_process(&mut self) -> Option<&mut VectorRunner> {
        None
    }

    /// What went wrong and was put right, of a range in a process of its own; such ranges are waited for side by side.
    fn faults(&self) -> Option<ShardFaults> {
        None
    }
}

/// What the environments' processes went through since the run began.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ShardFaults {
    /// Processes in all.
    pub processes: u64,
    /// Processes that are up.
    pub healthy: u64,
    /// Processes that took the place of a failed one.
    pub restarts: u64,
    /// Environment steps that failed processes had made and not delivered; they were made again by others.
    pub env_steps_dropped: u64,
    /// Environments that failed and were reset in their process.
    pub env_restarts: u64,
}

impl std::ops::AddAssign for ShardFaults {
    fn add_assign(&mut self, other: Self) {
        self.processes += other.processes;
        self.healthy += other.healthy;
        self.restarts += other.restarts;
        self.env_steps_dropped += other.env_steps_dropped;
        self.env_restarts += other.env_restarts;
    }
}

/// A range whose process is up and has told the spaces of its environments.
pub trait RemoteShard: Shard {
    /// What its environments look like.
    fn spaces(&self) -> AgentSpaces;
}

impl Shard for VectorRunner {
    fn first_env(&self) -> usize {
        self.first_env()
    }

    fn num_envs(&self) -> usize {
        self.num_envs()
    }

    fn env_mut(&mut self) -> &mut dyn VectorEnv {
        self.env_mut()
    }

    fn restart_exploration(&mut self, explore: StreamKey) {
        self.restart_exploration(explore);
    }

    fn number_episodes(&mut self, ids: EpisodeIds) {
        self.number_episodes(ids);
    }

    fn next_episode_id(&self) -> u64 {
        self.next_episode_id()
    }

    fn restart(&mut self) {
        self.restart();
    }

    fn begin(
        &mut self,
        seeds: StreamKey,
        normalizer: Option<&Normalizer>,
        hooks: Option<EpisodeHooks<'_>>,
    ) -> Result<(), Error> {
        self.begin(seeds, normalizer, hooks)
    }

    fn sample(&mut self, rules: &StepRules<'_>, steps: usize) -> Result<(), Error> {
        self.sample(rules, steps)
    }

    fn in_process(&mut self) -> Option<&mut VectorRunner> {
        Some(self)
    }

    fn columns(&self) -> RolloutColumns<'_> {
        self.table().columns()
    }

    fn take_table(&mut self) -> Option<ModuleRollout> {
        Some(self.take_table())
    }

    fn reuse(&mut self, spare: &mut Vec<f32>) {
        self.reuse(spare);
    }

    fn take_finished(&mut self) -> Vec<EpisodeRecord> {
        self.take_finished()
    }

    fn take_seen(&mut self) -> Vec<ColumnMoments> {
        self.take_seen()
    }

    fn save_state(&self) -> RunnerState {
        self.save_state()
    }

    fn restore_state(&mut self, state: RunnerState) -> Result<(), Error> {
        self.restore_state(state)
    }
}
