//! Shared state: when changes are seen, in which order they are made, and what is refused.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, clippy::float_cmp)]

use std::sync::{Arc, Mutex};
use std::thread;

use serde_json::json;
use skirl_env::SharedState;
use skirl_env::shared_state::{
    Change, InProcess, Parameter, SharedStateError, SharedTransport, SharedValues,
};

#[test]
fn a_direct_handle_changes_at_once() {
    let shared = SharedState::new();
    let (one, same) = (shared.counter("episodes"), shared.clone().counter("episodes"));
    one.add(3).unwrap();
    one.add(-1).unwrap();
    assert_eq!((same.get().unwrap(), shared.counter("others").get().unwrap()), (2, 0));
    let store = shared.parameter_store("weights");
    store.put([("w", vec![1.0, 2.0])]).unwrap();
    store.put([("b", json!({ "note": null }))]).unwrap();
    let read = store.get().unwrap();
    assert_eq!(read.version, 2);
    assert_eq!(read.values["w"], Parameter::Tensor { shape: vec![2], data: vec![1.0, 2.0] });
    assert_eq!(store.get_newer(2).unwrap(), None);
    assert_eq!(store.get_newer(1).unwrap(), Some(read));
    assert_eq!(shared.parameter_store("empty").get().unwrap().version, 0);
}

#[test]
fn a_deferred_handle_reads_what_was_there_when_the_step_began() {
    let shared = SharedState::new();
    let scope = shared.deferred();
    let (env, other) = (scope.for_env(0), scope.for_env(1));
    scope.begin().unwrap();
    shared.counter("n").add(10).unwrap();
    env.counter("n").add(1).unwrap();
    assert_eq!(env.counter("n").get().unwrap(), 0, "neither its own change nor one from outside");
    assert_eq!(shared.counter("n").get().unwrap(), 10);
    scope.begin().unwrap();
    assert_eq!(other.counter("n").get().unwrap(), 10);
    scope.commit().unwrap();
    assert_eq!((other.counter("n").get().unwrap(), shared.counter("n").get().unwrap()), (11, 11));
    env.counter("n").add(5).unwrap();
    scope.discard();
    scope.commit().unwrap();
    assert_eq!(shared.counter("n").get().unwrap(), 11);
}

/// Sixteen environments contribute, in an order that the threads choose.
fn after_a_step(num_threads: usize, reversed: bool) -> SharedValues {
    let shared = SharedState::new();
    let scope = shared.deferred();
    let handles: Vec<SharedState> = (0..16).map(|env| scope.for_env(env)).collect();
    let work = |env: usize| {
        let handle = &handles[env];
        for step in 0..50 {
            handle.counter("steps").add(env as i64).unwrap();
            // Sums whose last bits depend on the order of addition.
            handle.all_reduce("sum").contribute(&[0.1 * env as f64 + 1e9 / f64::from(step + 1)]).unwrap();
        }
        handle.parameter_store("last").put([("env", json!(env))]).unwrap();
    };
    thread::scope(|threads| {
        for thread in 0..num_threads {
            let work = &work;
            threads.spawn(move || {
                let own = (0..16).filter(|env| env % num_threads == thread);
                let own: Vec<usize> = if reversed { own.rev().collect() } else { own.collect() };
                own.into_iter().for_each(work);
            });
        }
    });
    scope.commit().unwrap();
    SharedValues::clone(&*shared.values().unwrap())
}

#[test]
fn the_order_of_arrival_does_not_matter() {
    let one = after_a_step(1, false);
    assert_eq!(one.counters["steps"], 50 * 120);
    assert_eq!(one.parameters["last"].version, 16);
    assert_eq!(one.parameters["last"].values["env"], json!(15).into());
    let sum = &one.reductions["sum"];
    assert_eq!(sum.count, 16 * 50);
    // The oracle: added up in the order of the environments, and of the steps in each.
    let terms =
        (0..16).flat_map(|env| (0..50).map(move |step| 0.1 * f64::from(env) + 1e9 / f64::from(step + 1)));
    let expected: f64 = terms.fold(0.0, |sum, term| sum + term);
    assert_eq!(sum.sum, [expected]);
    assert_eq!(sum.mean(), [expected / 800.0]);
    for num_threads in [1, 2, 4, 7] {
        assert_eq!(after_a_step(num_threads, true), one, "{num_threads} threads");
    }
}

#[test]
fn a_sum_is_that_of_the_last_step_with_contributions() {
    let shared = SharedState::new();
    let scope = shared.deferred();
    let sum = scope.for_env(3).all_reduce("grads");
    assert_eq!(sum.get().unwrap(), None);
    sum.contribute(&[1.0, 2.0]).unwrap();
    scope.commit().unwrap();
    scope.commit().unwrap();
    assert_eq!(sum.get().unwrap().unwrap().sum, [1.0, 2.0]);
    sum.contribute(&[5.0]).unwrap();
    scope.commit().unwrap();
    assert_eq!(sum.get().unwrap().unwrap().sum, [5.0]);
}

