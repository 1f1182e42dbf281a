//! Same seed, same bytes: for any number of threads, any layout of environments, and across save and load.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, clippy::float_cmp)]

mod runs;

use std::fs;
use std::path::{Path, PathBuf};

use runs::{assert_same_state, build, config, train, trained, weight_bits};
use serde_json::{Value, json};
use skirl::Algorithm;
use skirl::algorithm::EvaluateRequest;
use skirl::checkpoint::{ALGORITHM_STATE, Payload};
use skirl::collect::episodes::EpisodeRecord;

/// Adds `more` to `sections`, section by section.
fn with(sections: &Value, more: &Value) -> Value {
    let mut merged = sections.clone();
    for (section, options) in more.as_object().unwrap() {
        for (name, value) in options.as_object().unwrap() {
            merged[section][name] = value.clone();
        }
    }
    merged
}

/// (name, environment, options): each kind of runner, action and minibatch.
fn cases() -> Vec<(&'static str, &'static str, Value)> {
    let filtered = json!({
        "env_runners": { "num_envs_per_env_runner": 5, "observation_filter": "MeanStdFilter" },
        "training": { "train_batch_size": 500, "minibatch_size": 64, "grad_clip": 0.5 },
    });
    let many_chunks = json!({
        "env_runners": { "num_envs_per_env_runner": 8 },
        "training": { "train_batch_size": 1600, "minibatch_size": 700, "entropy_coeff": 0.01 },
    });
    let shared = json!({
        "rl_module": {
            "fcnet_hiddens": [16, 16], "vf_share_layers": true, "fcnet_use_layernorm": true, "free_log_std": true,
        },
        "training": {
            "lr": [[0, 1e-2], [1500, 1e-4]], "clip_param": [[0, 0.3], [1500, 0.1]],
            "optimizer": { "type": "adamw", "weight_decay": 0.01 },
        },
    });
    let momentum = json!({ "training": { "optimizer": { "type": "rmsprop", "momentum": 0.5 } } });
    let separate = json!({
        "multi_agent": {
            "policies": ["left", "right"],
            "policy_mapping": { "cart_0": "left", "cart_1": "right" },
        },
    });
    let turns =
        json!({ "env_runners": { "num_envs_per_env_runner": 3 }, "training": { "train_batch_size": 255 } });
    let microbatches = json!({
        "run": "A2C", "training": { "microbatch_size": 100, "lambda_": 0.9, "optimizer": { "type": "rmsprop" } },
        "env_runners": { "observation_filter": "MeanStdFilter" },
    });
    let several = json!({ "run": "A2C", "training": { "train_batch_size": 1200, "use_critic": false, "use_gae": false } });
    let whole_episodes =
        json!({ "env_runners": { "batch_mode": "complete_episodes", "num_envs_per_env_runner": 5 } });
    let of_pg = |sections: &Value| {
        let mut sections = sections.clone();
        sections["run"] = "PG".into();
        sections
    };
    vec![
        ("A2C, in parts", "Pendulum-v1", microbatches),
        ("A2C, several chunks", "CartPole-v1", several),
        ("PG", "CartPole-v1", of_pg(&json!({}))),
        ("PG, whole episodes", "CartPole-v1", of_pg(&whole_episodes)),
        ("PG, two agents, two modules", "TwoCartPole-v0", of_pg(&separate)),
        ("PPO, whole episodes", "CartPole-v1", whole_episodes),
        ("one chunk", "CartPole-v1", json!({ "training": { "minibatch_size": 64 } })),
        ("many chunks, short last minibatch", "CartPole-v1", many_chunks),
        ("normalised, continuous", "Pendulum-v1", filtered.clone()),
        ("shared layers, layer norm, free deviations, schedules", "Pendulum-v1", shared),
        ("momentum", "CartPole-v1", momentum),
        ("two agents, one module", "TwoCartPole-v0", json!({})),
        ("two agents, two modules", "TwoCartPole-v0", separate),
        ("two agents, normalised", "TwoCartPole-v0", filtered),
        ("in turns, rows carried over", "probe/TurnBased-v0", turns),
    ]
}

fn with_threads(sections: &Value, num_threads: usize) -> Value {
    with(sections, &json!({ "resources": { "num_threads": num_threads } }))
}

#[test]
fn weights_are_the_same_bytes_for_any_number_of_threads() {
    for (name, env, sections) in cases() {
        let one = trained(env, &with_threads(&sections, 1), 3);
        for num_threads in [2, 3, 8] {
            let many = trained(env, &with_threads(&sections, num_threads), 3);
            assert_eq!(weight_bits(&one), weight_bits(&many), "{name}, {num_threads} threads");
            assert_same_state(&one, &many, &format!("{name}, {num_threads} threads"));
        }
        let untrained = build(env, &sections);
        assert_ne!(weight_bits(&one), weight_bits(&untrained), "{name}: nothing was learned");
    }
}

#[test]
fn the_layout_of_the_environments_changes_nothing() {
    for env in ["CartPole-v1", "TwoCartPole-v0"] {
        let layout = |runners: usize, envs: usize| {
            let layout = json!({ "num_env_runners": runners, "num_envs_per_env_runner": envs });
            trained(env, &json!({ "env_runners": layout, "resources": { "num_threads": 2 } }), 2)
        };
        let whole = layout(0, 8);
        for (runners, envs) in [(1, 8), (2, 4), (8, 1)] {
            assert_same_state(&whole, &layout(runners, envs), &format!("{env}: {runners} × {envs}"));
        }
    }
}

#[test]
fn another_seed_gives_other_weights_at_the_start_and_after_training() {
    for iterations in [0, 2] {
        let one = trained("CartPole-v1", &json!({ "debugging": { "seed": 1 } }), iterations);
        let other = trained("CartPole-v1", &json!({ "debugging": { "seed": 2 } }), iterations);
        assert_ne!(weight_bits(&one), weight_bits(&other));
    }
}

