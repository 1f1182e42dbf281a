//! A range of environments in a process of its own, as the engine sees it.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::sync::{Mutex, PoisonError};

use serde_json::Value;
use skirl::Error;
use skirl::callbacks::EpisodeHooks;
use skirl::collect::episodes::{EpisodeIds, EpisodeRecord, RunningEpisode};
use skirl::collect::normalizer::Normalizer;
use skirl::collect::vector_runner::{RunnerState, StepRules};
use skirl::collect::{AgentSpaces, RemoteShard, Shard, ShardFaults};
use skirl::contract::RolloutColumns;
use skirl_env::{ColumnMut, ColumnRef, EnvError, EnvState, Outcomes, Space, VectorEnv};
use skirl_math::rng::StreamKey;
use skirl_math::stats::ColumnMoments;

use crate::launch::{Launch, Rules, as_error};
use crate::layout::Layout;
use crate::memory::SharedMemory;
use crate::message::{Build, ColumnHeader, Reply, Request, RunPlace, pack_moments, pack_state, unpack_state};
use crate::process::{Failure, Process};
use crate::recovery::{Failures, tag_of};
use crate::rollout::{Delivered, Posted, nonsense};
use crate::round::Round;
use crate::tables::Tables;

/// A range of environments and the process that steps them. What the run needs to know of it is kept here, so that another
/// process can go on.
#[derive(Debug)]
pub struct RemoteRange {
    pub(crate) launch: Launch,
    pub(crate) rules: Rules,
    pub(crate) build: Build,
    pub(crate) spaces: AgentSpaces,
    pub(crate) memory: SharedMemory,
    /// Where the rows' observations go.
    pub(crate) tables: Tables,
    /// `None` while there is none. Behind a lock as saving the state, which changes nothing here, talks to it.
    pub(crate) process: Mutex<Option<Process>>,
    /// The environments were reset, or restored.
    pub(crate) begun: bool,
    pub(crate) place: RunPlace,
    pub(crate) episodes: Vec<RunningEpisode>,
    pub(crate) seeds: StreamKey,
    /// Statistics of observations in use.
    pub(crate) statistics: Vec<u8>,
    pub(crate) tasks: BTreeMap<usize, Value>,
    /// Sizes of the last rollout.
    pub(crate) layout: Layout,
    pub(crate) delivered: Delivered,
    pub(crate) faults: ShardFaults,
    pub(crate) failures: Failures,
    pub(crate) round: Round,
    pub(crate) posted: Option<Posted>,
    /// Callbacks watch the episodes.
    pub(crate) call_hooks: bool,
}

impl RemoteRange {
    pub(crate) fn tag(&self) -> String {
        tag_of(&self.build)
    }

    pub(crate) fn process_mut(&mut self) -> &mut Option<Process> {
        self.process.get_mut().unwrap_or_else(PoisonError::into_inner)
    }

    /// Steps of environments that the processes of this range made.
    pub(crate) fn env_steps_counted(&mut self) -> u64 {
        crate::memory::Progress::of(self.memory.file()).map_or(0, |progress| progress.env_steps())
    }

    pub(crate) fn ask(&self, request: &Request, bytes: &[u8]) -> Result<(Reply, Vec<u8>), Failure> {
        let mut process = self.process.lock().unwrap_or_else(PoisonError::into_inner);
        match &mut *process {
            Some(process) => process.ask(request, bytes, self.rules.step_patience),
            None => Err(Failure::no_process()),
        }
    }

    /// Index in the run of environment `env` of this range.
    pub fn env_index(&self, env: usize) -> usize {
        self.build.first_env + env
    }

    fn error(&self, failure: &Failure) -> Error {
        as_error(&self.build, failure)
    }

    /// Whether no environment is to be reset. Episodes that were reset without hooks are reset once more for them.
    fn has_begun(&self) -> bool {
        self.begun && (!self.call_hooks || self.episodes.iter().all(|episode| episode.started))
    }

    /// Resets the environments of episodes that have not started.
    pub(crate) fn try_begin(&mut self, seeds: StreamKey) -> Result<(), Failure> {
        let (place, episodes) = (self.place, self.episodes.clone());
        if self.build.in_evaluation {
            self.round.begin(place, seeds, &episodes);
        }
        let request = Request::Begin { place, seeds: seeds.0, episodes, call_hooks: self.call_hooks };
        match self.ask(&request, &self.statistics)?.0 {
            Reply::Begun { episodes, logged } if episodes.len() == self.build.num_envs => {
                self.episodes = episodes;
                self.delivered.log(logged);
            }
            _ => return Err(nonsense()),
        }
        (self.begun, self.round.is_begun) = (true, true);
        Ok(())
    }

