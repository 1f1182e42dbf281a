//! Tests of the whole: round trips, damage, hostile files, crashes, failures.

mod crash;
mod damage;
mod hostile;
mod ranking;
mod round_trip;
mod sim_fs;

use serde_json::json;

use super::*;

/// A small snapshot of a run after `env_steps`, with every kind of tensor.
fn snapshot(env_steps: u64) -> Snapshot {
    let mut snapshot = Snapshot::new("PPO");
    let spaces = ModuleSpaces { observation: json!({"type": "Box", "shape": [4]}), action: json!({"n": 2}) };
    snapshot.manifest.spaces.insert("default_policy".into(), spaces);
    snapshot.manifest.counters.insert("num_env_steps_sampled_lifetime".into(), env_steps);
    snapshot.manifest.counters.insert("large".into(), u64::MAX);
    snapshot.manifest.isa = "portable".into();
    snapshot.manifest.not_saved.push("environment X cannot save its state".into());
    snapshot.manifest.extra.insert("elapsed".into(), json!(0.1));
    snapshot.put_json(ALGORITHM_STATE, json!({"z": 1, "a": [0.1, 1e-300, {"deep": "ü\n"}]}));
    snapshot.put_json(CONFIG, json!({"lr": 3e-4}));
    let weights = Tensors::from([
        (
            "actor.weight".to_string(),
            Tensor::new(vec![2, 2], vec![0.1_f32, -0.0, 1e-40, env_steps as f32]).unwrap(),
        ),
        ("actor.bias".to_string(), Tensor::vector(vec![1.5_f32])),
    ]);
    snapshot.put_tensors(module_file("default_policy", MODULE_STATE), weights);
    snapshot.put_json(module_file("default_policy", MODULE_SPEC), json!({"hidden": [64, 64]}));
    let env_state = Tensors::from([
        ("observation".to_string(), Tensor::vector(vec![f32::INFINITY, f32::NAN])),
        ("rng".to_string(), Tensor::vector(vec![u64::MAX, 0])),
        ("state".to_string(), Tensor::new(vec![], vec![0.1_f64]).unwrap()),
        ("ids".to_string(), Tensor::vector(vec![i64::MIN])),
        ("steps".to_string(), Tensor::vector(vec![-7_i32])),
        ("image".to_string(), Tensor::new(vec![0, 3], Vec::<u8>::new()).unwrap()),
        ("flags".to_string(), Tensor::vector(vec![true, false])),
    ]);
    snapshot.put_tensors(ENV_RUNNER_TENSORS, env_state);
    snapshot
}

/// The bytes a snapshot is saved as: equal for equal content, NaN included.
fn bytes_of(snapshot: &Snapshot) -> std::collections::BTreeMap<String, Vec<u8>> {
    save::encode_all(snapshot).unwrap()
}
