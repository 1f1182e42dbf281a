//! Runs whose disk fails, that are asked to stop anywhere, or that count beyond what floats can.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

mod runs;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use runs::{assert_same_state, config, train, trained, weight_bits};
use serde_json::{Value, json};
use skirl::callbacks::{CallbackFns, CallbackList};
use skirl::checkpoint::{self, ALGORITHM_STATE, ENV_RUNNER_STATE, ENV_RUNNER_TENSORS, LEARNER_STATE, Tensor};
use skirl::run::{Flow, Run, RunStop, RunSummary};
use skirl::{Algorithm, Error};
use skirl_env::{Column, DType, Env, EnvError, EnvState, Row, RowRef, Space, Step};

fn checkpointed(more: &Value) -> Value {
    let mut sections =
        json!({ "checkpointing": { "checkpoint_frequency": 1 }, "stop": { "training_iteration": 6 } });
    for (name, section) in more.as_object().unwrap() {
        for (option, value) in section.as_object().unwrap() {
            sections[name][option] = value.clone();
        }
    }
    sections
}

/// Lines of result.jsonl.
fn lines(run: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(run.join("result.jsonl")).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn iterations(run: &Path) -> Vec<u64> {
    lines(run).iter().map(|line| line["training_iteration"].as_u64().unwrap()).collect()
}

#[test]
fn an_interval_checkpoint_that_cannot_be_written_is_tried_again() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("run");
    let mut run = Run::create(config("CartPole-v1", &checkpointed(&json!({}))), Some(&path)).unwrap();
    let told = Arc::new(Mutex::new(Vec::new()));
    let listener = Arc::clone(&told);
    run.on_warning(move |warning| listener.lock().unwrap().push(warning.to_owned()));
    let (checkpoints, aside) = (path.join("checkpoints"), path.join("aside"));
    let summary = run.train_until_stop(&mut |result| {
        // From the second to the fourth save a file stands in the way.
        match result.get_count("training_iteration") {
            Some(2) => {
                std::fs::rename(&checkpoints, &aside).unwrap();
                std::fs::write(&checkpoints, "").unwrap();
            }
            Some(5) => {
                std::fs::remove_file(&checkpoints).unwrap();
                std::fs::rename(&aside, &checkpoints).unwrap();
            }
            _ => {}
        }
        Flow::Continue
    });
    assert_eq!(summary.unwrap().checkpoint, Some(checkpoints.join("step-000000001536")));
    let told = told.lock().unwrap();
    assert_eq!(
        (told.len(), run.warnings()),
        (2, told.as_slice()),
        "the first and the second failure in a row"
    );
    assert!(
        told[0].starts_with("no checkpoint: could not create") && told[0].contains("Training goes on"),
        "{told:?}"
    );
    assert!(told[0].contains("in the way"), "{told:?}");
    let steps: Vec<String> =
        checkpoint::list(&checkpoints).unwrap().into_iter().map(|entry| entry.name).collect();
    assert_eq!(steps, [256, 1280, 1536].map(checkpoint::step_name));
    assert_eq!(iterations(&path), [1, 2, 3, 4, 5, 6]);
}

#[test]
fn the_last_checkpoint_is_an_error_when_it_cannot_be_written() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("run");
    let sections = json!({ "stop": { "training_iteration": 2 } });
    let mut run = Run::create(config("CartPole-v1", &sections), Some(&path)).unwrap();
    let checkpoints = path.join("checkpoints");
    std::fs::remove_dir(&checkpoints).unwrap();
    std::fs::write(&checkpoints, "").unwrap();
    let error = run.train_until_stop(&mut |_| Flow::Continue).unwrap_err();
    assert!(matches!(error, Error::Checkpoint(_)), "{error}");
    assert_eq!(iterations(&path), [1, 2], "results are there all the same");
}

