//! The environment runner: one face for both ways of collecting, usable alone (`EnvRunner::sample`).

use std::collections::BTreeMap;
use std::sync::Arc;

use skirl_env::{EnvError, LiveEnv, Space};
use skirl_math::rng::StreamKey;
use skirl_math::stats::ColumnMoments;

use super::action_codec::ActionCodec;
use super::agent_runner::{AgentRules, AgentRunner};
use super::environments::Environments;
use super::episodes::{EpisodeIds, EpisodeRecord};
use super::live::{TaskRecord, Tasks, Visits};
use super::normalizer::Normalizer;
use super::runner_options::RunnerOptions;
use super::runner_state::EnvRunnerState;
use super::shard::ShardFaults;
use super::shared_table::SharedTable;
use super::vector_runner::{InStep, StepRules};
use crate::callbacks::HookSet;
use crate::contract::{DEFAULT_MODULE_ID, ModuleId, Policies, Rollout};
use crate::error::Error;
use crate::publish::WeightBoard;
use crate::workers::{Gate, Workers};
use hooks::episode_hooks;
use places::{Place, at_once, join_shards, sample_in_step, side_by_side, vector_shards};
use restarts::Restarts;

mod hooks;
mod places;
mod restarts;
mod succession;

/// Steps environments with the newest published policy.
pub struct EnvRunner {
    kind: Kind,
    policies: Policies,
    normalizers: BTreeMap<ModuleId, Normalizer>,
    options: RunnerOptions,
    workers: Arc<Workers>,
    gate: Gate,
    /// Serves where one thread steps several ranges.
    in_step: InStep,
    /// Statistics go on being gathered; off in evaluation, where they are copied from training.
    update_statistics: bool,
    /// A rollout failed, and so did the reset after it.
    needs_reset: bool,
    /// The last task of each environment that was given one through [`foreach_env`](Self::foreach_env).
    tasks: TaskRecord,
    /// Seeds of episodes that have not started.
    seeds: StreamKey,
    /// Ids of one environment's agents.
    agents: Vec<String>,
    /// Memory for the observations of the next table.
    spare: Vec<f32>,
    /// Where ranges in processes of their own leave theirs.
    table: Option<Box<dyn SharedTable>>,
    /// Number of the first episode.
    first_episode: u64,
    restarts: Restarts,
}

enum Kind {
    Vector(Vec<Place>),
    Agents(Box<AgentRunner>),
}

impl EnvRunner {
    /// Takes over the environments, tells callbacks of them, and resets them.
    pub fn new(
        environments: Environments,
        policies: Policies,
        options: RunnerOptions,
        workers: Arc<Workers>,
    ) -> Result<Self, Error> {
        let explore = options.seed.child("explore");
        let agents = environments.spaces().into_iter().map(|spaces| spaces.agent).collect();
        let normalizers = normalizers(&policies, options.observation_clip);
        let mut table = None;
        let kind = match environments {
            Environments::Single(shards) => {
                Kind::Vector(vector_shards(shards, &policies, &options, explore)?)
            }
            Environments::Remote(remote) => {
                table = Some(remote.table);
                Kind::Vector(remote.shards.into_iter().map(|shard| Place::new(shard)).collect())
            }
            Environments::Multi(envs) => {
                let module_of = |_: usize, agent: &str| Ok((options.mapping)(agent));
                let codec_of = |space: &Space| ActionCodec::new(space, options.actions);
                let normalized = options.observation_clip.is_some();
                Kind::Agents(Box::new(AgentRunner::new(
                    envs,
                    &policies,
                    &module_of,
                    &codec_of,
                    options.rewards,
                    explore,
                    normalized,
                )?))
            }
        };
        let mut runner = Self {
            kind,
            policies,
            normalizers,
            workers,
            gate: Gate::default(),
            in_step: InStep::default(),
            update_statistics: true,
            needs_reset: false,
            tasks: TaskRecord::default(),
            seeds: options.seed.child("env"),
            options,
            agents,
            spare: Vec::new(),
            table,
            first_episode: 0,
            restarts: Restarts::default(),
        };
        runner.number_episodes(0);
        runner.announce_environments()?;
        runner.restart(runner.options.seed);
        runner.begin_episodes(false)?;
        Ok(runner)
    }

