//! Evaluation beside training, and own evaluation functions.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use skirl::algorithm::{CustomEvaluation, EvaluateRequest, register_evaluation_function};
use skirl::callbacks::{CallbackFns, CallbackList};
use skirl::checkpoint::{ALGORITHM_STATE, Payload};
use skirl::evaluate::Evaluation;
use skirl::run::{Flow, Run};
use skirl::{Algorithm, Error};
use skirl_env::{DType, Env, EnvError, EnvSpec, Row, RowRef, Space, Step};

use super::on_threads;
use super::runs::{assert_same_state, build, config, state_files, trained, weight_bits};
use super::stairs::register;

fn evaluated(more: &Value) -> Value {
    let mut sections = json!({
        "evaluation": { "evaluation_interval": 1, "evaluation_duration": 5 },
        "env_runners": { "observation_filter": "MeanStdFilter" },
    });
    for (name, value) in more.as_object().unwrap() {
        sections["evaluation"][name] = value.clone();
    }
    sections
}

fn results(algorithm: &mut Algorithm, iterations: usize) -> Vec<Option<Value>> {
    (0..iterations).map(|_| algorithm.train().unwrap().value("evaluation").cloned()).collect()
}

/// Without the counts over all evaluations so far.
fn of_one(results: &[Option<Value>]) -> Vec<Option<Value>> {
    let mut results = results.to_vec();
    for result in results.iter_mut().flatten() {
        let runners = result["env_runners"].as_object_mut().unwrap();
        runners.retain(|name, _| !name.ends_with("_lifetime"));
    }
    results
}

/// The whole state but for the counts of evaluations.
fn state(algorithm: &Algorithm) -> BTreeMap<String, Payload> {
    let mut files = state_files(&algorithm.snapshot().unwrap());
    let Some(Payload::Json(state)) = files.get_mut(ALGORITHM_STATE) else { panic!("no state") };
    state["metrics"].as_object_mut().unwrap().remove("evaluation").unwrap();
    files
}

#[test]
fn beside_training_the_weights_of_the_iterations_start_are_evaluated() {
    for env in ["CartPole-v1", "TwoCartPole-v0"] {
        let after = results(&mut build(env, &evaluated(&json!({}))), 4);
        let mut algorithm = build(env, &evaluated(&json!({ "evaluation_parallel_to_training": true })));
        let beside = results(&mut algorithm, 4);
        // What runs beside iteration n + 1 belongs to the weights after iteration n: the same bytes.
        assert_eq!(of_one(&beside[1..]), of_one(&after[..3]), "{env}");
        let mut untrained = build(env, &evaluated(&json!({})));
        let first = untrained.evaluate(&EvaluateRequest::default()).unwrap();
        let mean = beside[0].as_ref().unwrap()["env_runners"]["episode_return_mean"].as_f64();
        assert_eq!(mean, first.return_mean(), "{env}");
        assert_ne!(beside[0], beside[3], "{env}");
    }
}

#[test]
fn training_gives_the_same_bytes_with_and_without_evaluation_beside_it() {
    for env in ["CartPole-v1", "TwoCartPole-v0"] {
        let plain = json!({ "env_runners": { "observation_filter": "MeanStdFilter" } });
        let without = trained(env, &plain, 4);
        for num_threads in [1, 4] {
            let beside = evaluated(&json!({ "evaluation_parallel_to_training": true }));
            let with = trained(env, &on_threads(&beside, num_threads), 4);
            assert!(state(&without) == state(&with), "{env}, {num_threads} threads");
        }
    }
}

#[test]
fn a_resumed_run_evaluates_beside_training_as_an_uninterrupted_one() {
    let sections = evaluated(&json!({ "evaluation_parallel_to_training": true, "evaluation_interval": 2 }));
    let mut whole = build("CartPole-v1", &sections);
    let all = results(&mut whole, 6);
    assert_eq!(all.iter().map(Option::is_some).collect::<Vec<_>>(), [false, true, false, true, false, true]);
    let directory = tempfile::tempdir().unwrap();
    let saved = trained("CartPole-v1", &sections, 3).save_to_path(&directory.path().join("half")).unwrap();
    let mut resumed = Algorithm::from_checkpoint(&saved).unwrap();
    assert_eq!(results(&mut resumed, 3), all[3..]);
    assert_same_state(&whole, &resumed, "resumed");
}