#[test]
fn the_best_checkpoint_survives_resume_and_pruning() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("run");
    let metric = "learners/default_policy/vf_loss";
    let ranked = json!({ "checkpointing": {
        "num_to_keep": 3, "checkpoint_score_attribute": metric, "checkpoint_score_order": "min",
    }});
    let mut run = Run::create(config("CartPole-v1", &checkpointed(&ranked)), Some(&path)).unwrap();
    let first = run.train_until_stop(&mut |_| Flow::Continue).unwrap().best.unwrap();
    drop(run);
    let edit = |config: &mut dyn skirl::config::AlgorithmConfig| {
        config.stop_mut().set("training_iteration", 10.0);
        Ok(())
    };
    let mut run = Run::resume(&path, edit).unwrap();
    let summary = run.train_until_stop(&mut |_| Flow::Continue).unwrap();
    let (best, score) = summary.best.unwrap();
    let scores: Vec<(u64, f64)> = lines(&path)
        .iter()
        .map(|line| {
            let steps = line["num_env_steps_sampled_lifetime"].as_u64().unwrap();
            (steps, line["learners"]["default_policy"]["vf_loss"].as_f64().unwrap())
        })
        .collect();
    let lowest = scores.iter().min_by(|left, right| left.1.total_cmp(&right.1)).unwrap();
    assert_eq!(
        (best.file_name().unwrap().to_str().unwrap(), score),
        (&*checkpoint::step_name(lowest.0), lowest.1)
    );
    assert!(score <= first.1);
    assert_eq!(checkpoint::best(&path.join("checkpoints")).unwrap(), best);
    let kept = checkpoint::list(&path.join("checkpoints")).unwrap();
    assert_eq!((kept.len(), kept.iter().filter(|entry| entry.is_best).count()), (3, 1));
    assert!(kept[2].is_latest);
}

#[test]
fn a_misspelt_score_is_refused_before_anything_runs() {
    let refused = |metric: &str| {
        let sections = json!({ "checkpointing": { "checkpoint_score_attribute": metric } });
        config("CartPole-v1", &sections).validate().unwrap_err().to_string()
    };
    let message = refused("env_runners/episode_return_men");
    assert!(message.contains("did you mean `env_runners/episode_return_mean`?"), "{message}");
    assert!(refused("episode_reward_mean").contains("it is called `env_runners/episode_return_mean`"));
    let sections = json!({ "checkpointing": { "num_to_keep": 1 } });
    let refused = std::panic::catch_unwind(|| config("CartPole-v1", &sections));
    assert!(refused.is_err(), "one checkpoint leaves none to fall back on");
}

/// What results hold is known where nobody adds to them; callbacks may add it at any time.
#[test]
fn a_metric_that_no_result_can_have_is_refused_before_training_unless_callbacks_may_add_it() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("run");
    let create = |sections: &Value, callbacks: CallbackList| {
        Run::create_with(config("CartPole-v1", sections), Some(&path), callbacks)
    };
    let refused = |metric: &str| {
        let stop = json!({ "stop": { metric: 1 } });
        let score = json!({ "checkpointing": { "checkpoint_score_attribute": metric } });
        [stop, score].map(|sections| create(&sections, CallbackList::new()).unwrap_err().to_string())
    };
    for message in refused("env_runners/return_mean") {
        assert!(message.contains("did you mean `env_runners/episode_return_mean`?"), "{message}");
        assert!(!path.exists());
    }
    for message in refused("evaluation/env_runners/episodes_number") {
        assert!(message.contains("evaluation/env_runners/ has episode_return_mean, "), "{message}");
    }
    for metric in ["custom_metrics/height_mean", "env_runners/custom_metrics/height_mean"] {
        let [stop, score] = refused(metric);
        assert!(
            stop.contains("come from callbacks") && score.contains("come from callbacks"),
            "{stop}\n{score}"
        );
    }
    // Those of agents, losses and whatever else only a result shows are not refused.
    for metric in ["env_runners/agent_episode_return_mean/cart", "learners/default_policy/vf_loss", "other"] {
        create(&json!({ "stop": { metric: 1 } }), CallbackList::new()).unwrap();
        std::fs::remove_dir_all(&path).unwrap();
    }
    let callbacks = CallbackFns::new("test/later").on_train_result(|algorithm, result| {
        let late = (algorithm.training_iteration() == 3).then_some(1.0);
        result.set("env_runners/my_own", late);
        Ok(())
    });
    let sections = json!({ "stop": { "env_runners/my_own": 1 } });
    let mut run = create(&sections, CallbackList::new().with(callbacks)).unwrap();
    let summary = run.train_until_stop(&mut |_| Flow::Continue).unwrap();
    assert_eq!((summary.criterion_met, run.algorithm().training_iteration()), (true, 3));
}

