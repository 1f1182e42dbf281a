//! State that environments and the user's loop share.

use std::sync::Arc;

use serde_json::{Value, json};
use skirl::callbacks::CallbackList;
use skirl::{Algorithm, Error};
use skirl_env::shared_state::{Counter, InProcess, SharedTransport};
use skirl_env::{DType, Env, EnvError, EnvSpec, Row, RowRef, SharedState, Space, Step, register};

use super::on_threads;
use super::runs::{assert_same_state, build, config, train, weight_bits};

/// Episodes get shorter the more steps were taken by all environments together.
struct Tiring {
    shared: SharedState,
    steps: Counter,
    index: usize,
    age: i64,
    /// What the counter said when this training step began, as far as this environment has looked.
    seen: Option<i64>,
    fails_at: Option<i64>,
}

impl Env for Tiring {
    fn observation_space(&self) -> Space {
        Space::boxed(0.0, 50.0, &[1], DType::F32)
    }

    fn action_space(&self) -> Space {
        Space::discrete(2)
    }

    fn reset(&mut self, _seed: Option<u64>, observation: &mut Row<'_>) -> Result<(), EnvError> {
        self.age = 0;
        self.shared.counter("resets").add(1)?;
        observation.set(&[0.0])
    }

    fn step(&mut self, _action: &RowRef<'_>, observation: &mut Row<'_>) -> Result<Step, EnvError> {
        self.age += 1;
        self.steps.add(1)?;
        let seen = self.steps.get()?;
        if self.fails_at == Some(seen) {
            return Err(EnvError::raised("planted"));
        }
        observation.set(&[self.age as f32])?;
        let limit = 5 + 40 / (1 + seen / 100);
        if self.age < limit {
            return Ok(Step::running(1.0));
        }
        self.seen = Some(seen);
        self.shared.parameter_store("ages").put([("last", json!([self.index, self.age]))])?;
        self.shared.all_reduce("age").contribute(&[self.age as f64 / 3.0])?;
        Ok(Step::terminal(1.0))
    }
}

pub(super) fn register_tiring() {
    let build = |context: &skirl_env::EnvContext| {
        Ok(Tiring {
            shared: context.shared.clone(),
            steps: context.shared.counter("steps"),
            index: context.first_env_index,
            age: 0,
            seen: None,
            fails_at: context.env_config.get("fails_at").and_then(Value::as_i64),
        })
    };
    register("test/Tiring", EnvSpec::single(build)).unwrap();
}

pub(super) fn counter(algorithm: &Algorithm, name: &str) -> i64 {
    algorithm.shared_state().counter(name).get().unwrap()
}

#[test]
fn what_environments_count_is_there_after_each_iteration() {
    register_tiring();
    for num_threads in [1, 4] {
        let mut algorithm = build("test/Tiring", &on_threads(&json!({}), num_threads));
        assert_eq!(counter(&algorithm, "steps"), 0);
        for iteration in 1..=3 {
            let result = algorithm.train().unwrap();
            assert_eq!(counter(&algorithm, "steps"), 256 * iteration);
            let ended = algorithm.shared_state().parameter_store("ages").get().unwrap().version;
            // Every environment was reset when it was made, and whenever an episode ended.
            assert_eq!(counter(&algorithm, "resets"), 4 + ended as i64);
            assert!(result.get("env_runners/num_episodes").is_none_or(|episodes| episodes > 0.0));
        }
    }
}

#[test]
fn a_rollout_sees_the_state_as_it_was_when_the_step_began() {
    register_tiring();
    let mut algorithm = build("test/Tiring", &json!({}));
    let seen = |algorithm: &mut Algorithm| {
        algorithm.foreach_env(|_, env| Ok(env.downcast_mut::<Tiring>()?.seen)).unwrap()
    };
    train(&mut algorithm, 1);
    assert_eq!(seen(&mut algorithm), [Some(0); 4]);
    algorithm.shared_state().counter("steps").add(1000).unwrap();
    train(&mut algorithm, 1);
    assert_eq!(seen(&mut algorithm), [Some(1256); 4]);
}