#[test]
fn at_the_end_the_newest_weights_are_evaluated() {
    let beside = json!({
        "evaluation_parallel_to_training": true, "evaluation_at_end": true, "evaluation_interval": 2,
    });
    let mut sections = evaluated(&beside);
    sections["stop"] = json!({ "training_iteration": 2 });
    let directory = tempfile::tempdir().unwrap();
    let mut run = Run::create(config("CartPole-v1", &sections), Some(directory.path())).unwrap();
    let summary = run.train_until_stop(&mut |_| Flow::Continue).unwrap();
    let mut other = trained("CartPole-v1", &evaluated(&json!({ "evaluation_interval": null })), 2);
    let newest = other.evaluate(&EvaluateRequest::default()).unwrap();
    assert_eq!(summary.result.get("evaluation/env_runners/episode_return_mean"), newest.return_mean());
    let lengths =
        |evaluation: &Evaluation| -> Vec<u64> { evaluation.episodes.iter().map(|e| e.len).collect() };
    assert_eq!(lengths(&summary.evaluation.unwrap()), lengths(&newest));
}

/// Steps taken in training and in evaluation; an environment of either kind waits until the other has taken one.
static TRAINED: AtomicUsize = AtomicUsize::new(0);
static EVALUATED: AtomicUsize = AtomicUsize::new(0);

struct Waits {
    evaluates: bool,
    steps: u32,
}

impl Env for Waits {
    fn observation_space(&self) -> Space {
        Space::boxed(0.0, 1.0, &[1], DType::F32)
    }

    fn action_space(&self) -> Space {
        Space::discrete(2)
    }

    fn reset(&mut self, _seed: Option<u64>, observation: &mut Row<'_>) -> Result<(), EnvError> {
        self.steps = 0;
        observation.set(&[0.0])
    }

    fn step(&mut self, _action: &RowRef<'_>, observation: &mut Row<'_>) -> Result<Step, EnvError> {
        let (own, other) = if self.evaluates { (&EVALUATED, &TRAINED) } else { (&TRAINED, &EVALUATED) };
        own.fetch_add(1, Ordering::SeqCst);
        let started = Instant::now();
        while other.load(Ordering::SeqCst) == 0 {
            if started.elapsed() > Duration::from_secs(30) {
                return Err(EnvError::raised("nobody came"));
            }
            std::thread::yield_now();
        }
        self.steps += 1;
        observation.set(&[0.0])?;
        Ok(if self.steps == 8 { Step::terminal(1.0) } else { Step::running(0.0) })
    }
}

#[test]
fn it_runs_at_the_same_time_also_with_one_thread() {
    let build_env = |context: &skirl_env::EnvContext| {
        Ok(Waits { evaluates: context.env_config.contains_key("evaluates"), steps: 0 })
    };
    skirl_env::register("test/Waits", EnvSpec::single(build_env)).unwrap();
    let sections = evaluated(&json!({
        "evaluation_parallel_to_training": true, "evaluation_config": { "env_config": { "evaluates": true } },
    }));
    let result = build("test/Waits", &on_threads(&sections, 1)).train().unwrap();
    assert_eq!(result.get("evaluation/env_runners/episode_return_mean"), Some(1.0));
}

/// Never ends in evaluation, and fails in training once evaluation has begun.
static ENDLESS_BEGAN: AtomicBool = AtomicBool::new(false);

struct Endless {
    evaluates: bool,
}

impl Env for Endless {
    fn observation_space(&self) -> Space {
        Space::boxed(0.0, 1.0, &[1], DType::F32)
    }

    fn action_space(&self) -> Space {
        Space::discrete(2)
    }

    fn reset(&mut self, _seed: Option<u64>, observation: &mut Row<'_>) -> Result<(), EnvError> {
        observation.set(&[0.0])
    }

    fn step(&mut self, _action: &RowRef<'_>, observation: &mut Row<'_>) -> Result<Step, EnvError> {
        observation.set(&[0.0])?;
        if self.evaluates {
            ENDLESS_BEGAN.store(true, Ordering::SeqCst);
            return Ok(Step::running(0.0));
        }
        while !ENDLESS_BEGAN.load(Ordering::SeqCst) {
            std::thread::yield_now();
        }
        Err(EnvError::raised("planted in training"))
    }
}

#[test]
fn training_that_fails_ends_the_evaluation_beside_it() {
    let build_env = |context: &skirl_env::EnvContext| {
        Ok(Endless { evaluates: context.env_config.contains_key("evaluates") })
    };
    skirl_env::register("test/Endless", EnvSpec::single(build_env)).unwrap();
    let sections = evaluated(&json!({
        "evaluation_parallel_to_training": true, "evaluation_config": { "env_config": { "evaluates": true } },
    }));
    let error = build("test/Endless", &sections).train().unwrap_err();
    assert!(error.to_string().contains("planted in training"), "{error}");
}