#[test]
fn a_run_that_cannot_be_built_leaves_no_directory() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a/run");
    let sections = json!({ "environment": { "env_config": { "no_such_argument": 1 } } });
    Run::create(config("CartPole-v1", &sections), Some(&path)).unwrap_err();
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
}

/// As a kill between two files: a directory where a file belongs stops the start at that file.
#[test]
fn the_configuration_is_written_before_all_other_files() {
    for file in ["progress.csv", "result.jsonl"] {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("run");
        std::fs::create_dir_all(path.join(file)).unwrap();
        let config = config("CartPole-v1", &checkpointed(&json!({})));
        let error = Run::create(config, Some(&path)).unwrap_err().to_string();
        assert!(error.contains(file), "{error}");
        assert!(path.join("config.json").is_file(), "nothing that could be resumed is there before {file}");
        std::fs::remove_dir(path.join(file)).unwrap();
        let mut run = Run::resume(&path, |_| Ok(())).unwrap();
        run.train_until_stop(&mut |_| Flow::Continue).unwrap();
        assert_eq!(iterations(&path), [1, 2, 3, 4, 5, 6]);
    }
}

#[test]
fn a_run_killed_before_its_first_checkpoint_starts_from_the_beginning() {
    let directory = tempfile::tempdir().unwrap();
    let (path, whole) = (directory.path().join("run"), directory.path().join("whole"));
    let sections = checkpointed(&json!({}));
    // No destructor runs: the lock file keeps the name of its process, as after a kill.
    let mut run = Run::create(config("CartPole-v1", &sections), Some(&path)).unwrap();
    run.algorithm_mut().train().unwrap();
    let lock = std::fs::read(path.join(".run.lock")).unwrap();
    drop(run);
    std::fs::write(path.join(".run.lock"), lock).unwrap();
    std::fs::create_dir(path.join("checkpoints/.tmp-step-000000000256-0123")).unwrap();
    let mut run = Run::resume(&path, |_| Ok(())).unwrap();
    let warnings = run.warnings().join("\n");
    assert!(
        warnings.contains("its run is taken over") && warnings.contains("no checkpoint yet"),
        "{warnings}"
    );
    run.train_until_stop(&mut |_| Flow::Continue).unwrap();
    let mut straight = Run::create(config("CartPole-v1", &sections), Some(&whole)).unwrap();
    straight.train_until_stop(&mut |_| Flow::Continue).unwrap();
    assert_same_state(run.algorithm(), straight.algorithm(), "from the beginning");
    assert_eq!(iterations(&path), iterations(&whole));

    // Lost checkpoints are no reason to start again.
    drop(run);
    for entry in checkpoint::list(&path.join("checkpoints")).unwrap() {
        std::fs::remove_dir_all(entry.path).unwrap();
    }
    let error = Run::resume(&path, |_| Ok(())).unwrap_err();
    assert!(matches!(error, Error::Checkpoint(_)), "{error}");
}

/// Steps of all [`Tripwire`]s of this process, the step at which to stop, whom, and how long a step takes.
static STEPS: AtomicU64 = AtomicU64::new(0);
static TRIP: Mutex<Option<(u64, RunStop)>> = Mutex::new(None);
static MICROS: AtomicU64 = AtomicU64::new(0);

/// An environment that asks its run to stop at a certain step.
struct Tripwire {
    age: i64,
}

impl Env for Tripwire {
    fn observation_space(&self) -> Space {
        Space::boxed(0.0, 100.0, &[1], DType::F32)
    }

    fn action_space(&self) -> Space {
        Space::discrete(2)
    }

    fn reset(&mut self, _seed: Option<u64>, observation: &mut Row<'_>) -> Result<(), EnvError> {
        self.age = 0;
        observation.set(&[0.0])
    }

    fn step(&mut self, _action: &RowRef<'_>, observation: &mut Row<'_>) -> Result<Step, EnvError> {
        let step = STEPS.fetch_add(1, Ordering::Relaxed) + 1;
        if let Some((_, stop)) = TRIP.lock().unwrap().as_ref().filter(|(at, _)| *at == step) {
            stop.stop();
        }
        std::thread::sleep(Duration::from_micros(MICROS.load(Ordering::Relaxed)));
        self.age += 1;
        observation.set(&[self.age as f32])?;
        Ok(if self.age == 37 { Step::terminal(1.0) } else { Step::running(0.5) })
    }

