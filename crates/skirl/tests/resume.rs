//! What is saved when a run fails, and what a resumed one takes over.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, clippy::float_cmp)]

mod runs;

use std::sync::atomic::{AtomicUsize, Ordering};

use runs::{assert_same_state, build, config, train, trained, weight_bits};
use serde_json::{Value, json};
use skirl::checkpoint::ENV_RUNNER_STATE;
use skirl::run::{Flow, Run};
use skirl::{Algorithm, Error};
use skirl_env::{
    AgentActions, AgentStep, DType, Env, EnvError, MultiAgentEnv, Row, RowRef, Space, Step, TwoCartPoles,
};

/// Tells its age in steps, and cannot save its state. `resets` counts those with a seed.
struct Clock {
    age: u32,
    resets: &'static AtomicUsize,
}

impl Env for Clock {
    fn observation_space(&self) -> Space {
        Space::boxed(0.0, 100.0, &[1], DType::F32)
    }

    fn action_space(&self) -> Space {
        Space::discrete(2)
    }

    fn reset(&mut self, seed: Option<u64>, observation: &mut Row<'_>) -> Result<(), EnvError> {
        self.resets.fetch_add(usize::from(seed.is_some()), Ordering::Relaxed);
        self.age = 0;
        observation.set(&[0.0])
    }

    fn step(&mut self, _action: &RowRef<'_>, observation: &mut Row<'_>) -> Result<Step, EnvError> {
        self.age += 1;
        observation.set(&[self.age as f32])?;
        Ok(if self.age == 50 { Step::terminal(1.0) } else { Step::running(1.0) })
    }
}

fn register_clock(name: &str, resets: &'static AtomicUsize) {
    skirl_env::register_env(name, move || Clock { age: 0, resets }).unwrap();
}

fn runner_state(algorithm: &Algorithm) -> Value {
    algorithm.snapshot().unwrap().json(ENV_RUNNER_STATE).unwrap().clone()
}

#[test]
fn a_failed_run_saves_what_it_learned() {
    let directory = tempfile::tempdir().unwrap();
    let env_config = json!({ "env": "CartPole-v1", "fault": "nan_reward", "at_step": 200, "on_env": 2 });
    let sections = json!({ "environment": { "env_config": env_config } });
    let mut run = Run::create(config("testing/Faulty-v0", &sections), Some(directory.path())).unwrap();
    let error = run.train_until_stop(&mut |_| Flow::Continue).unwrap_err();
    let message = error.to_string();
    assert!(matches!(error.cause(), Error::Env { .. }), "{message}");
    assert!(matches!(error, Error::RunFailed { .. }) && message.contains("checkpoints"), "{message}");
    assert_eq!(run.algorithm().training_iteration(), 3);
    let good = weight_bits(run.algorithm());
    drop(run);
    let resumed = Run::resume(directory.path(), |_| Ok(())).unwrap();
    assert_eq!(resumed.algorithm().training_iteration(), 3);
    assert_eq!(weight_bits(resumed.algorithm()), good);
}

#[test]
fn an_environment_without_a_state_starts_a_new_episode() {
    static RESETS: AtomicUsize = AtomicUsize::new(0);
    register_clock("test/Clock", &RESETS);
    let directory = tempfile::tempdir().unwrap();
    let algorithm = trained("test/Clock", &json!({}), 1);
    let before = runner_state(&algorithm);
    assert_eq!(before["vector"]["episodes"][0]["len"], 14);
    let saved = algorithm.save_to_path(&directory.path().join("saved")).unwrap();
    let mut resumed = Algorithm::from_checkpoint(&saved).unwrap();
    let after = runner_state(&resumed);
    assert_eq!(after["vector"]["steps"], before["vector"]["steps"]);
    for episode in after["vector"]["episodes"].as_array().unwrap() {
        assert_eq!(
            (&episode["len"], &episode["episode_return"], &episode["index"]),
            (&json!(0), &json!(0.0), &json!(2))
        );
    }
    let current = resumed.snapshot().unwrap();
    let current = current.tensors(skirl::checkpoint::ENV_RUNNER_TENSORS).unwrap();
    assert_eq!(current.f32("current", &[4]).unwrap(), [0.0; 4]);
    assert!(
        resumed.warnings().iter().any(|warning| warning.contains("test/Clock")),
        "{:?}",
        resumed.warnings()
    );
    let result = resumed.train().unwrap();
    assert_eq!(result.get("env_runners/episode_len_max"), Some(50.0));
}

