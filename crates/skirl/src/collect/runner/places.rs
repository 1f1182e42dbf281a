//! The ranges of a runner's environments: made, worked with, and their tables joined.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::thread::Builder;

use skirl_env::VectorEnv;
use skirl_math::rng::StreamKey;

use super::super::action_codec::ActionCodec;
use super::super::runner_options::RunnerOptions;
use super::super::shard::Shard;
use super::super::shared_table::SharedTable;
use super::super::vector_runner::{InStep, StepRules, VectorRunner};
use super::single_policy;
use crate::contract::{DEFAULT_MODULE_ID, ModuleRollout, Policies, Rollout};
use crate::error::Error;

/// A range, and how its last piece of work went.
pub(super) struct Place {
    pub(super) shard: Box<dyn Shard>,
    pub(super) outcome: Result<(), Error>,
}

impl Place {
    pub(super) fn new(shard: Box<dyn Shard>) -> Self {
        Self { shard, outcome: Ok(()) }
    }
}

/// Ranges that this process steps.
pub(super) fn vector_shards(
    environments: Vec<(usize, Box<dyn VectorEnv>)>,
    policies: &Policies,
    options: &RunnerOptions,
    explore: StreamKey,
) -> Result<Vec<Place>, Error> {
    let policy = single_policy(policies)?;
    let codec = ActionCodec::new(&policy.action_space, options.actions)?;
    let normalized = options.observation_clip.is_some();
    let shard = |(first, env)| {
        let (codec, rewards) = (codec.clone(), options.rewards);
        Place::new(Box::new(VectorRunner::new(env, first, policy, codec, rewards, explore, normalized)))
    };
    Ok(environments.into_iter().map(shard).collect())
}

/// Whether other processes do the work, so that waiting for all of them at once is what there is to do here.
pub(super) fn side_by_side(places: &[Place]) -> bool {
    places.len() > 1 && places.iter().all(|place| place.shard.faults().is_some())
}

/// Has all processes work at the same time: the calling thread and as many more as there are to be had wait for one after
/// the other. The error of the first range that failed.
pub(super) fn at_once(
    places: &mut [Place],
    work: impl Fn(&mut dyn Shard) -> Result<(), Error> + Sync,
) -> Result<(), Error> {
    let others = 1..places.len();
    let left = Mutex::new(places.iter_mut());
    let next = || left.lock().unwrap_or_else(PoisonError::into_inner).next();
    let wait = || {
        while let Some(place) = next() {
            place.outcome = work(&mut *place.shard);
        }
    };
    std::thread::scope(|scope| {
        for _ in others {
            if Builder::new().spawn_scoped(scope, wait).is_err() {
                break;
            }
        }
        wait();
    });
    first_error(places)
}

/// Has one thread step all ranges: with a forward for all of them where they fit into one, else one after the other.
pub(super) fn sample_in_step(
    in_step: &mut InStep,
    places: &mut [Place],
    rules: &StepRules<'_>,
    steps: usize,
) {
    let num_envs = places.iter().map(|place| place.shard.num_envs()).sum();
    let all_here = places.len() > 1 && places.iter_mut().all(|place| place.shard.in_process().is_some());
    if all_here && InStep::serves(num_envs) {
        let ranges = places.iter_mut();
        let ranges = ranges.filter_map(|Place { shard, outcome }| Some((shard.in_process()?, outcome)));
        return in_step.sample(ranges.collect(), rules, steps);
    }
    places.iter_mut().for_each(|place| place.outcome = place.shard.sample(rules, steps));
}

/// The error of the first range that failed, with how many more failed in the same way.
fn first_error(places: &mut [Place]) -> Result<(), Error> {
    let failed = places.iter_mut().filter_map(|place| std::mem::replace(&mut place.outcome, Ok(())).err());
    let mut failed = failed.collect::<Vec<_>>().into_iter();
    let Some(first) = failed.next() else { return Ok(()) };
    Err(first.with_others(failed.len()))
}

/// One table out of the ranges' tables; the error of the first range that failed. Observations stay where ranges have left them
/// together, else they are copied into the memory `spare` where there is enough.
pub(super) fn join_shards(
    places: &mut [Place],
    policies: &Policies,
    steps: usize,
    (spare, shared): (Vec<f32>, Option<&mut (dyn SharedTable + 'static)>),
) -> Result<Rollout, Error> {
    first_error(places)?;
    let own = match &mut *places {
        [only] => only.shard.take_table(),
        _ => None,
    };
    let join = || {
        let columns: Vec<_> = places.iter().map(|place| place.shard.columns()).collect();
        match shared.and_then(SharedTable::close) {
            Some(obs) => ModuleRollout::join_around(obs, &columns, steps),
            None => ModuleRollout::join_into(spare, &columns, steps),
        }
    };
    let nothing = || Error::Internal("a runner without environments, or without their rows".to_owned());
    let table = own.or_else(join).ok_or_else(nothing)?;
    let rows = table.rows as u64;
    let weights_version = policies.values().map(|policy| policy.version).max().unwrap_or(0);
    let modules = BTreeMap::from([(DEFAULT_MODULE_ID.to_owned(), table)]);
    Ok(Rollout { modules, env_steps: rows, agent_steps: rows, weights_version })
}