    fn save_state(&self) -> Option<EnvState> {
        Some(EnvState::from([("age".to_owned(), Column::I64(vec![self.age]))]))
    }

    fn restore_state(&mut self, state: &EnvState) -> Result<(), EnvError> {
        self.age = skirl_env::state::entry::<i64>(state, "age", 1)?[0];
        Ok(())
    }
}

/// Trains to the end of the run, stopping at the `at`-th step from now.
fn train_until(run: &mut Run, at: u64) -> RunSummary {
    *TRIP.lock().unwrap() = Some((STEPS.load(Ordering::Relaxed) + at, run.stop_handle()));
    let summary = run.train_until_stop(&mut |_| Flow::Continue).unwrap();
    *TRIP.lock().unwrap() = None;
    summary
}

#[test]
fn a_stop_at_any_step_is_exact() {
    skirl_env::register_env("test/Tripwire", || Tripwire { age: 0 }).unwrap();
    let directory = tempfile::tempdir().unwrap();
    // Two passes of the pipeline make an iteration, so that there is something to cut.
    let sections = json!({
        "reporting": { "min_sample_timesteps_per_iteration": 512 },
        "stop": { "training_iteration": 3 },
        "evaluation": { "evaluation_at_end": true, "evaluation_duration": 1 },
    });
    let whole = directory.path().join("whole");
    let mut straight = Run::create(config("test/Tripwire", &sections), Some(&whole)).unwrap();
    straight.train_until_stop(&mut |_| Flow::Continue).unwrap();

    // In the first iteration, whose length nobody knows; then, iterations being short, in the second; in the second
    // after a first one of more than a second.
    let cases = [
        (1, 0, 0),
        (200, 0, 0),
        (256, 0, 0),
        (511, 0, 0),
        (512, 0, 0),
        (600, 0, 2),
        (600, 2_100, 1),
        (1024, 2_100, 1),
    ];
    for (at, micros, finished) in cases {
        MICROS.store(micros, Ordering::Relaxed);
        let path: PathBuf = directory.path().join(format!("{at}-{micros}"));
        let mut run = Run::create(config("test/Tripwire", &sections), Some(&path)).unwrap();
        let summary = train_until(&mut run, at);
        MICROS.store(0, Ordering::Relaxed);
        assert!(summary.interrupted && !summary.criterion_met && summary.evaluation.is_none());
        assert_eq!(run.algorithm().training_iteration(), finished, "stopped at step {at}, {micros} µs each");
        assert_eq!(
            summary.checkpoint,
            Some(path.join("checkpoints").join(checkpoint::step_name(512 * finished)))
        );
        drop(run);
        let mut resumed = Run::resume(&path, |_| Ok(())).unwrap();
        assert_eq!(resumed.algorithm().training_iteration(), finished);
        resumed.train_until_stop(&mut |_| Flow::Continue).unwrap();
        assert_same_state(resumed.algorithm(), straight.algorithm(), &format!("stopped at step {at}"));
        assert_eq!(iterations(&path), [1, 2, 3]);
    }

    // A request before the first iteration stops before it, and only once.
    let path = directory.path().join("early");
    let mut run = Run::create(config("test/Tripwire", &sections), Some(&path)).unwrap();
    run.stop_handle().stop();
    assert!(run.train_until_stop(&mut |_| Flow::Continue).unwrap().interrupted);
    assert_eq!(run.algorithm().env_steps(), 0);
    assert!(run.train_until_stop(&mut |_| Flow::Continue).unwrap().criterion_met);
    assert_same_state(run.algorithm(), straight.algorithm(), "asked before the first step");
}