#[test]
fn hooks_of_evaluation_are_called_around_the_one_beside_training() {
    let callbacks = CallbackFns::new("test/hooks")
        .on_evaluate_end(|algorithm, evaluation| {
            evaluation.extra.insert("ended_after".to_owned(), algorithm.training_iteration() as f64);
            Ok(())
        })
        .on_train_result(|_, result| {
            let seen = result.get("evaluation/env_runners/episode_return_mean").is_some();
            result.set("evaluation_seen", u64::from(seen));
            Ok(())
        });
    let list = CallbackList::new().with(callbacks);
    let sections = evaluated(&json!({ "evaluation_parallel_to_training": true, "evaluation_interval": 2 }));
    let mut algorithm = Algorithm::build_with(config("CartPole-v1", &sections), list).unwrap();
    let (first, second) = (algorithm.train().unwrap(), algorithm.train().unwrap());
    assert_eq!(
        (first.get("evaluation/ended_after"), second.get("evaluation/ended_after")),
        (None, Some(2.0))
    );
    assert_eq!((first.get("evaluation_seen"), second.get("evaluation_seen")), (Some(0.0), Some(1.0)));
    assert_eq!(second.get("evaluation/env_runners/num_episodes_lifetime"), Some(5.0));
}

#[test]
fn an_evaluation_that_fails_beside_training_is_an_error() {
    let fault = json!({ "env": "CartPole-v1", "fault": "raise", "at_step": 3 });
    let mut sections = evaluated(&json!({
        "evaluation_parallel_to_training": true, "evaluation_config": { "env_config": fault },
    }));
    sections["environment"] = json!({ "env_config": { "at_step": 1_000_000 } });
    let mut algorithm = build("testing/Faulty-v0", &sections);
    let error = algorithm.train().unwrap_err();
    assert!(error.to_string().contains("planted at step 3"), "{error}");
    assert_eq!(algorithm.training_iteration(), 1, "the iteration itself is kept");
}

#[test]
fn combinations_that_cannot_be_are_refused() {
    let refusal = |evaluation: Value| {
        let sections = json!({ "evaluation": evaluation });
        Algorithm::build(config("CartPole-v1", &sections)).unwrap_err().to_string()
    };
    let message = refusal(json!({ "evaluation_parallel_to_training": true }));
    assert!(message.contains("evaluation_interval = 1"), "{message}");
    let message = refusal(json!({
        "evaluation_parallel_to_training": true, "evaluation_interval": 1, "custom_evaluation_function": "any",
    }));
    assert!(message.contains("evaluation_parallel_to_training = false"), "{message}");
}

/// Plays exactly 100 steps in each environment and tells the mean reward, by its own reckoning.
fn mean_reward(
    algorithm: &mut Algorithm,
    runner: &mut skirl::collect::EnvRunner,
) -> Result<CustomEvaluation, Error> {
    let rollout = runner.sample(100)?;
    let rewards = &rollout.modules["default_policy"].rewards;
    let mut own =
        CustomEvaluation { env_steps: rollout.env_steps, agent_steps: 7, ..CustomEvaluation::default() };
    let sum: f64 = rewards.iter().map(|&reward| f64::from(reward)).sum();
    own.results.set("mean_reward", sum / rewards.len() as f64);
    own.results.set("after/iteration", algorithm.training_iteration());
    own.results.set("weights_version", rollout.weights_version);
    Ok(own)
}

fn own(name: &str) -> Value {
    evaluated(&json!({ "custom_evaluation_function": name, "evaluation_num_envs": 3 }))
}

#[test]
fn an_own_functions_metrics_land_under_evaluation() {
    register_evaluation_function("mean_reward", mean_reward);
    let mut algorithm = build("Pendulum-v1", &own("mean_reward"));
    let first = algorithm.train().unwrap();
    assert_eq!(first.get("evaluation/after/iteration"), Some(1.0));
    assert_eq!(first.get("evaluation/env_runners/num_env_steps_sampled"), Some(300.0));
    assert_eq!(first.get("evaluation/env_runners/num_agent_steps_sampled/default_agent"), Some(7.0));
    assert_eq!(first.get("evaluation/env_runners/episode_return_mean"), None);
    // The oracle: the same hundred steps, played by a usual evaluation that counts steps.
    let plain = json!({ "evaluation": {
        "evaluation_duration": 300, "evaluation_duration_unit": "timesteps", "evaluation_num_envs": 3,
    }, "env_runners": { "observation_filter": "MeanStdFilter" } });
    let mut other = trained("Pendulum-v1", &plain, 1);
    assert!(state(&algorithm) == state(&other), "evaluating changes nothing in training");
    assert_eq!(other.evaluate(&EvaluateRequest::default()).unwrap().env_steps, 300);

    let second = algorithm.train().unwrap();
    assert_ne!(first.get("evaluation/mean_reward"), second.get("evaluation/mean_reward"));
    let by_hand = algorithm.evaluate(&EvaluateRequest::default()).unwrap();
    assert_eq!(by_hand.custom.unwrap().get("mean_reward"), second.get("evaluation/mean_reward"));
}

