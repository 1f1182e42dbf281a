//! `foreach_env` and tasks.

use serde_json::{Value, json};
use skirl::callbacks::{CallbackFns, CallbackList};
use skirl::{Algorithm, Error};
use skirl_env::EnvError;

use super::on_threads;
use super::runs::{assert_same_state, build, config, train, trained, weight_bits};
use super::stairs::{Stairs, TwoStairs, register};

/// Returns are reported over this iteration's episodes only.
fn sections() -> Value {
    json!({ "reporting": { "metrics_num_episodes_for_smoothing": 24 } })
}

fn set_phase(algorithm: &mut Algorithm, phase: i64) {
    algorithm.foreach_env(|_, env| env.set_task(&json!({ "phase": phase }))).unwrap();
}

/// Harder after every result, as a user's loop would do it.
fn climb(algorithm: &mut Algorithm, iterations: u64) {
    for _ in 0..iterations {
        let result = algorithm.train().unwrap();
        harder(algorithm, result.get("env_runners/episode_return_mean").unwrap()).unwrap();
    }
}

fn harder(algorithm: &mut Algorithm, mean: f64) -> Result<(), Error> {
    let phase = algorithm.training_iteration() as i64;
    algorithm.foreach_env(|env, live| {
        let harder = mean >= 0.0 && !env.is_multiple_of(2);
        live.set_task(&json!({ "phase": phase + i64::from(harder) }))
    })?;
    Ok(())
}

#[test]
fn every_training_environment_is_visited_in_order() {
    register();
    for num_threads in [1, 3] {
        let mut algorithm = build("test/Stairs", &on_threads(&sections(), num_threads));
        let visited = algorithm
            .foreach_env(|index, env| {
                env.downcast_mut::<Stairs>()?.next = index as i64;
                Ok(index)
            })
            .unwrap();
        assert_eq!(visited, [0, 1, 2, 3]);
        let phases = algorithm.foreach_env(|_, env| env.get_task()).unwrap();
        let expected: Vec<Value> = (0..4).map(|phase| json!({ "phase": phase })).collect();
        assert_eq!(phases, expected);
    }
}

#[test]
fn a_task_takes_effect_at_the_next_reset() {
    register();
    let mut algorithm = build("test/Stairs", &sections());
    train(&mut algorithm, 1);
    set_phase(&mut algorithm, 1);
    // 64 steps for each of the four environments: after 6 episodes the seventh had run 4 steps. It ends with nothing; the
    // five after it pay 10 each, and 4 × 6 episodes make the mean.
    let result = algorithm.train().unwrap();
    assert_eq!(result.get("env_runners/episode_return_mean"), Some(f64::from(4 * 5 * 2 * 10) / 24.0));
    assert_eq!(result.get("env_runners/episode_return_min"), Some(0.0));
    let result = algorithm.train().unwrap();
    assert_eq!(result.get("env_runners/episode_return_min"), Some(20.0));
}

#[test]
fn a_curriculum_gives_the_same_bytes_for_any_number_of_threads_and_across_save_and_load() {
    register();
    let run = |num_threads: usize, iterations: u64| {
        let mut algorithm = build("test/Stairs", &on_threads(&sections(), num_threads));
        climb(&mut algorithm, iterations);
        algorithm
    };
    let whole = run(1, 6);
    assert_same_state(&whole, &run(4, 6), "threads");
    let directory = tempfile::tempdir().unwrap();
    let saved = run(4, 3).save_to_path(&directory.path().join("half")).unwrap();
    let mut resumed = Algorithm::from_checkpoint(&saved).unwrap();
    climb(&mut resumed, 3);
    assert_same_state(&whole, &resumed, "resumed");
    let without = trained("test/Stairs", &sections(), 6);
    assert_ne!(weight_bits(&whole), weight_bits(&without));
}

/// The same rule as in [`climb`], by a callback.
fn climber() -> CallbackList {
    CallbackList::new().with(CallbackFns::new("test/climber").on_train_result(|algorithm, result| {
        let mean = result.get("env_runners/episode_return_mean").unwrap();
        harder(algorithm, mean)?;
        Ok(())
    }))
}