#[test]
fn counters_are_exact_wherever_they_stand() {
    let algorithm = trained("CartPole-v1", &json!({}), 1);
    for start in [(1_u64 << 24) - 1, (1 << 31) - 1, (1 << 32) - 1, (1 << 53) - 1] {
        let directory = tempfile::tempdir().unwrap();
        let mut snapshot = algorithm.snapshot().unwrap();
        let mut state = snapshot.json(ALGORITHM_STATE).unwrap().clone();
        state["pipeline"]["slots"]["env_steps"] = json!(start);
        state["pipeline"]["slots"]["agent_steps"] = json!(start);
        state["pipeline"]["slots"]["weights_version"] = json!(start);
        state["pipeline"]["iterations"] = json!(start);
        state["metrics"]["training_iteration"] = json!(start);
        state["metrics"]["agent_steps_lifetime"] = json!(start);
        snapshot.put_json(ALGORITHM_STATE, state);
        let mut learner = snapshot.json(LEARNER_STATE).unwrap().clone();
        learner["weights_version"] = json!(start.to_string());
        snapshot.put_json(LEARNER_STATE, learner);
        let mut runner = snapshot.json(ENV_RUNNER_STATE).unwrap().clone();
        runner["vector"]["steps"] = json!(start);
        snapshot.put_json(ENV_RUNNER_STATE, runner);

        let mut far =
            Algorithm::from_checkpoint(&algorithm.save_to_path(&directory.path().join("near")).unwrap())
                .unwrap();
        far.restore(&snapshot).unwrap();
        let result = far.train().unwrap();
        assert_eq!((far.env_steps(), far.training_iteration()), (start + 256, start + 1));
        for count in
            ["num_env_steps_sampled_lifetime", "env_runners/num_agent_steps_sampled_lifetime/default_agent"]
        {
            assert_eq!(result.get_count(count), Some(start + 256), "{count}");
        }
        let line: Value = serde_json::from_str(&result.to_json_line()).unwrap();
        assert_eq!(line["num_env_steps_sampled_lifetime"].as_u64(), Some(start + 256));

        let parent = directory.path().join("checkpoints");
        let name = checkpoint::step_name(far.env_steps());
        checkpoint::save(&parent, &name, &far.snapshot().unwrap()).unwrap();
        let manifest: Value =
            serde_json::from_slice(&std::fs::read(parent.join(&name).join("manifest.json")).unwrap())
                .unwrap();
        assert_eq!(manifest["counters"]["num_env_steps_sampled_lifetime"], json!((start + 256).to_string()));
        let mut resumed = Algorithm::from_checkpoint(&parent).unwrap();
        assert_same_state(&resumed, &far, "resumed");
        train(&mut resumed, 1);
        train(&mut far, 1);
        assert_eq!(weight_bits(&resumed), weight_bits(&far));
        assert_eq!(resumed.env_steps(), start + 512);
    }
}

#[test]
fn counts_that_would_overflow_are_refused() {
    let mut algorithm = trained("CartPole-v1", &json!({}), 1);
    let sound = algorithm.snapshot().unwrap();
    let mut refused = |change: &dyn Fn(&mut checkpoint::Snapshot)| {
        let mut snapshot = sound.clone();
        change(&mut snapshot);
        let error = algorithm.restore(&snapshot).unwrap_err().to_string();
        assert_eq!(algorithm.snapshot().unwrap(), sound, "stays as it was");
        error
    };
    let message = refused(&|snapshot| {
        let mut state = snapshot.json(ALGORITHM_STATE).unwrap().clone();
        state["pipeline"]["slots"]["env_steps"] = json!(u64::MAX);
        snapshot.put_json(ALGORITHM_STATE, state);
    });
    assert!(message.contains("`env_steps` in `algorithm_state.json`"), "{message}");
    let message = refused(&|snapshot| {
        let mut state = snapshot.json(LEARNER_STATE).unwrap().clone();
        state["weights_version"] = json!(u64::MAX.to_string());
        snapshot.put_json(LEARNER_STATE, state);
    });
    assert!(message.contains("weights_version"), "{message}");
    for (entry, value) in [
        ("total_steps", Tensor::vector(vec![u64::MAX])),
        ("steps#u32", Tensor::vector(vec![255_u8; 16])),
        ("status", Tensor::vector(vec![7_u8; 4])),
    ] {
        let message = refused(&|snapshot| {
            let mut tensors = snapshot.tensors(ENV_RUNNER_TENSORS).unwrap().all().clone();
            assert!(tensors.insert(format!("env/clock/{entry}"), value.clone()).is_some(), "{entry}");
            snapshot.put_tensors(ENV_RUNNER_TENSORS, tensors);
        });
        assert!(message.contains("clock/"), "{entry}: {message}");
    }
}
