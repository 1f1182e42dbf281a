//! Evaluating: the newest policy plays in environments of its own; nothing is learned.
//!
//! Every environment plays the same number of episodes (up to one), and only its first ones count: otherwise short
//! episodes would be over-represented.

use std::collections::BTreeMap;

use skirl_math::rng::StreamKey;

use crate::collect::episodes::EpisodeRecord;
use crate::collect::{EnvRunner, ShardFaults};
use crate::error::Error;
use crate::report::TrainResult;

/// Steps of every environment between two looks at what ended.
pub const FRAGMENT: usize = 32;

/// How long an evaluation lasts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Duration {
    /// Finished episodes.
    Episodes(usize),
    /// Environment steps, rounded up to whole steps of all environments.
    EnvSteps(u64),
}

/// What an evaluation found.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Evaluation {
    /// Episodes that count, by environment and then in order; by steps, in the order in which they ended.
    pub episodes: Vec<EpisodeRecord>,
    /// Environment steps taken.
    pub env_steps: u64,
    /// Metrics of an own evaluation function, which then says itself what it did; there are no `episodes`.
    pub custom: Option<TrainResult>,
    /// Further numbers by name, reported under `evaluation/`: what callbacks add in `on_evaluate_end`.
    pub extra: BTreeMap<String, f64>,
    /// What the processes of evaluation's environments went through so far, where they have some.
    pub faults: Option<ShardFaults>,
}

/// Plays from fresh resets under `root` until `duration` is over.
///
/// `max_env_steps` bounds the steps of one environment: an environment whose episodes never end is an error then.
pub fn evaluate(
    runner: &mut EnvRunner,
    root: StreamKey,
    duration: Duration,
    max_env_steps: u64,
) -> Result<Evaluation, Error> {
    runner.reset_with(root)?;
    runner.take_finished();
    play(runner, duration, max_env_steps, &|| true)
}

/// Plays on from where the runner's environments are, until `duration` is over or `goes_on` is false: then it is an error.
///
/// `max_env_steps` as in [`evaluate`].
pub fn play(
    runner: &mut EnvRunner,
    duration: Duration,
    max_env_steps: u64,
    goes_on: &dyn Fn() -> bool,
) -> Result<Evaluation, Error> {
    match duration {
        Duration::EnvSteps(steps) => {
            let each = steps.div_ceil(runner.num_envs() as u64).max(1);
            play_steps(runner, each, goes_on)
        }
        Duration::Episodes(episodes) => play_episodes(runner, episodes, max_env_steps, goes_on),
    }
}

fn check_goes_on(goes_on: &dyn Fn() -> bool) -> Result<(), Error> {
    match goes_on() {
        true => Ok(()),
        false => Err(Error::Stopped { reason: "the evaluation was not needed any more".to_owned() }),
    }
}

fn play_steps(runner: &mut EnvRunner, each: u64, goes_on: &dyn Fn() -> bool) -> Result<Evaluation, Error> {
    let (mut evaluation, mut left) = (Evaluation::default(), each);
    while left > 0 {
        check_goes_on(goes_on)?;
        let steps = left.min(FRAGMENT as u64);
        evaluation.env_steps += runner.sample(steps as usize)?.env_steps;
        evaluation.episodes.extend(runner.take_finished());
        left -= steps;
    }
    Ok(evaluation)
}

fn play_episodes(
    runner: &mut EnvRunner,
    episodes: usize,
    max_env_steps: u64,
    goes_on: &dyn Fn() -> bool,
) -> Result<Evaluation, Error> {
    let num_envs = runner.num_envs();
    let quota = |env: usize| episodes / num_envs + usize::from(env < episodes % num_envs);
    let mut played: Vec<Vec<EpisodeRecord>> = vec![Vec::new(); num_envs];
    let (mut env_steps, mut missing) = (0, episodes);
    // Steps of each environment since the last episode that counted.
    let mut waited = 0;
    while missing > 0 {
        check_goes_on(goes_on)?;
        if waited >= max_env_steps {
            return Err(Error::EndlessEpisode { steps: waited, missing });
        }
        env_steps += runner.sample(FRAGMENT)?.env_steps;
        waited += FRAGMENT as u64;
        for record in runner.take_finished() {
            let env = record.env;
            if played[env].len() < quota(env) {
                played[env].push(record);
                missing -= 1;
                waited = 0;
            }
        }
    }
    let episodes = played.into_iter().flatten().collect();
    Ok(Evaluation { episodes, env_steps, ..Evaluation::default() })
}

impl Evaluation {
    /// Mean raw return; `None` without episodes.
    pub fn return_mean(&self) -> Option<f64> {
        let sum: f64 = self.episodes.iter().map(|episode| episode.episode_return).sum();
        (!self.episodes.is_empty()).then(|| sum / self.episodes.len() as f64)
    }
}