#[test]
fn learning_does_not_depend_on_the_number_of_threads() {
    register_tiring();
    let evaluated = json!({ "evaluation": {
        "evaluation_interval": 1, "evaluation_parallel_to_training": true, "evaluation_duration": 3,
    }});
    for sections in [json!({}), evaluated] {
        let run = |num_threads: usize, iterations: usize| {
            let mut algorithm = build("test/Tiring", &on_threads(&sections, num_threads));
            train(&mut algorithm, iterations);
            algorithm
        };
        let whole = run(1, 6);
        assert_same_state(&whole, &run(4, 6), "threads");
        assert_ne!(weight_bits(&whole), weight_bits(&run(1, 0)));
        assert!(counter(&whole, "steps") > 0);
    }
}

#[test]
fn it_is_saved_in_checkpoints() {
    register_tiring();
    let mut algorithm = build("test/Tiring", &json!({}));
    train(&mut algorithm, 2);
    let store = algorithm.shared_state().parameter_store("weights");
    store.put([("w", vec![0.1_f32, f32::MIN_POSITIVE, -3.0])]).unwrap();
    store.put([("note", json!({ "by": "user" }))]).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let saved = algorithm.save_to_path(&directory.path().join("saved")).unwrap();
    let resumed = Algorithm::from_checkpoint(&saved).unwrap();
    assert_eq!(*resumed.shared_state().values().unwrap(), *algorithm.shared_state().values().unwrap());
    assert_eq!(counter(&resumed, "steps"), 512);
    train(&mut algorithm, 1);
    algorithm.restore_from_path(&saved).unwrap();
    assert_eq!(counter(&algorithm, "steps"), 512);
    let fresh = build("test/Tiring", &json!({})).snapshot().unwrap();
    algorithm.restore(&fresh).unwrap();
    assert_eq!(counter(&algorithm, "steps"), 0);
}

#[test]
fn nothing_of_a_failed_rollout_is_left() {
    register_tiring();
    let sections = json!({ "environment": { "env_config": { "fails_at": 256 } } });
    let mut algorithm = build("test/Tiring", &sections);
    train(&mut algorithm, 1);
    let before = algorithm.shared_state().values().unwrap();
    assert!(matches!(algorithm.train().unwrap_err().cause(), Error::Env { .. }));
    assert_eq!(*algorithm.shared_state().values().unwrap(), *before);
    // The user's loop helps it over the step.
    algorithm.shared_state().counter("steps").add(1).unwrap();
    train(&mut algorithm, 1);
    assert_eq!(counter(&algorithm, "steps"), 513);
}

#[test]
fn state_that_is_there_already_can_be_shared() {
    register_tiring();
    let transport = Arc::new(InProcess::default());
    let shared = SharedState::over(Arc::clone(&transport) as Arc<dyn SharedTransport>);
    let build = || {
        let config = config("test/Tiring", &json!({}));
        Algorithm::build_sharing(config, CallbackList::new(), shared.clone()).unwrap()
    };
    let (mut one, mut other) = (build(), build());
    train(&mut one, 1);
    train(&mut other, 1);
    assert_eq!(transport.read().unwrap().counters["steps"], 512);
}

#[test]
fn a_restore_leaves_state_that_was_handed_in() {
    register_tiring();
    let shared = SharedState::new();
    let config = || config("test/Tiring", &json!({}));
    let mut algorithm = Algorithm::build_sharing(config(), CallbackList::new(), shared.clone()).unwrap();
    train(&mut algorithm, 1);
    let saved = algorithm.snapshot().unwrap();
    train(&mut algorithm, 1);
    shared.counter("by_another_run").add(3).unwrap();
    let before = shared.values().unwrap();
    algorithm.restore(&saved).unwrap();
    assert_eq!(*shared.values().unwrap(), *before);
    // Environments see it as it is: the next step counts on.
    train(&mut algorithm, 1);
    assert_eq!(counter(&algorithm, "steps"), 3 * 256);
    // A run with state of its own takes over what was saved.
    let mut own = Algorithm::build(config()).unwrap();
    own.restore(&saved).unwrap();
    assert_eq!(counter(&own, "steps"), 256);
}
