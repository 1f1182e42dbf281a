//! Callbacks: every hook with the right values and count, in one order, across threads and resume; errors; changes.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, clippy::float_cmp)]

mod replay;
#[path = "../runs/mod.rs"]
mod runs;
mod training;
mod trajectories;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use runs::{assert_same_state, build, config, train, weight_bits};
use serde_json::{Value, json};
use skirl::callbacks::{CallbackFns, CallbackList, Callbacks, Episode, Hook, HookResult, HookSet};
use skirl::contract::{Links, ModuleRollout};
use skirl::run::{Flow, Run};
use skirl::{Algorithm, Error};
use skirl_env::column::{column_muts, column_refs};
use skirl_env::{AgentActions, AgentStep, Env, EnvContext, EnvError, Outcomes, Row, RowRef, Space, Step};
use skirl_math::chain::END;
use skirl_math::rng::StreamKey;

type Log<T> = Arc<Mutex<Vec<T>>>;

fn built(env: &str, sections: &Value, callbacks: CallbackList) -> Algorithm {
    Algorithm::build_with(config(env, sections), callbacks).unwrap()
}

/// What a hook saw of an episode.
#[derive(Debug, Clone, PartialEq)]
struct Seen {
    hook: &'static str,
    id: u64,
    env: usize,
    len: u64,
    episode_return: f64,
    agent_returns: Vec<f64>,
    observations: Vec<Option<Vec<f32>>>,
    actions: Vec<Option<i64>>,
    rewards: Vec<f64>,
    ended: (bool, bool),
    in_evaluation: bool,
}

fn see(hook: Hook, episode: &Episode<'_>) -> Seen {
    let agents = 0..episode.agents().len();
    Seen {
        hook: hook.name(),
        id: episode.id(),
        env: episode.env_index(),
        len: episode.env_steps(),
        episode_return: episode.episode_return(),
        agent_returns: agents.clone().map(|agent| episode.agent_return(agent).unwrap()).collect(),
        observations: agents.clone().map(|agent| episode.observation(agent).map(<[f32]>::to_vec)).collect(),
        actions: agents
            .clone()
            .map(|agent| episode.action(agent).map(|action| action.discrete().unwrap()))
            .collect(),
        rewards: agents.map(|agent| episode.reward(agent)).collect(),
        ended: (episode.terminated(), episode.truncated()),
        in_evaluation: episode.in_evaluation(),
    }
}

/// Callbacks that write down what every hook of episodes sees.
fn recorder(log: &Log<Seen>) -> CallbackFns {
    let note = |hook: Hook| {
        let log = Arc::clone(log);
        move |episode: &mut Episode<'_>| -> HookResult {
            log.lock().unwrap().push(see(hook, episode));
            Ok(())
        }
    };
    CallbackFns::new("recorder")
        .on_episode_created(note(Hook::EpisodeCreated))
        .on_episode_start(note(Hook::EpisodeStart))
        .on_episode_step(note(Hook::EpisodeStep))
        .on_episode_end(note(Hook::EpisodeEnd))
}

fn env_seed(env: usize) -> u64 {
    StreamKey::root(1).child("training").child("env").index(env as u64).0 >> 33
}

/// Keeps a running sum with the episode, measures from it, and counts episodes in a state of its own.
#[derive(Default)]
struct Measure {
    episodes: Mutex<u64>,
}

impl Callbacks for Measure {
    fn name(&self) -> &'static str {
        "measure"
    }

    fn hooks(&self) -> HookSet {
        HookSet::of(&[Hook::EpisodeStart, Hook::EpisodeStep, Hook::EpisodeEnd, Hook::TrainResult])
    }

    fn save_state(&self) -> Result<Option<Value>, Box<dyn std::error::Error + Send + Sync>> {
        Ok(Some(json!(*self.episodes.lock().unwrap())))
    }

    fn restore_state(&self, state: &Value) -> HookResult {
        *self.episodes.lock().unwrap() = state.as_u64().ok_or("no number")?;
        Ok(())
    }

    fn on_episode_start(&self, episode: &mut Episode<'_>) -> HookResult {
        let id = episode.id();
        episode.user_data.insert("id".to_owned(), json!(id));
        Ok(())
    }

    fn on_episode_step(&self, episode: &mut Episode<'_>) -> HookResult {
        assert_eq!(episode.user_data["id"], json!(episode.id()), "data stays with its episode");
        let angle =
            episode.observation(0).or(episode.observation(1)).map_or(0.0, |obs| f64::from(obs[0]).abs());
        let sum = episode.user_data.get("sum").and_then(Value::as_f64).unwrap_or(0.0) + angle;
        episode.user_data.insert("sum".to_owned(), json!(sum));
        Ok(())
    }

    fn on_episode_end(&self, episode: &mut Episode<'_>) -> HookResult {
        let sum = episode.user_data["sum"].as_f64().ok_or("no sum")?;
        episode.custom_metrics.insert("position".to_owned(), sum / episode.env_steps() as f64);
        episode.custom_metrics.insert("id".to_owned(), episode.id() as f64);
        *self.episodes.lock().unwrap() += 1;
        Ok(())
    }

    fn on_train_result(&self, _: &mut Algorithm, result: &mut skirl::report::TrainResult) -> HookResult {
        result.set("episodes_seen", *self.episodes.lock().unwrap());
        Ok(())
    }
}

fn measured() -> CallbackList {
    CallbackList::new().with(Measure::default())
}

const ENVS: [&str; 3] = ["CartPole-v1", "TwoCartPole-v0", "probe/TurnBased-v0"];

fn failing(run: impl Fn(&mut Episode<'_>) -> HookResult + Send + Sync + 'static) -> CallbackList {
    CallbackList::new().with(CallbackFns::new("broken").on_episode_step(run))
}