#[test]
fn a_callback_steers_as_a_loop_does() {
    register();
    let mut by_loop = build("test/Stairs", &sections());
    climb(&mut by_loop, 6);
    let mut by_hook = Algorithm::build_with(config("test/Stairs", &sections()), climber()).unwrap();
    train(&mut by_hook, 3);
    let saved = by_hook.snapshot().unwrap();
    train(&mut by_hook, 3);
    assert_eq!(weight_bits(&by_loop), weight_bits(&by_hook));
    let mut resumed = Algorithm::build_with(config("test/Stairs", &sections()), climber()).unwrap();
    resumed.restore(&saved).unwrap();
    train(&mut resumed, 3);
    assert_same_state(&by_hook, &resumed, "resumed");
}

#[test]
fn a_hook_of_an_episode_reaches_the_environment_by_its_type() {
    register();
    let list = CallbackList::new().with(CallbackFns::new("test/phase").on_episode_end(|episode| {
        let phase = episode.environment().live().downcast_mut::<Stairs>()?.phase;
        episode.custom_metrics.insert("phase".to_owned(), phase as f64);
        Ok(())
    }));
    let mut algorithm = Algorithm::build_with(config("test/Stairs", &sections()), list).unwrap();
    set_phase(&mut algorithm, 4);
    train(&mut algorithm, 1);
    let result = algorithm.train().unwrap();
    assert_eq!(result.get("env_runners/custom_metrics/phase_max"), Some(4.0));
}

#[test]
fn an_environment_without_a_state_gets_its_task_before_its_new_episode() {
    register();
    let mut algorithm = trained("test/ForgetfulStairs", &sections(), 1);
    set_phase(&mut algorithm, 3);
    let directory = tempfile::tempdir().unwrap();
    let saved = algorithm.save_to_path(&directory.path().join("saved")).unwrap();
    let mut resumed = Algorithm::from_checkpoint(&saved).unwrap();
    let phases = resumed.foreach_env(|_, env| Ok(env.downcast_mut::<Stairs>()?.phase)).unwrap();
    assert_eq!(phases, [3; 4]);
}

#[test]
fn an_older_checkpoint_brings_its_tasks_back() {
    register();
    let mut algorithm = trained("test/Stairs", &sections(), 1);
    let start = algorithm.snapshot().unwrap();
    set_phase(&mut algorithm, 1);
    let first = algorithm.snapshot().unwrap();
    set_phase(&mut algorithm, 2);
    let mut phases_after = |snapshot| {
        algorithm.restore(snapshot).unwrap();
        algorithm.foreach_env(|_, env| env.get_task()).unwrap()[3]["phase"].as_i64().unwrap()
    };
    assert_eq!(phases_after(&first), 1);
    assert_eq!(phases_after(&start), 0);
    assert_eq!(phases_after(&first), 1);
}

#[test]
fn environments_with_several_agents_have_a_curriculum_too() {
    register();
    let mut algorithm = build("test/TwoStairs", &json!({}));
    algorithm.foreach_env(|index, env| env.set_task(&json!(index))).unwrap();
    let saved = algorithm.snapshot().unwrap();
    let mut other = build("test/TwoStairs", &json!({}));
    other.restore(&saved).unwrap();
    let tasks = other.foreach_env(|_, env| Ok(env.downcast_mut::<TwoStairs>()?.task.clone())).unwrap();
    assert_eq!(tasks, [json!(0), json!(1), json!(2), json!(3)]);
}

#[test]
fn errors_name_the_environment_and_what_to_do() {
    register();
    let mut algorithm = build("test/Stairs", &json!({}));
    let refused = |index: usize, env: &mut skirl_env::LiveEnv<'_>| {
        env.set_task(&if index == 2 { json!("steep") } else { json!({ "phase": 5 }) })
    };
    let error = algorithm.foreach_env(refused).unwrap_err();
    assert!(matches!(error, Error::ForeachEnv { env: 2, .. }), "{error}");
    assert!(error.to_string().contains("steep"), "{error}");
    let phases = algorithm.foreach_env(|_, env| Ok(env.downcast_mut::<Stairs>()?.next)).unwrap();
    assert_eq!(phases, [5, 5, 0, 0], "those before it were visited");

    let error = algorithm.foreach_env(|_, env| env.downcast_mut::<String>().map(|_| ())).unwrap_err();
    assert!(matches!(&error, Error::ForeachEnv { source: EnvError::OtherType { .. }, .. }), "{error}");
    let mut native = build("CartPole-v1", &json!({}));
    let error = native.foreach_env(|_, env| env.set_task(&json!(1))).unwrap_err();
    assert!(error.to_string().contains("one block of numbers"), "{error}");
    train(&mut native, 1);
}
