//! Small runs that several tests share: a configuration from JSON, its weights as bytes, its state without times.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeMap;

use serde_json::{Value, json};
use skirl::Algorithm;
use skirl::checkpoint::{Payload, Snapshot};
use skirl::config::{self, AlgorithmConfig};

/// A configuration for `env`: small networks and batches, seed 1, changed by `sections`; of PPO unless `run` says otherwise.
pub fn config(env: &str, sections: &Value) -> Box<dyn AlgorithmConfig> {
    let run = sections.get("run").and_then(Value::as_str).unwrap_or("PPO");
    let mut training = json!({ "lr": 1e-3, "train_batch_size": 256 });
    if run == "PPO" {
        (training["minibatch_size"], training["num_epochs"]) = (128.into(), 2.into());
    }
    let document = json!({
        "run": run, "env": env, "training": training,
        "env_runners": { "num_env_runners": 0, "num_envs_per_env_runner": 4 },
        "rl_module": { "fcnet_hiddens": [16] },
        "debugging": { "seed": 1 },
    });
    let mut config = config::from_value(&document).unwrap();
    let mut sections = sections.clone();
    sections.as_object_mut().unwrap().remove("run");
    config.apply_json(&sections, "test").unwrap();
    config
}

/// Builds it.
pub fn build(env: &str, sections: &Value) -> Algorithm {
    Algorithm::build(config(env, sections)).unwrap()
}

/// Builds it and trains.
pub fn trained(env: &str, sections: &Value, iterations: usize) -> Algorithm {
    let mut algorithm = build(env, sections);
    train(&mut algorithm, iterations);
    algorithm
}

/// Some iterations.
pub fn train(algorithm: &mut Algorithm, iterations: usize) {
    for _ in 0..iterations {
        algorithm.train().unwrap();
    }
}

/// The bits of all weights, by module.
pub fn weight_bits(algorithm: &Algorithm) -> BTreeMap<String, Vec<u32>> {
    let bits = |values: &[f32]| values.iter().map(|value| value.to_bits()).collect();
    algorithm.policies().iter().map(|(id, policy)| (id.clone(), bits(policy.net.params().values()))).collect()
}

/// The files of a snapshot, without the times in them and without the configuration.
pub fn state_files(snapshot: &Snapshot) -> BTreeMap<String, Payload> {
    let mut files = snapshot.files.clone();
    files.remove(skirl::checkpoint::CONFIG);
    for payload in files.values_mut() {
        if let Payload::Json(value) = payload {
            forget_times(value);
        }
    }
    files
}

fn forget_times(value: &mut Value) {
    match value {
        Value::Object(map) => {
            map.retain(|name, _| !name.starts_with("time_"));
            map.values_mut().for_each(forget_times);
        }
        Value::Array(values) => values.iter_mut().for_each(forget_times),
        _ => {}
    }
}

/// Fails with the name of the first file that differs.
pub fn assert_same_state(left: &Algorithm, right: &Algorithm, what: &str) {
    let (left, right) = (left.snapshot().unwrap(), right.snapshot().unwrap());
    let (left_files, right_files) = (state_files(&left), state_files(&right));
    assert_eq!(left_files.keys().collect::<Vec<_>>(), right_files.keys().collect::<Vec<_>>(), "{what}");
    for (name, payload) in &left_files {
        if *payload == right_files[name] {
            continue;
        }
        if let (Payload::Json(left), Payload::Json(right)) = (payload, &right_files[name]) {
            panic!("{what}: {name} differs:\n{left}\n{right}");
        }
        panic!("{what}: {name} differs");
    }
    assert_eq!(left.manifest.counters, right.manifest.counters, "{what}");
    assert_eq!(left.manifest.not_saved, right.manifest.not_saved, "{what}");
}