    fn try_restore(
        &mut self,
        steps: u64,
        episodes: &[RunningEpisode],
        columns: &[ColumnHeader],
        bytes: &[u8],
    ) -> Result<(), Failure> {
        self.place.steps = steps;
        self.episodes = episodes.to_vec();
        let (place, episodes, columns) = (self.place, episodes.to_vec(), columns.to_vec());
        self.ask(&Request::RestoreState { place, episodes, columns }, bytes).map(drop)
    }

    /// Claims memory for a rollout of `steps` steps whose observations go into a table.
    ///
    /// # Errors
    /// There is not that much.
    pub fn make_room(&mut self, steps: usize) -> Result<(), Error> {
        let layout = Layout { obs_elsewhere: true, ..self.layout_for(steps) };
        self.claim(&layout).map_err(|failure| self.error(&failure))
    }

    /// Calls a function, in the form that the worker's host takes, with environment `env` of this range. A task that it sets is
    /// set again where the process is replaced.
    ///
    /// # Errors
    /// What it raised, in words; a worker that died.
    pub fn call(&mut self, env: usize, function: &[u8]) -> Result<Value, String> {
        match self.ask(&Request::Call { env }, function) {
            Ok((Reply::Returned(value, task), _)) => {
                self.tasks.extend(task.map(|task| (env, task)));
                Ok(value)
            }
            Ok(_) => Err("the environment's process gave no answer".to_owned()),
            Err(failure @ (Failure::Died(_) | Failure::Hung(_))) => Err(format!(
                "{}; the next training iteration replaces the process, if the config lets it: call the function again after that",
                failure.message()
            )),
            Err(failure) => Err(failure.message().to_owned()),
        }
    }
}

impl RemoteShard for RemoteRange {
    fn spaces(&self) -> AgentSpaces {
        self.spaces.clone()
    }
}

impl Shard for RemoteRange {
    fn first_env(&self) -> usize {
        self.build.first_env
    }

    fn num_envs(&self) -> usize {
        self.build.num_envs
    }

    fn env_mut(&mut self) -> &mut dyn VectorEnv {
        self
    }

    fn restart_exploration(&mut self, explore: StreamKey) {
        (self.place.explore, self.place.steps) = (explore.0, 0);
    }

    fn number_episodes(&mut self, ids: EpisodeIds) {
        (self.place.first_episode, self.place.num_envs) = (ids.first, ids.num_envs);
        self.episodes.iter_mut().for_each(RunningEpisode::number_anew);
        self.begun = false;
    }

    fn next_episode_id(&self) -> u64 {
        let played = self.episodes.iter().map(|episode| episode.index + 1).max();
        self.place.ids().of(0, played.unwrap_or(0))
    }

    fn restart(&mut self) {
        if !self.delivered.terminated.is_empty() && !*self.delivered.read.get_mut() {
            // A rollout that nobody wanted, as another range failed.
            self.faults.env_steps_dropped += self.delivered.terminated.len() as u64;
            *self.delivered.read.get_mut() = true;
        }
        self.episodes.iter_mut().for_each(RunningEpisode::restart);
        self.begun = false;
    }

    fn begin(
        &mut self,
        seeds: StreamKey,
        normalizer: Option<&Normalizer>,
        hooks: Option<EpisodeHooks<'_>>,
    ) -> Result<(), Error> {
        self.seeds = seeds;
        self.statistics = statistics(normalizer);
        self.call_hooks = hooks.is_some();
        self.insist(|range| if range.has_begun() { Ok(()) } else { range.try_begin(seeds) })
    }

    fn post(&mut self, rules: &StepRules<'_>, steps: usize) {
        RemoteRange::post(self, rules, steps);
    }

    fn sample(&mut self, rules: &StepRules<'_>, steps: usize) -> Result<(), Error> {
        self.statistics = statistics(rules.normalizer);
        self.insist(|range| range.try_sample(rules, steps))
    }