/// The rows of an episode that started anew are not those of the one before.
#[test]
fn whole_episodes_go_on_after_an_environment_started_anew() {
    static RESETS: AtomicUsize = AtomicUsize::new(0);
    register_clock("test/WholeClock", &RESETS);
    let directory = tempfile::tempdir().unwrap();
    let sections = json!({ "run": "PG", "env_runners": { "batch_mode": "complete_episodes" } });
    let algorithm = trained("test/WholeClock", &sections, 1);
    let running = &runner_state(&algorithm)["vector"]["episodes"][0]["len"];
    assert!(running.as_u64().unwrap() > 0, "{running}");
    let saved = algorithm.save_to_path(&directory.path().join("saved")).unwrap();
    let mut resumed = Algorithm::from_checkpoint(&saved).unwrap();
    for _ in 0..3 {
        let result = resumed.train().unwrap();
        let trained = result.get("learners/default_policy/num_module_steps_trained").unwrap();
        assert_eq!(trained % 50.0, 0.0, "every episode has 50 steps");
    }
}

/// Two cart-poles that act in turn, and cannot save their state.
struct Turns {
    inner: TwoCartPoles,
    turn: usize,
}

impl MultiAgentEnv for Turns {
    fn agents(&self) -> &[String] {
        self.inner.agents()
    }

    fn observation_space(&self, agent: usize) -> &Space {
        self.inner.observation_space(agent)
    }

    fn action_space(&self, agent: usize) -> &Space {
        self.inner.action_space(agent)
    }

    fn reset(&mut self, _seed: Option<u64>, out: &mut AgentStep) -> Result<(), EnvError> {
        self.turn = 0;
        out.observe(0).set(&[0.0; 4])
    }

    fn step(&mut self, _actions: &AgentActions, out: &mut AgentStep) -> Result<(), EnvError> {
        self.turn += 1;
        if self.turn == 50 {
            out.all_terminated = true;
        }
        out.observe(self.turn % 2).set(&[self.turn as f32; 4])
    }
}

#[test]
fn agents_of_an_environment_without_a_state_forget_their_open_rows() {
    skirl_env::register_multi_agent_env("test/Turns", |_| {
        Ok(Turns { inner: TwoCartPoles::default(), turn: 0 })
    })
    .unwrap();
    let directory = tempfile::tempdir().unwrap();
    let algorithm = trained("test/Turns", &json!({}), 1);
    let before = runner_state(&algorithm);
    assert!(before["agents"]["carried"][0].is_object(), "a row waits for the other agent's turn");
    let saved = algorithm.save_to_path(&directory.path().join("saved")).unwrap();
    let mut resumed = Algorithm::from_checkpoint(&saved).unwrap();
    let after = runner_state(&resumed);
    assert!(after["agents"]["carried"][0].is_null());
    for slot in after["agents"]["envs"].as_array().unwrap() {
        assert_eq!(slot["open"], json!([null, null]));
        assert_eq!(slot["must_act"], json!([true, false]));
        assert_eq!(slot["episode"]["len"], 0);
    }
    train(&mut resumed, 1);

    let mut broken = algorithm.snapshot().unwrap();
    let mut state = before.clone();
    state["agents"]["envs"][0]["open"] = json!([7, 7]);
    broken.put_json(ENV_RUNNER_STATE, state);
    let error = resumed.restore(&broken).unwrap_err();
    assert!(matches!(error, Error::RunnerState { .. }), "{error}");
}

#[test]
fn a_restored_state_brings_its_seed() {
    for env in ["CartPole-v1", "TwoCartPole-v0"] {
        let directory = tempfile::tempdir().unwrap();
        let seeded = |seed: u64| json!({ "debugging": { "seed": seed } });
        let mut first = trained(env, &seeded(11), 1);
        let saved = first.save_to_path(&directory.path().join("saved")).unwrap();
        let mut other = build(env, &seeded(12));
        other.restore_from_path(&saved).unwrap();
        assert_eq!((other.seed(), other.config().common().debugging.seed), (11, Some(11)));
        train(&mut first, 1);
        train(&mut other, 1);
        assert_same_state(&first, &other, env);
        let request = skirl::algorithm::EvaluateRequest::default();
        assert_eq!(first.evaluate(&request).unwrap(), other.evaluate(&request).unwrap());
    }
}