    /// The first id that no episode so far has.
    pub fn next_episode_id(&self) -> u64 {
        match &self.kind {
            Kind::Vector(shards) => {
                shards.iter().map(|place| place.shard.next_episode_id()).max().unwrap_or_default()
            }
            Kind::Agents(runner) => runner.next_episode_id(),
        }
    }

    /// Gives up what runs and numbers the episodes that follow from `first` on; a reset must follow.
    pub fn number_episodes(&mut self, first: u64) {
        let ids = EpisodeIds { first, num_envs: self.num_envs() };
        self.first_episode = first;
        match &mut self.kind {
            Kind::Vector(shards) => shards.iter_mut().for_each(|place| place.shard.number_episodes(ids)),
            Kind::Agents(runner) => runner.number_episodes(ids),
        }
    }

    /// Environments in all.
    pub fn num_envs(&self) -> usize {
        match &self.kind {
            Kind::Vector(shards) => shards.iter().map(|place| place.shard.num_envs()).sum(),
            Kind::Agents(runner) => runner.num_envs(),
        }
    }

    /// What the processes of the environments went through, where they have some.
    pub fn faults(&self) -> Option<ShardFaults> {
        let Kind::Vector(shards) = &self.kind else { return None };
        let mut all = ShardFaults::default();
        let each = shards.iter().map(|place| place.shard.faults());
        each.map(|faults| faults.map(|faults| all += faults)).collect::<Option<()>>().map(|()| all)
    }

    /// How often each process of the environments was replaced, in their order; empty where this process steps them.
    pub fn restarts(&self) -> Vec<u64> {
        let Kind::Vector(shards) = &self.kind else { return Vec::new() };
        shards.iter().filter_map(|place| place.shard.faults().map(|faults| faults.restarts)).collect()
    }

    /// The policies that act here.
    pub fn policies(&self) -> &Policies {
        &self.policies
    }

    /// Acts with these policies from now on.
    pub fn set_policies(&mut self, policies: Policies) {
        self.policies = policies;
    }

    /// Draw actions (`true`) or take the most likely ones from the next call of [`sample`](Self::sample) on.
    pub fn set_explore(&mut self, explore: bool) {
        self.options.explore = explore;
    }

    /// Keeps the observation statistics as they are from now on.
    pub fn freeze_statistics(&mut self) {
        self.update_statistics = false;
    }

    /// Resets every environment with its seed under the runner's own root.
    pub fn reset(&mut self) -> Result<(), Error> {
        self.reset_with(self.options.seed)
    }

    /// Resets every environment with its seed, and the exploration streams, under another root.
    pub fn reset_with(&mut self, root: StreamKey) -> Result<(), Error> {
        self.restart(root);
        self.begin_episodes(true)
    }

    /// Gives up what runs; what follows draws from streams under `root`.
    fn restart(&mut self, root: StreamKey) {
        let explore = root.child("explore");
        self.seeds = root.child("env");
        match &mut self.kind {
            Kind::Vector(shards) => shards.iter_mut().for_each(|place| {
                place.shard.restart_exploration(explore);
                place.shard.restart();
            }),
            Kind::Agents(runner) => {
                runner.restart_exploration(explore);
                runner.restart();
            }
        }
    }

    /// Draws from streams under another root from now on; what runs goes on.
    pub fn set_root(&mut self, root: StreamKey) {
        self.options.seed = root;
        self.seeds = root.child("env");
        let explore = root.child("explore");
        match &mut self.kind {
            Kind::Vector(shards) => {
                shards.iter_mut().for_each(|place| place.shard.restart_exploration(explore));
            }
            Kind::Agents(runner) => runner.restart_exploration(explore),
        }
    }