#[test]
fn an_own_function_gives_the_same_bytes_on_any_number_of_threads_and_on_resume() {
    register_evaluation_function("mean_reward", mean_reward);
    let run = |num_threads: usize| {
        results(&mut build("Pendulum-v1", &on_threads(&own("mean_reward"), num_threads)), 4)
    };
    let whole = run(1);
    assert_eq!(run(4), whole);
    let directory = tempfile::tempdir().unwrap();
    let half = trained("Pendulum-v1", &own("mean_reward"), 2);
    let saved = half.save_to_path(&directory.path().join("half")).unwrap();
    assert_eq!(results(&mut Algorithm::from_checkpoint(&saved).unwrap(), 2), whole[2..]);
}

#[test]
fn an_own_function_may_use_the_algorithm_and_evaluate_as_usual() {
    register_evaluation_function("twice_as_usual", |algorithm, runner| {
        let usual =
            algorithm.evaluate(&EvaluateRequest { episodes: Some(4), ..EvaluateRequest::default() })?;
        let own = skirl::evaluate::play(runner, skirl::evaluate::Duration::Episodes(4), 10_000, &|| true)?;
        let mut found = CustomEvaluation { env_steps: usual.env_steps + own.env_steps, ..Default::default() };
        found.results.set("usual", usual.return_mean()).set("own", own.return_mean());
        Ok(found)
    });
    let mut sections = own("twice_as_usual");
    sections["evaluation"]["evaluation_num_envs"] = json!(4);
    let result = build("CartPole-v1", &sections).train().unwrap();
    assert!(result.get("evaluation/usual").is_some());
    assert_eq!(result.get("evaluation/usual"), result.get("evaluation/own"));
}

#[test]
fn own_functions_that_are_missing_or_fail_are_errors() {
    register_evaluation_function("fails", |_, runner| {
        runner.sample(1)?;
        Err(Error::Stopped { reason: "planted".to_owned() })
    });
    let error = Algorithm::build(config("CartPole-v1", &own("mispelt"))).unwrap_err().to_string();
    assert!(error.contains("'mispelt'") && error.contains("fails") && error.contains("register"), "{error}");
    let mut algorithm = build("CartPole-v1", &own("fails"));
    assert!(algorithm.train().unwrap_err().to_string().contains("planted"));
    assert!(algorithm.train().is_err(), "and again: the function is still there");
    let error = algorithm.evaluate(&EvaluateRequest { episodes: Some(3), ..Default::default() }).unwrap_err();
    assert!(error.to_string().contains("'fails' decides"), "{error}");
    assert_eq!(weight_bits(&algorithm), weight_bits(&trained("CartPole-v1", &evaluated(&json!({})), 2)));
}

/// `evaluation_num_env_runners` is the number of environments in RLlib's words: which ones play, and so what they return,
/// is the same.
#[test]
fn evaluation_runners_are_so_many_environments() {
    let play = |options: Value| {
        let sections = json!({
            "evaluation": options, "env_runners": { "num_envs_per_env_runner": 2 },
        });
        let mut algorithm = trained("CartPole-v1", &sections, 1);
        let evaluation = algorithm.evaluate(&EvaluateRequest::default()).unwrap();
        evaluation.episodes.iter().map(|episode| (episode.env, episode.len)).collect::<Vec<_>>()
    };
    let by_runners = play(json!({ "evaluation_num_env_runners": 3, "evaluation_duration": 9 }));
    assert_eq!(by_runners, play(json!({ "evaluation_num_envs": 6, "evaluation_duration": 9 })));
    assert_ne!(by_runners, play(json!({ "evaluation_duration": 9 })));

    let both = json!({ "evaluation": { "evaluation_num_env_runners": 3, "evaluation_num_envs": 6 } });
    let refused = config("CartPole-v1", &both).validate().unwrap_err().to_string();
    assert!(refused.contains("leave one of them out"), "{refused}");
}