#[test]
fn counts_of_a_result_add_up_over_its_training_steps() {
    let sections = json!({ "reporting": { "min_sample_timesteps_per_iteration": 700 } });
    let result = build("CartPole-v1", &sections).train().unwrap();
    assert_eq!(result.get("num_training_step_calls_per_iteration"), Some(3.0));
    assert_eq!(result.get("env_runners/num_agent_steps_sampled/default_agent"), Some(768.0));
    let trained = result.get("learners/default_policy/num_module_steps_trained");
    assert_eq!(trained, result.get("learners/default_policy/num_module_steps_trained_lifetime"));
    assert_eq!(trained, result.get("learners/__all_modules__/num_module_steps_trained"));
    for lifetime in ["", "_lifetime"] {
        for (steps, expected) in [("module_steps", trained), ("env_steps", trained)] {
            assert_eq!(
                result.get(&format!("learners/__all_modules__/num_{steps}_trained{lifetime}")),
                expected
            );
        }
        for name in ["agent_steps_sampled LT/default_agent", "module_steps_sampled LT/default_policy"] {
            let key = format!("env_runners/num_{}", name.replace(" LT", lifetime));
            assert_eq!(result.get(&key), Some(768.0), "{key}");
        }
    }
}

/// The oracle is the rule of the game: each of the two pushes its own cart at every step.
#[test]
fn decisions_of_several_agents_are_counted_by_name_also_after_a_resume() {
    let sections = json!({ "multi_agent": { "policies": ["even", "odd"], "policy_mapping": { "cart_0": "even", "cart_1": "odd" } } });
    let mut algorithm = build("TwoCartPole-v0", &sections);
    let first = algorithm.train().unwrap();
    let agents = first.value("env_runners/num_agent_steps_sampled").unwrap().as_object().unwrap().clone();
    let modules = first.value("env_runners/num_module_steps_sampled").unwrap().as_object().unwrap();
    assert_eq!((agents.len(), modules.len()), (2, 2), "{agents:?} {modules:?}");
    let sum =
        |counts: &serde_json::Map<String, Value>| counts.values().filter_map(Value::as_u64).sum::<u64>();
    let steps = first.get_count("env_runners/num_env_steps_sampled").unwrap();
    assert!(sum(&agents) > steps && sum(&agents) <= 2 * steps && sum(&agents) == sum(modules));
    assert_eq!(first.value("learners/__all_modules__/num_env_steps_trained"), None);

    let mut resumed = build("TwoCartPole-v0", &sections);
    resumed.restore(&algorithm.snapshot().unwrap()).unwrap();
    let (second, again) = (algorithm.train().unwrap(), resumed.train().unwrap());
    for key in
        ["num_agent_steps_sampled_lifetime", "num_module_steps_sampled_lifetime", "num_agent_steps_sampled"]
    {
        let key = format!("env_runners/{key}");
        assert_eq!(second.value(&key), again.value(&key), "{key}");
    }
    for (agent, rows) in &agents {
        let of = |name: &str| second.get_count(&format!("env_runners/{name}/{agent}")).unwrap();
        assert_eq!(
            of("num_agent_steps_sampled_lifetime"),
            rows.as_u64().unwrap() + of("num_agent_steps_sampled")
        );
    }
}