    /// Takes memory for the observations of the next rollout. What is in it does not matter.
    pub fn reuse(&mut self, spent: Vec<f32>) {
        self.spare = spent;
    }

    /// Takes the newest weights, if they are newer than the ones here.
    pub fn sync(&mut self, board: &WeightBoard) -> Result<(), Error> {
        board.update(&mut self.policies)
    }

    /// Steps every environment `steps` times (at least 1).
    ///
    /// After an error nothing of the rollout is left: all environments are reset, and the next call starts from there.
    pub fn sample(&mut self, steps: usize) -> Result<Rollout, Error> {
        self.sample_with(|runner| runner.collect(steps))
    }

    /// As [`sample`](Self::sample), of a rollout that is made of any number of [`collect`](Self::collect)s.
    pub(super) fn sample_with(
        &mut self,
        make: impl FnOnce(&mut Self) -> Result<Rollout, Error>,
    ) -> Result<Rollout, Error> {
        if self.needs_reset {
            self.reset()?;
        }
        let before = self.env_steps_made();
        let outcome = make(self).and_then(|rollout| self.show(rollout));
        outcome.map_err(|error| self.give_up(error, before))
    }

    /// As [`sample`](Self::sample), drawing actions (`Some(true)`) or taking the most likely ones (`Some(false)`) in this call
    /// only. Neither changes what later calls draw.
    pub fn sample_explore(&mut self, steps: usize, explore: Option<bool>) -> Result<Rollout, Error> {
        let configured = self.options.explore;
        self.options.explore = explore.unwrap_or(configured);
        let outcome = self.sample(steps);
        self.options.explore = configured;
        outcome
    }

    /// Steps every environment `steps` times (at least 1), within [`sample_with`](Self::sample_with).
    pub(super) fn collect(&mut self, steps: usize) -> Result<Rollout, Error> {
        if self.options.callbacks.wants_any(HookSet::EPISODE) {
            self.begin_episodes(true)?;
        }
        let steps = steps.max(1);
        let hooks = episode_hooks(&self.options, &self.agents);
        let rollout = match &mut self.kind {
            Kind::Vector(shards) => {
                let rules = StepRules {
                    policy: single_policy(&self.policies)?,
                    normalizer: self.normalizers.get(DEFAULT_MODULE_ID),
                    explore: self.options.explore,
                    hooks,
                };
                if let [only] = &mut shards[..] {
                    only.shard.reuse(&mut self.spare);
                }
                if let Some(table) = &mut self.table {
                    table.open(steps)?;
                }
                let sample = |_, place: &mut Place| place.outcome = place.shard.sample(&rules, steps);
                match hooks {
                    _ if side_by_side(shards) => {
                        shards.iter_mut().for_each(|place| place.shard.post(&rules, steps));
                        at_once(shards, |shard| shard.sample(&rules, steps))?;
                    }
                    None => self.workers.for_each_or(&mut self.gate, steps, shards, sample, |shards| {
                        sample_in_step(&mut self.in_step, shards, &rules, steps);
                    }),
                    // Hooks are called in a fixed order: by step and environment if there is one shard, as an algorithm
                    // with hooks makes it; else by shard first.
                    Some(_) => {
                        let _flush = skirl_nn::FlushDenormals::enable();
                        shards.iter_mut().enumerate().for_each(|(index, shard)| sample(index, shard));
                    }
                }
                let memory = (std::mem::take(&mut self.spare), self.table.as_deref_mut());
                join_shards(shards, &self.policies, steps, memory)?
            }
            Kind::Agents(runner) => {
                let _flush = skirl_nn::FlushDenormals::enable();
                let rules = AgentRules {
                    policies: &self.policies,
                    normalizers: &self.normalizers,
                    explore: self.options.explore,
                    hooks,
                };
                runner.sample(&rules, steps)?
            }
        };
        self.merge_statistics();
        self.hand_on_logged()?;
        Ok(rollout)
    }