#[test]
fn a_resumed_run_equals_an_uninterrupted_one() {
    for (name, env, sections) in cases() {
        let whole = trained(env, &sections, 6);
        let directory = tempfile::tempdir().unwrap();
        let saved = trained(env, &sections, 3).save_to_path(&directory.path().join("half")).unwrap();
        let mut same = Algorithm::from_checkpoint(&saved).unwrap();
        train(&mut same, 3);
        assert_same_state(&whole, &same, name);
        let threads = |config: &mut dyn skirl::config::AlgorithmConfig| {
            config.common_mut().resources.num_threads = Some(3);
            Ok(())
        };
        let mut other_threads = Algorithm::from_checkpoint_with(&saved, threads).unwrap();
        train(&mut other_threads, 3);
        assert_same_state(&whole, &other_threads, &format!("{name}, other threads"));
    }
}

#[test]
fn a_state_can_be_put_back_into_a_run_that_went_on() {
    for (name, env, sections) in cases() {
        let directory = tempfile::tempdir().unwrap();
        let mut algorithm = trained(env, &sections, 2);
        let saved = algorithm.save_to_path(&directory.path().join("early")).unwrap();
        train(&mut algorithm, 2);
        let first_time = weight_bits(&algorithm);
        algorithm.restore_from_path(&saved).unwrap();
        train(&mut algorithm, 2);
        assert_eq!(first_time, weight_bits(&algorithm), "{name}");
    }
}

#[test]
fn a_run_resumes_before_its_first_iteration() {
    for (name, env, sections) in cases() {
        let directory = tempfile::tempdir().unwrap();
        let saved = build(env, &sections).save_to_path(&directory.path().join("start")).unwrap();
        let mut resumed = Algorithm::from_checkpoint(&saved).unwrap();
        train(&mut resumed, 2);
        assert_same_state(&trained(env, &sections, 2), &resumed, name);
    }
}

/// Content of every file under `root`, by relative path.
fn files_under(root: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut files = Vec::new();
    let mut directories = vec![root.to_path_buf()];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                directories.push(path);
            } else {
                files.push((path.strip_prefix(root).unwrap().to_path_buf(), fs::read(&path).unwrap()));
            }
        }
    }
    files.sort();
    files
}

#[test]
fn saving_what_was_loaded_gives_the_same_files() {
    for (name, env, sections) in cases() {
        let directory = tempfile::tempdir().unwrap();
        let first = trained(env, &sections, 2).save_to_path(&directory.path().join("first")).unwrap();
        let again = Algorithm::from_checkpoint(&first).unwrap();
        let second = again.save_to_path(&directory.path().join("second")).unwrap();
        let (first, second) = (files_under(&first), files_under(&second));
        assert!(first.len() > 5);
        for ((path, left), (other_path, right)) in first.iter().zip(&second) {
            assert_eq!(path, other_path);
            // The manifest says when it was written; all else is bytes.
            if path.ends_with("manifest.json") {
                continue;
            }
            assert!(left == right, "{name}: {} differs", path.display());
        }
        assert_eq!(first.len(), second.len());
    }
}

#[test]
fn an_evaluation_depends_on_its_seed_only() {
    for explore in [false, true] {
        let request = |seed| EvaluateRequest { episodes: Some(4), seed: Some(seed), explore: Some(explore) };
        let mut algorithm = trained("CartPole-v1", &json!({}), 1);
        // Ids go on over the evaluations of a run.
        let mut played = |seed| {
            let episodes = algorithm.evaluate(&request(seed)).unwrap().episodes.into_iter();
            episodes.map(|episode| EpisodeRecord { id: 0, ..episode }).collect::<Vec<_>>()
        };
        let first = played(5);
        assert_ne!(first, played(6));
        assert_eq!(first, played(5), "explore: {explore}");
    }
}

#[test]
fn evaluating_does_not_change_training() {
    let every = json!({ "evaluation": { "evaluation_interval": 1, "evaluation_duration": 2 } });
    let (silent, evaluated) = (trained("Pendulum-v1", &json!({}), 3), trained("Pendulum-v1", &every, 3));
    // All but the counts of what was evaluated.
    let state = |algorithm: &Algorithm| {
        let mut files = runs::state_files(&algorithm.snapshot().unwrap());
        if let Some(Payload::Json(state)) = files.get_mut(ALGORITHM_STATE) {
            assert!(state["metrics"]["evaluation"].take().is_object());
        }
        files
    };
    assert_eq!(state(&silent), state(&evaluated));
}

#[test]
fn modules_that_are_not_trained_are_saved_and_restored_too() {
    let sections = json!({
        "multi_agent": {
            "policies": ["left", "right"],
            "policy_mapping": { "cart_0": "left", "cart_1": "right" },
            "policies_to_train": ["left"],
        },
    });
    let directory = tempfile::tempdir().unwrap();
    let algorithm = trained("TwoCartPole-v0", &sections, 2);
    let saved = algorithm.save_to_path(&directory.path().join("saved")).unwrap();
    let before = build("TwoCartPole-v0", &sections);
    assert_eq!(weight_bits(&before)["right"], weight_bits(&algorithm)["right"]);
    assert_ne!(weight_bits(&before)["left"], weight_bits(&algorithm)["left"]);
    let mut other_seed = sections.clone();
    other_seed["debugging"]["seed"] = 2.into();
    let mut other = Algorithm::build(config("TwoCartPole-v0", &other_seed)).unwrap();
    other.restore_from_path(&saved).unwrap();
    assert_eq!(weight_bits(&algorithm), weight_bits(&other));
}