#[test]
fn an_edited_configuration_is_written_and_its_window_used() {
    let directory = tempfile::tempdir().unwrap();
    let sections = json!({ "stop": { "training_iteration": 2 } });
    let mut run = Run::create(config("CartPole-v1", &sections), Some(directory.path())).unwrap();
    run.train_until_stop(&mut |_| Flow::Continue).unwrap();
    drop(run);
    let edit = |config: &mut dyn skirl::config::AlgorithmConfig| {
        config.common_mut().reporting.metrics_num_episodes_for_smoothing = 1;
        config.stop_mut().0.insert("training_iteration".to_owned(), 3.0);
        Ok(())
    };
    let mut run = Run::resume(directory.path(), edit).unwrap();
    let window = |run: &Run| {
        let written = skirl::report::RunDirectory::read_config(run.path()).unwrap();
        written["reporting"]["metrics_num_episodes_for_smoothing"].clone()
    };
    assert_eq!(window(&run), 100, "a run that is only looked at keeps its configuration");
    let mut ends = Vec::new();
    run.train_until_stop(&mut |result| {
        ends = ["min", "max"].map(|end| result.get(&format!("env_runners/episode_return_{end}"))).to_vec();
        Flow::Continue
    })
    .unwrap();
    assert_eq!(window(&run), 1);
    assert!(ends[0].is_some() && ends[0] == ends[1], "{ends:?}");
}

#[test]
fn the_last_evaluation_is_not_made_twice() {
    static RESETS: AtomicUsize = AtomicUsize::new(0);
    register_clock("test/CountedClock", &RESETS);
    let directory = tempfile::tempdir().unwrap();
    let sections = json!({
        "stop": { "training_iteration": 2 },
        "evaluation": {
            "evaluation_interval": 2, "evaluation_at_end": true, "evaluation_duration": 3, "evaluation_num_envs": 3,
        },
    });
    let mut run = Run::create(config("test/CountedClock", &sections), Some(directory.path())).unwrap();
    let summary = run.train_until_stop(&mut |_| Flow::Continue).unwrap();
    assert_eq!(summary.evaluation.unwrap().episodes.len(), 3);
    // Four environments of training; three of evaluation, reset when made and once for the evaluation.
    assert_eq!(RESETS.load(Ordering::Relaxed), 4 + 3 + 3);
}

#[test]
fn state_that_was_changed_by_hand_at_the_same_step_is_saved_again() {
    let directory = tempfile::tempdir().unwrap();
    let sections = json!({
        "stop": { "training_iteration": 1 }, "checkpointing": { "checkpoint_score_attribute": "training_iteration" },
    });
    let mut run = Run::create(config("CartPole-v1", &sections), Some(directory.path())).unwrap();
    let path = run.train_until_stop(&mut |_| Flow::Continue).unwrap().checkpoint.unwrap();
    let written = || std::fs::metadata(path.join("manifest.json")).unwrap().modified().unwrap();
    let first = written();
    assert_eq!((run.checkpoint().unwrap(), written()), (path.clone(), first), "nothing has changed");
    run.algorithm().shared_state().counter("by_hand").add(5).unwrap();
    assert_eq!(run.checkpoint().unwrap(), path);
    drop(run);
    let again = written();
    let mut resumed = Run::resume(directory.path(), |_| Ok(())).unwrap();
    assert_eq!(resumed.algorithm().shared_state().counter("by_hand").get().unwrap(), 5);
    assert_eq!((resumed.checkpoint().unwrap(), written()), (path.clone(), again), "nothing has changed");
    // What cannot be read any more is no checkpoint of this state.
    std::fs::remove_file(path.join("manifest.json")).unwrap();
    assert_eq!(resumed.checkpoint().unwrap(), path);
    drop(resumed);
    Algorithm::from_checkpoint(&path).unwrap();
}

#[test]
fn whole_episodes_cannot_begin_in_the_middle_of_a_run() {
    let directory = tempfile::tempdir().unwrap();
    let saved = |mode: &str| {
        let sections = json!({ "env_runners": { "batch_mode": mode } });
        trained("CartPole-v1", &sections, 1).save_to_path(&directory.path().join(mode)).unwrap()
    };
    let (truncated, complete) = (saved("truncate_episodes"), saved("complete_episodes"));
    let switched = |path: &std::path::Path, mode: &str| {
        Algorithm::from_checkpoint_with(path, |config| {
            Ok(config.apply_json(&json!({ "env_runners": { "batch_mode": mode } }), "test")?)
        })
    };
    let message = switched(&truncated, "complete_episodes").unwrap_err().to_string();
    assert!(message.contains("env_runners.batch_mode") && message.contains("new run"), "{message}");
    switched(&complete, "truncate_episodes").unwrap().train().unwrap();
    switched(&complete, "complete_episodes").unwrap().train().unwrap();
}