    /// What was observed goes into the normalisers, which take it into use for the next rollout.
    fn merge_statistics(&mut self) {
        let seen = self.take_seen();
        if !self.update_statistics {
            return;
        }
        for (module, rows) in seen {
            if let Some(normalizer) = self.normalizers.get_mut(&module) {
                rows.iter().for_each(|moments| normalizer.merge(moments));
                normalizer.freeze();
            }
        }
    }

    /// Statistics of what was observed since the last call. Dropped after a reset or restore from outside: what came
    /// before does not belong to the next rollout, and is in no checkpoint.
    fn take_seen(&mut self) -> Vec<(ModuleId, Vec<ColumnMoments>)> {
        match &mut self.kind {
            Kind::Vector(shards) => {
                let seen = shards.iter_mut().flat_map(|place| place.shard.take_seen()).collect();
                vec![(DEFAULT_MODULE_ID.to_owned(), seen)]
            }
            Kind::Agents(runner) => runner.take_seen(),
        }
    }

    /// Episodes that ended since the last call, in the order of step and environment.
    pub fn take_finished(&mut self) -> Vec<EpisodeRecord> {
        match &mut self.kind {
            Kind::Vector(shards) => {
                let mut finished: Vec<EpisodeRecord> =
                    shards.iter_mut().flat_map(|place| place.shard.take_finished()).collect();
                finished.sort_by_key(|record| (record.ended_at, record.env));
                finished
            }
            Kind::Agents(runner) => runner.take_finished(),
        }
    }

    /// Observation statistics by module.
    pub fn normalizers(&self) -> &BTreeMap<ModuleId, Normalizer> {
        &self.normalizers
    }

    /// The last task of each environment that was given one.
    pub fn tasks(&self) -> &Tasks {
        &self.tasks.newest
    }

    /// Gives the environments the tasks of a checkpoint, or those that they began with. Before
    /// [`restore_state`](Self::restore_state), which may know more of a running episode's task.
    pub fn restore_tasks(&mut self, tasks: Tasks) -> Result<(), Error> {
        let initial = self.tasks.initial.clone();
        self.foreach_env(|index, env| match tasks.get(&index).or_else(|| initial.get(&index)) {
            Some(task) => env.set_task(task),
            None => Ok(()),
        })?;
        self.tasks.newest = tasks;
        Ok(())
    }

