//! Callbacks, films, whole episodes, tasks and shared state, where they meet.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use skirl::Algorithm;
use skirl::algorithm::EvaluateRequest;
use skirl::callbacks::{CallbackFns, CallbackList, Callbacks, HookSet};
use skirl::checkpoint::Payload;

use super::runs::{assert_same_state, build, config, train};
use super::shared_state::{counter, register_tiring};
use super::stairs::{self, LENGTH, TwoStairs};

/// With `complete_episodes` a trajectory is a whole episode, also after an iteration that failed in a hook.
#[test]
fn whole_episodes_are_shown_to_callbacks_whole() {
    stairs::register();
    let (samples, fails) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
    let seen: Arc<Mutex<Vec<(usize, bool, f32)>>> = Arc::default();
    let (counted, failing, noted) = (Arc::clone(&samples), Arc::clone(&fails), Arc::clone(&seen));
    let callbacks = CallbackFns::new("whole")
        .on_postprocess_trajectory(move |trajectory| {
            noted.lock().unwrap().push((trajectory.len(), trajectory.terminated(), trajectory.obs()[0]));
            if failing.load(Ordering::Relaxed) { Err("planted".into()) } else { Ok(()) }
        })
        .on_sample_end(move |_| {
            counted.fetch_add(1, Ordering::Relaxed);
            Ok(())
        });
    // 17 steps of 4 environments are not enough for a batch, and no whole number of episodes.
    let sections =
        json!({ "env_runners": { "batch_mode": "complete_episodes", "rollout_fragment_length": 17 } });
    let callbacks = CallbackList::new().with(callbacks);
    let mut algorithm = Algorithm::build_with(config("test/Stairs", &sections), callbacks).unwrap();
    train(&mut algorithm, 2);
    fails.store(true, Ordering::Relaxed);
    algorithm.train().unwrap_err();
    fails.store(false, Ordering::Relaxed);
    train(&mut algorithm, 2);
    assert_eq!(samples.load(Ordering::Relaxed), 4, "one rollout for each iteration");
    let seen = seen.lock().unwrap();
    let whole = (LENGTH as usize, true, 0.0);
    assert!(seen.len() > 100 && seen.iter().all(|seen| *seen == whole), "{seen:?}");
}

/// Hooks of an evaluation are called with a camera, too, and reach the environments behind it.
#[test]
fn a_camera_hides_nothing_from_callbacks() {
    stairs::register();
    for env in ["test/Stairs", "test/TwoStairs"] {
        let log: Arc<Mutex<Vec<&str>>> = Arc::default();
        let (started, ended) = (Arc::clone(&log), Arc::clone(&log));
        let callbacks = CallbackFns::new("teacher")
            .on_evaluate_start(move |_| {
                started.lock().unwrap().push("start");
                Ok(())
            })
            .on_episode_created(|episode| {
                let mut env = episode.environment().live();
                env.set_task(&json!({ "phase": 3 }))?;
                if let Ok(two) = env.downcast_mut::<TwoStairs>() {
                    assert_eq!(two.task["phase"], 3);
                }
                Ok(())
            })
            .on_evaluate_end(move |_, evaluation| {
                ended.lock().unwrap().push("end");
                evaluation.extra.insert("seen".to_owned(), evaluation.episodes.len() as f64);
                Ok(())
            });
        let callbacks = CallbackList::new().with(callbacks);
        let mut algorithm = Algorithm::build_with(config(env, &json!({})), callbacks).unwrap();
        let request = EvaluateRequest { episodes: Some(2), seed: Some(7), explore: None };
        let plain = algorithm.evaluate(&request).unwrap();
        let (filmed, film) = algorithm.evaluate_filmed(&request, 1).unwrap();
        let (unseen, _) = algorithm.evaluate_filmed(&request, 0).unwrap();
        assert_eq!(*log.lock().unwrap(), ["start", "end", "start", "end", "start", "end"]);
        assert_eq!((filmed.env_steps, &filmed.extra), (plain.env_steps, &plain.extra));
        assert_eq!(film.episodes()[0].scenes.len() as u64, filmed.episodes[0].len + 1);
        let (mut ids, mut returns) = (BTreeSet::new(), BTreeSet::new());
        for episode in [&plain, &filmed, &unseen].into_iter().flat_map(|evaluation| &evaluation.episodes) {
            assert!(ids.insert(episode.id), "{env}: episode {} twice", episode.id);
            returns.insert(episode.episode_return.to_bits());
        }
        if env == "test/Stairs" {
            assert_eq!(returns, BTreeSet::from([60_f64.to_bits()]), "ten steps in phase 3, doubled");
        }
    }
}