#[test]
fn an_own_function_that_panics_is_there_again_with_its_environments() {
    static PANICS: AtomicBool = AtomicBool::new(false);
    register();
    register_evaluation_function("panics_once", |_, runner| {
        let phases: Vec<Value> = runner.foreach_env(|_, env| env.get_task())?;
        runner.foreach_env(|index, env| env.set_task(&json!({ "phase": index + 1 })))?;
        assert!(!PANICS.swap(false, Ordering::SeqCst), "planted");
        let mut own = CustomEvaluation::default();
        own.results.set("phase_of_last", phases[2]["phase"].as_f64());
        Ok(own)
    });
    let mut algorithm = build("test/Stairs", &own("panics_once"));
    PANICS.store(true, Ordering::SeqCst);
    let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        drop(algorithm.evaluate(&EvaluateRequest::default()));
    }));
    assert!(caught.is_err());
    let found = algorithm.evaluate(&EvaluateRequest::default()).unwrap();
    assert_eq!(found.custom.unwrap().get("phase_of_last"), Some(3.0));
}

#[test]
fn tasks_of_evaluations_environments_survive_checkpoints_and_longer_evaluations() {
    register();
    register_evaluation_function("sets_tasks", |algorithm, runner| {
        let iteration = algorithm.training_iteration() as i64;
        let before = runner.foreach_env(|_, env| env.get_task())?;
        runner.foreach_env(|index, env| match index {
            0 => Ok(()),
            _ => env.set_task(&json!({ "phase": 10 * iteration + index as i64 })),
        })?;
        let mut own = CustomEvaluation::default();
        for (index, task) in before.iter().enumerate() {
            own.results.set(&format!("before/{index}"), task["phase"].as_f64());
        }
        Ok(own)
    });
    let sections = own("sets_tasks");
    let whole = results(&mut build("test/Stairs", &sections), 3);
    let before = |result: &Option<Value>| result.as_ref().unwrap()["before"].clone();
    assert_eq!(before(&whole[2]), json!({ "0": 0.0, "1": 21.0, "2": 22.0 }));
    let mut first = build("test/Stairs", &sections);
    first.train().unwrap();
    let early = first.snapshot().unwrap();
    first.train().unwrap();
    let directory = tempfile::tempdir().unwrap();
    let saved = first.save_to_path(&directory.path().join("saved")).unwrap();
    let mut resumed = Algorithm::from_checkpoint(&saved).unwrap();
    assert_eq!(results(&mut resumed, 1), whole[2..]);
    first.restore(&early).unwrap();
    assert_eq!(before(&results(&mut first, 1)[0]), before(&whole[1]));

    // Another number of episodes makes other environments: what is told to the first ones stays.
    let mut sections = own("sets_tasks");
    sections["evaluation"]["evaluation_num_envs"] = json!(null);
    sections["evaluation"]["evaluation_duration"] = json!(3);
    let mut algorithm = build("test/Stairs", &sections);
    algorithm.train().unwrap();
    let saved = algorithm.save_to_path(&directory.path().join("three")).unwrap();
    let mut longer = Algorithm::from_checkpoint_with(&saved, |config| {
        Ok(config.apply_json(&json!({ "evaluation": { "evaluation_duration": 4 } }), "test")?)
    })
    .unwrap();
    let found = results(&mut longer, 1);
    assert_eq!(before(&found[0]), json!({ "0": 0.0, "1": 11.0, "2": 12.0, "3": 0.0 }));
}

#[test]
fn evaluations_environments_are_visited_between_evaluations() {
    register();
    let mut algorithm = build("test/Stairs", &json!({ "evaluation": { "evaluation_duration": 3 } }));
    let visited = algorithm.foreach_evaluation_env(|index, env| {
        env.set_task(&json!({ "phase": 4 + index }))?;
        Ok(index)
    });
    assert_eq!(visited.unwrap(), [0, 1, 2]);
    assert_eq!(algorithm.evaluation_envs().unwrap(), (3, None));
    let mut resumed = build("test/Stairs", &json!({ "evaluation": { "evaluation_duration": 3 } }));
    resumed.restore(&algorithm.snapshot().unwrap()).unwrap();
    for each in [&mut algorithm, &mut resumed] {
        each.evaluate(&EvaluateRequest::default()).unwrap();
        let phases = each.foreach_evaluation_env(|_, env| env.get_task()).unwrap();
        assert_eq!(phases, [json!({ "phase": 4 }), json!({ "phase": 5 }), json!({ "phase": 6 })]);
        assert_eq!(each.foreach_env(|_, env| env.get_task()).unwrap(), vec![json!({ "phase": 0 }); 4]);
    }
}