#[test]
fn what_cannot_be_made_changes_nothing() {
    let shared = SharedState::new();
    shared.counter("n").add(i64::MAX - 1).unwrap();
    let scope = shared.deferred();
    scope.for_env(0).parameter_store("p").put([("x", json!(1))]).unwrap();
    for _ in 0..2 {
        scope.for_env(1).counter("n").add(1).unwrap();
    }
    let error = scope.commit().unwrap_err();
    assert!(matches!(&error, SharedStateError::Overflow { counter } if counter == "n"), "{error}");
    assert_eq!(shared.parameter_store("p").get().unwrap().version, 0);
    assert_eq!(shared.counter("n").get().unwrap(), i64::MAX - 1);

    let lengths = |values: &[f64]| scope.for_env(0).all_reduce("sum").contribute(values);
    lengths(&[1.0]).unwrap();
    lengths(&[1.0, 2.0]).unwrap();
    let error = scope.commit().unwrap_err();
    assert!(matches!(error, SharedStateError::UnequalLengths { expected: 1, found: 2, .. }), "{error}");
    let error = lengths(&[0.0, f64::NAN]).unwrap_err();
    assert!(matches!(error, SharedStateError::NonFinite { index: 1, .. }), "{error}");
    lengths(&[f64::MAX]).unwrap();
    scope.for_env(1).all_reduce("sum").contribute(&[f64::MAX]).unwrap();
    let error = scope.commit().unwrap_err();
    assert!(matches!(error, SharedStateError::NonFinite { index: 0, .. }), "{error}");
    let store = shared.parameter_store("p");
    let error = store.put([("x", vec![f32::INFINITY])]).unwrap_err();
    assert!(error.to_string().contains("p/x"), "{error}");
    let tensor = Parameter::Tensor { shape: vec![2, 2], data: vec![0.0; 3] };
    let error = store.put([("x", tensor)]).unwrap_err();
    assert!(matches!(error, SharedStateError::WrongLength { expected: 4, found: 3, .. }), "{error}");
}

/// A transport through bytes, as another process would be reached.
#[derive(Debug, Default)]
struct ThroughBytes {
    far: InProcess,
    lost: Mutex<bool>,
}

impl ThroughBytes {
    fn is_lost(&self) -> Result<(), SharedStateError> {
        match *self.lost.lock().unwrap() {
            true => Err(SharedStateError::Unreachable { reason: "the line is cut".to_owned() }),
            false => Ok(()),
        }
    }
}

impl SharedTransport for ThroughBytes {
    fn read(&self) -> Result<Arc<SharedValues>, SharedStateError> {
        self.is_lost()?;
        let bytes = serde_json::to_vec(&*self.far.read()?).unwrap();
        Ok(Arc::new(serde_json::from_slice(&bytes).unwrap()))
    }

    fn apply(&self, changes: Vec<Change>) -> Result<(), SharedStateError> {
        self.is_lost()?;
        let bytes = serde_json::to_vec(&changes).unwrap();
        self.far.apply(serde_json::from_slice(&bytes).unwrap())
    }

    fn replace(&self, values: SharedValues) -> Result<(), SharedStateError> {
        self.far.replace(values)
    }
}

#[test]
fn another_transport_serves_the_same_handles() {
    let far = Arc::new(ThroughBytes::default());
    let shared = SharedState::over(Arc::clone(&far) as Arc<dyn SharedTransport>);
    let scope = shared.deferred();
    scope.for_env(1).counter("n").add(2).unwrap();
    scope.for_env(0).parameter_store("p").put([("x", vec![0.1_f32])]).unwrap();
    scope.for_env(0).all_reduce("s").contribute(&[0.1]).unwrap();
    // A worker sends its changes along with its rollout; where they arrive they are made in one go.
    let changes = scope.take_changes();
    assert_eq!(changes.len(), 3);
    far.apply(changes).unwrap();
    scope.begin().unwrap();
    assert_eq!(scope.counter("n").get().unwrap(), 2);
    assert_eq!(scope.parameter_store("p").get().unwrap().values["x"], vec![0.1_f32].into());
    assert_eq!(scope.all_reduce("s").get().unwrap().unwrap().sum, [0.1]);
    *far.lost.lock().unwrap() = true;
    let error = shared.counter("n").add(1).unwrap_err();
    assert!(error.to_string().contains("the line is cut"), "{error}");
    assert_eq!(scope.counter("n").get().unwrap(), 2, "a deferred handle reads what it has");
}

#[test]
fn a_restored_state_replaces_everything() {
    let shared = SharedState::new();
    shared.counter("n").add(1).unwrap();
    let saved = SharedValues::clone(&*shared.values().unwrap());
    shared.counter("n").add(1).unwrap();
    shared.counter("m").add(1).unwrap();
    let scope = shared.deferred();
    scope.counter("n").add(7).unwrap();
    scope.restore(saved.clone()).unwrap();
    scope.commit().unwrap();
    assert_eq!(*shared.values().unwrap(), saved);
}

/// What one environment adds in one step may leave 64 bits although the counter does not.
#[test]
fn counters_reach_both_limits_and_refuse_what_is_beyond() {
    for (limit, one) in [(i64::MAX, 1), (i64::MIN, -1)] {
        let shared = SharedState::new();
        let n = shared.counter("n");
        n.add(limit).unwrap();
        let error = n.add(one).unwrap_err();
        assert!(matches!(&error, SharedStateError::Overflow { counter } if counter == "n"), "{error}");
        assert_eq!(n.get().unwrap(), limit);

        let scope = shared.deferred();
        let env = scope.for_env(0).counter("m");
        let add = |amounts: [i64; 2]| amounts.into_iter().try_for_each(|amount| env.add(amount));
        add([limit, one]).unwrap();
        let error = scope.commit().unwrap_err();
        assert!(matches!(&error, SharedStateError::Overflow { counter } if counter == "m"), "{error}");
        assert_eq!(env.get().unwrap(), 0);
        shared.counter("m").add(-one).unwrap();
        add([limit, one]).unwrap();
        scope.commit().unwrap();
        assert_eq!(env.get().unwrap(), limit);
    }
}