    /// Calls `visit(index, environment)` for every environment, in order, and gathers what it returns.
    ///
    /// What is changed acts on the environment as it stands: a running episode goes on. Tasks ([`LiveEnv::set_task`]) are
    /// remembered for checkpoints.
    ///
    /// # Errors
    /// The first one that `visit` returns; the environments before it were visited, those after it were not.
    pub fn foreach_env<T>(
        &mut self,
        mut visit: impl FnMut(usize, &mut LiveEnv<'_>) -> Result<T, EnvError>,
    ) -> Result<Vec<T>, Error> {
        let mut visits = Visits { tasks: &mut self.tasks, results: Vec::new() };
        match &mut self.kind {
            Kind::Vector(shards) => {
                for shard in shards.iter_mut().map(|place| &mut place.shard) {
                    for index in 0..shard.num_envs() {
                        visits.visit(LiveEnv::among(shard.env_mut(), index), &mut visit)?;
                    }
                }
            }
            Kind::Agents(runner) => {
                for env in runner.envs_mut() {
                    visits.visit(LiveEnv::multi(env), &mut visit)?;
                }
            }
        }
        Ok(visits.results)
    }

    /// Replaces observation statistics (evaluation, restored checkpoints); unknown modules are ignored.
    pub fn set_normalizers(&mut self, from: &BTreeMap<ModuleId, Normalizer>) {
        for (module, normalizer) in &mut self.normalizers {
            if let Some(from) = from.get(module) {
                normalizer.set_moments(from.moments().clone());
            }
        }
    }

    /// Everything that the environments and running episodes need to go on exactly.
    ///
    /// # Errors
    /// What callbacks say whose data of episodes cannot be saved.
    pub fn save_state(&self) -> Result<EnvRunnerState, Error> {
        let mut state = match &self.kind {
            Kind::Vector(shards) => {
                EnvRunnerState::from_shards(shards.iter().map(|place| place.shard.save_state()).collect())
            }
            Kind::Agents(runner) => EnvRunnerState::Agents(runner.save_state()),
        };
        let ids = EpisodeIds { first: self.first_episode, num_envs: self.num_envs() };
        let numbered = state.episodes_mut().enumerate();
        let numbered = numbered.map(|(env, episode)| (ids.of(env, episode.index), episode));
        self.options.callbacks.save_episodes(numbered)?;
        Ok(state)
    }

    /// Puts a saved state back; the number of environments must be the same, the number of threads need not.
    /// Environments that could not save their state start new episodes.
    pub fn restore_state(&mut self, state: EnvRunnerState) -> Result<(), Error> {
        self.options.callbacks.forget_episodes();
        let restored = self.restore_kind(state);
        self.take_seen();
        self.needs_reset = restored.is_err();
        restored
    }

    fn restore_kind(&mut self, state: EnvRunnerState) -> Result<(), Error> {
        // Seeds of their own: those of the start would play its episodes again.
        let seeds = self.options.seed.child("env").child("restored");
        match (&mut self.kind, state) {
            (Kind::Vector(shards), state @ EnvRunnerState::Vector(_)) => {
                let sizes: Vec<usize> = shards.iter().map(|place| place.shard.num_envs()).collect();
                for (place, part) in shards.iter_mut().zip(state.split(&sizes)?) {
                    let (steps, saved, shard) = (part.steps, part.env.is_some(), &mut place.shard);
                    shard.restore_state(part)?;
                    if !saved {
                        self.seeds = seeds.index(steps);
                        let normalizer = self.normalizers.get(DEFAULT_MODULE_ID);
                        shard.restart();
                        shard.begin(self.seeds, normalizer, None)?;
                    }
                }
                Ok(())
            }
            (Kind::Agents(runner), EnvRunnerState::Agents(state)) => {
                let rules = AgentRules {
                    policies: &self.policies,
                    normalizers: &self.normalizers,
                    explore: self.options.explore,
                    hooks: None,
                };
                let seeds = seeds.index(state.steps);
                if state.envs.iter().any(|slot| slot.env.is_none()) {
                    self.seeds = seeds;
                }
                runner.restore_state(state, seeds, &rules)
            }
            _ => Err(Error::RunnerState {
                expected: "the same kind of environment (one agent or several)".to_owned(),
                found: "the other".to_owned(),
            }),
        }
    }
}

fn normalizers(policies: &Policies, clip: Option<f32>) -> BTreeMap<ModuleId, Normalizer> {
    let Some(clip) = clip else { return BTreeMap::new() };
    policies.iter().map(|(id, policy)| (id.clone(), Normalizer::new(policy.obs_width(), clip))).collect()
}

fn single_policy(policies: &Policies) -> Result<&crate::contract::Policy, Error> {
    policies.get(DEFAULT_MODULE_ID).ok_or_else(|| Error::Misfit {
        what: "the policies of a single-agent environment".to_owned(),
        expected: DEFAULT_MODULE_ID.to_owned(),
        found: policies.keys().cloned().collect::<Vec<_>>().join(", "),
        remedy: "Leave multi_agent.policies out, or choose an environment with several agents".to_owned(),
    })
}

impl std::fmt::Debug for EnvRunner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EnvRunner").field("num_envs", &self.num_envs()).finish_non_exhaustive()
    }
}