    fn columns(&self) -> RolloutColumns<'_> {
        let (layout, delivered) = (&self.layout, &self.delivered);
        delivered.read.store(true, Ordering::Relaxed);
        let rows = delivered.terminated.len();
        // The memory was large enough when the rollout was taken over.
        let whole = Layout { rows, ..*layout };
        let columns = whole.read(&self.memory, delivered.ends);
        // While the next rollout is under way, the worker writes there.
        let Some(columns) = columns.filter(|_| self.posted.is_none()) else { return no_rows(layout) };
        RolloutColumns {
            obs_width: layout.obs_width,
            dist_width: layout.dist_width,
            rows,
            obs: columns.obs,
            actions: columns.actions,
            logp: columns.logp,
            values: columns.values,
            dist_inputs: columns.dist_inputs,
            rewards: columns.rewards,
            terminated: &delivered.terminated,
            truncated: &delivered.truncated,
            env: &delivered.env,
            agent: &delivered.agent,
            episode: columns.episode,
            end_rows: columns.end_rows,
            end_obs: columns.end_obs,
            end_values: columns.end_values,
        }
    }

    fn take_finished(&mut self) -> Vec<EpisodeRecord> {
        std::mem::take(&mut self.delivered.finished)
    }

    fn take_seen(&mut self) -> Vec<ColumnMoments> {
        std::mem::take(&mut self.delivered.seen)
    }

    fn take_logged(&mut self) -> Vec<String> {
        std::mem::take(&mut self.delivered.logged)
    }

    fn save_state(&self) -> RunnerState {
        let mut state = RunnerState {
            steps: self.place.steps,
            episodes: self.episodes.clone(),
            current: vec![0.0; self.build.num_envs * self.layout.obs_width],
            ..RunnerState::default()
        };
        // A process that cannot be asked is noticed at the next rollout; its environments have no state any more.
        if let Ok((Reply::State { saved, columns, episodes, .. }, bytes)) = self.ask(&Request::SaveState, &[])
            && episodes.len() == state.episodes.len()
            && let Some((env, current)) = unpack_state(&columns, &bytes)
            && current.len() == state.current.len()
        {
            (state.env, state.env_saved, state.current) = (saved.then_some(env), saved, current);
            // As they are here, with what callbacks keep with them there.
            for (episode, there) in state.episodes.iter_mut().zip(episodes) {
                episode.user_data = there.user_data;
            }
        }
        state
    }

    fn restore_state(&mut self, state: RunnerState) -> Result<(), Error> {
        (self.place.steps, self.episodes) = (state.steps, state.episodes.clone());
        let Some(env) = &state.env else {
            self.begun = false;
            return Ok(());
        };
        let (columns, bytes) = pack_state(Some(env), &state.current);
        self.insist(|range| range.try_restore(state.steps, &state.episodes, &columns, &bytes))?;
        self.begun = true;
        Ok(())
    }

    fn faults(&self) -> Option<ShardFaults> {
        Some(self.faults)
    }
}

pub(crate) fn statistics(normalizer: Option<&Normalizer>) -> Vec<u8> {
    pack_moments(normalizer.map(Normalizer::moments))
}

fn no_rows(layout: &Layout) -> RolloutColumns<'static> {
    use skirl_nn::distributions::ActionsRef;
    let width = layout.action_width;
    let actions = match layout.discrete {
        true => ActionsRef::Discrete { data: &[], width },
        false => ActionsRef::Continuous { data: &[], width },
    };
    RolloutColumns {
        obs_width: layout.obs_width,
        dist_width: layout.dist_width,
        rows: 0,
        obs: &[],
        actions,
        logp: &[],
        values: &[],
        dist_inputs: &[],
        rewards: &[],
        terminated: &[],
        truncated: &[],
        env: &[],
        agent: &[],
        episode: &[],
        end_rows: &[],
        end_obs: &[],
        end_values: &[],
    }
}

/// Their tasks can be reached; all else is their process's.
impl VectorEnv for RemoteRange {
    fn num_envs(&self) -> usize {
        self.build.num_envs
    }

    fn observation_space(&self) -> &Space {
        &self.spaces.observation
    }

    fn action_space(&self) -> &Space {
        &self.spaces.action
    }

    fn reset(&mut self, _: usize, _: Option<u64>, _: &mut [ColumnMut<'_>]) -> Result<(), EnvError> {
        Err(elsewhere("reset"))
    }

    fn step(
        &mut self,
        _: &[ColumnRef<'_>],
        _: &mut [ColumnMut<'_>],
        _: &mut Outcomes,
    ) -> Result<(), EnvError> {
        Err(elsewhere("stepped"))
    }

    fn save_state(&self) -> Option<EnvState> {
        None
    }

    fn restore_state(&mut self, _: &EnvState) -> Result<(), EnvError> {
        Err(elsewhere("restored"))
    }

    fn set_task(&mut self, env: usize, task: &Value) -> Result<(), EnvError> {
        // A process that is yet to take the place of a lost one is given all tasks when it starts.
        if self.process_mut().is_some() {
            let request = Request::SetTask { env, task: task.clone() };
            self.ask(&request, &[]).map_err(|failure| EnvError::raised(failure.message()))?;
        }
        self.tasks.insert(env, task.clone());
        Ok(())
    }

    fn get_task(&mut self, env: usize) -> Result<Value, EnvError> {
        match self.ask(&Request::GetTask { env }, &[]) {
            Ok((Reply::Task(task), _)) => Ok(task),
            Ok(_) => Err(EnvError::raised("the environment's process gave no task")),
            Err(failure) => Err(EnvError::raised(failure.message())),
        }
    }
}

fn elsewhere(what: &str) -> EnvError {
    EnvError::raised(format!(
        "environments in a process of their own are {what} there, by their runner; expected num_env_runners = 0 for this"
    ))
}
