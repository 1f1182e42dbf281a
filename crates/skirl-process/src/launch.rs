//! Starting the workers of a run: all at once, each with its range of the environments.

use std::collections::BTreeMap;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;
use skirl::Error;
use skirl::algo;
use skirl::collect::episodes::RunningEpisode;
use skirl::collect::launch::LaunchOrder;
use skirl::collect::{AgentSpaces, RemoteEnvironments, RemoteShard, ShardFaults, SharedTable};
use skirl::config::FaultToleranceOptions;
use skirl::evaluate::FRAGMENT;
use skirl_env::Space;
use skirl_math::rng::StreamKey;

use crate::layout::Layout;
use crate::memory::SharedMemory;
use crate::message::{Build, RunPlace};
use crate::process::{Failure, Patience, WorkerCommand};
use crate::recovery::Failures;
use crate::rollout::Delivered;
use crate::round::Round;
use crate::shard::RemoteRange;
use crate::tables::Tables;

/// What all workers of a run are started with.
#[derive(Debug, Clone)]
pub struct Launch {
    /// The program.
    pub command: WorkerCommand,
    /// Raised while nobody wants to wait for the workers any more, as after Ctrl-C.
    pub interrupted: Arc<AtomicBool>,
    /// For whoever builds the environments there: how their constructors are found.
    pub constructors: Vec<u8>,
}

/// How long which wait may take, and what follows a failure.
#[derive(Debug, Clone)]
pub(crate) struct Rules {
    pub(crate) options: FaultToleranceOptions,
    pub(crate) step_patience: Patience,
    pub(crate) start_patience: Patience,
}

/// Starts one worker for each environment runner of the order, and claims the memory of their rollouts.
///
/// # Errors
/// What the first worker that failed says; too little memory; spaces that the algorithm cannot serve.
pub fn launch(launch: &Launch, order: LaunchOrder<'_>) -> Result<RemoteEnvironments, Error> {
    crate::output::forget_told();
    let (common, spec) = (order.config.common(), order.spec);
    let runners = order.num_runners.clamp(1, spec.num_envs.max(1));
    let bound = |index: usize| index * spec.num_envs / runners;
    let rules = Rules {
        options: common.fault_tolerance.clone(),
        step_patience: Patience {
            what: "made no step and no reset",
            time: Duration::from_secs_f64(common.env_runners.sample_timeout_s),
            option: "env_runners.sample_timeout_s",
        },
        start_patience: Patience {
            what: "did not come back from the constructors of its environments",
            time: Duration::from_secs_f64(common.fault_tolerance.env_runner_restore_timeout_s),
            option: "fault_tolerance.env_runner_restore_timeout_s",
        },
    };
    let builds = (0..runners).map(|index| Build {
        config: order.config.to_value(),
        env: spec.env.clone(),
        env_config: spec.env_config.clone(),
        in_evaluation: order.in_evaluation,
        first_env: bound(index),
        num_envs: bound(index + 1) - bound(index),
        runner: index + 1,
        num_runners: runners,
        recreated: false,
    });
    let builds: Vec<Build> = builds.collect();
    let mut ranges = start_all(launch, &rules, builds)?;
    let width = ranges.first().map_or(0, |range| range.layout.obs_width);
    let mut tables = Tables::new(spec.num_envs, width, order.in_evaluation);
    ranges.iter_mut().for_each(|range| range.tables = tables.clone());
    claim_memory(&mut ranges, &mut tables, order)?;
    let shards = ranges.into_iter().map(|range| -> Box<dyn RemoteShard> { Box::new(range) }).collect();
    Ok(RemoteEnvironments { shards, table: Box::new(tables) })
}

fn start_all(launch: &Launch, rules: &Rules, builds: Vec<Build>) -> Result<Vec<RemoteRange>, Error> {
    let started: Vec<Result<RemoteRange, Error>> = std::thread::scope(|scope| {
        let start = |build| scope.spawn(move || RemoteRange::start(launch.clone(), rules.clone(), build));
        let threads: Vec<_> = builds.into_iter().map(start).collect();
        let gone = |_| Err(Error::Internal("a thread that started a process panicked".to_owned()));
        threads.into_iter().map(|thread| thread.join().unwrap_or_else(gone)).collect()
    });
    let failed = started.iter().filter(|outcome| outcome.is_err()).count();
    let ranges: Result<Vec<RemoteRange>, Error> = started.into_iter().collect();
    ranges.map_err(|error| error.with_others(failed.saturating_sub(1)))
}

/// The memory of a rollout is claimed now: too little of it is an error before the first step.
fn claim_memory(
    ranges: &mut [RemoteRange],
    tables: &mut Tables,
    order: LaunchOrder<'_>,
) -> Result<(), Error> {
    let Some(first) = ranges.first() else { return Ok(()) };
    let steps = match order.in_evaluation {
        true => FRAGMENT,
        false => algo::plan(order.config, order.spec.clone(), vec![first.spaces()])?.batch.fragment_length,
    };
    tables.open(steps)?;
    ranges.iter_mut().try_for_each(|range| range.make_room(steps))
}

impl RemoteRange {
    /// Starts the worker of a range and has it build its environments.
    pub(crate) fn start(launch: Launch, rules: Rules, build: Build) -> Result<Self, Error> {
        let memory = SharedMemory::create(0).map_err(|error| no_worker(&build, &error.to_string()))?;
        let num_envs = build.num_envs;
        let (process, told) = Self::start_process(&launch, &rules, &build, &memory)
            .map_err(|failure| as_error(&build, &failure))?;
        let spaces = AgentSpaces {
            agent: skirl::contract::DEFAULT_AGENT_ID.to_owned(),
            observation: space_of(&build, &told.observation)?,
            action: space_of(&build, &told.action)?,
        };
        Ok(Self {
            place: RunPlace { explore: 0, steps: 0, first_episode: 0, num_envs: build.num_envs },
            episodes: vec![RunningEpisode::default(); num_envs],
            seeds: StreamKey(0),
            statistics: Vec::new(),
            tasks: BTreeMap::new(),
            spaces,
            layout: told.layout,
            memory,
            tables: Tables::new(0, 0, build.in_evaluation),
            process: Mutex::new(Some(process)),
            begun: false,
            delivered: Delivered::default(),
            faults: ShardFaults { processes: 1, healthy: 1, ..ShardFaults::default() },
            failures: Failures::default(),
            round: Round::default(),
            posted: None,
            call_hooks: false,
            launch,
            rules,
            build,
        })
    }
}

/// What a worker tells of what it has built.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Told {
    pub(crate) observation: Value,
    pub(crate) action: Value,
    pub(crate) layout: Layout,
}

fn space_of(build: &Build, told: &Value) -> Result<Space, Error> {
    Space::from_json(told).map_err(|error| no_worker(build, &format!("told a space that is none: {error}")))
}

/// The engine's error for a failure.
pub(crate) fn as_error(build: &Build, failure: &Failure) -> Error {
    match failure {
        Failure::Interrupted { .. } => Error::Stopped { reason: failure.message().to_owned() },
        Failure::Hook(hook) => Error::Callback(Box::new(hook.to_error())),
        _ => no_worker(build, failure.message()),
    }
}

pub(crate) fn no_worker(build: &Build, message: &str) -> Error {
    let Build { runner, in_evaluation, .. } = *build;
    Error::EnvRunner { runner, in_evaluation, message: message.to_owned(), others: 0 }
}