/// What environments share while they are made is in a checkpoint that is written before the first step.
#[test]
fn a_checkpoint_before_the_first_step_holds_what_is_shared() {
    register_tiring();
    let directory = tempfile::tempdir().unwrap();
    let mut whole = build("test/Tiring", &json!({}));
    assert_eq!(counter(&whole, "resets"), 4);
    let saved = whole.save_to_path(&directory.path().join("saved")).unwrap();
    let mut resumed = Algorithm::from_checkpoint(&saved).unwrap();
    assert_eq!(counter(&resumed, "resets"), 4);
    train(&mut whole, 2);
    train(&mut resumed, 2);
    assert_same_state(&whole, &resumed, "resumed before the first step");
}

struct Fragile;

impl Callbacks for Fragile {
    fn name(&self) -> &'static str {
        "fragile"
    }

    fn hooks(&self) -> HookSet {
        HookSet::NONE
    }

    fn save_state(&self) -> Result<Option<Value>, Box<dyn std::error::Error + Send + Sync>> {
        panic!("planted")
    }
}

#[test]
fn a_panic_while_callbacks_save_their_state_is_an_error() {
    let callbacks = CallbackList::new().with(Fragile);
    let algorithm = Algorithm::build_with(config("CartPole-v1", &json!({})), callbacks).unwrap();
    let message = algorithm.snapshot().unwrap_err().to_string();
    assert!(message.contains("fragile") && message.contains("planted"), "{message}");
}

/// Takes an element out of every column `logp`; how many there were.
fn shorten(value: &mut Value) -> usize {
    match value {
        Value::Object(map) => map
            .iter_mut()
            .map(|(name, inner)| match inner {
                Value::Array(column) if name == "logp" => usize::from(column.pop().is_some()),
                inner => shorten(inner),
            })
            .sum(),
        Value::Array(values) => values.iter_mut().map(shorten).sum(),
        _ => 0,
    }
}

/// Rows that wait in a checkpoint, for the end of their episode or for their successor, are looked at before they are used.
#[test]
fn forged_rows_that_wait_are_refused() {
    stairs::register();
    let whole =
        json!({ "env_runners": { "batch_mode": "complete_episodes", "rollout_fragment_length": 17 } });
    // 63 steps of episodes of 4: the rollout is cut in the middle of one.
    let turns = json!({ "multi_agent": { "policies": ["first", "second"] }, "training": { "train_batch_size": 252 } });
    for (env, sections) in [("test/Stairs", whole), ("probe/TurnBased-v0", turns)] {
        let mut algorithm = build(env, &sections);
        train(&mut algorithm, 1);
        let sound = algorithm.snapshot().unwrap();
        let mut forged = sound.clone();
        let files = forged.files.values_mut();
        let shortened: usize =
            files.map(|file| if let Payload::Json(value) = file { shorten(value) } else { 0 }).sum();
        assert!(shortened > 0, "{env}");
        let message = algorithm.restore(&forged).unwrap_err().to_string();
        assert!(message.contains("logp"), "{env}: {message}");
        algorithm.restore(&sound).unwrap();
        train(&mut algorithm, 1);
    }
}
