//! Modules that come and go in the middle of a run.

use serde_json::{Value, json};
use skirl::Algorithm;
use skirl::checkpoint::ENV_RUNNER_STATE;
use skirl::config::MultiAgentOptions;

use super::on_threads;
use super::runs::{assert_same_state, build, config, train, trained, weight_bits};

const ENV: &str = "TwoCartPole-v0";

fn with_policies(policies: &[&str], second: &str) -> Value {
    json!({
        "env_runners": { "observation_filter": "MeanStdFilter" },
        "multi_agent": { "policies": policies, "policy_mapping": { "cart_0": "main", "cart_1": second } },
    })
}

fn modules(policies: &[&str], second: &str) -> MultiAgentOptions {
    config(ENV, &with_policies(policies, second)).common().multi_agent.clone()
}

fn runner_state(algorithm: &Algorithm) -> Value {
    algorithm.snapshot().unwrap().json(ENV_RUNNER_STATE).unwrap()["agents"].clone()
}

#[test]
fn the_change_does_not_depend_on_threads_and_is_resumed_exactly() {
    let run = |num_threads| {
        let mut algorithm = trained(ENV, &on_threads(&with_policies(&["main"], "main"), num_threads), 2);
        algorithm.change_modules(modules(&["main", "new"], "new")).unwrap();
        train(&mut algorithm, 1);
        algorithm
    };
    let (mut one, two) = (run(1), run(2));
    assert_same_state(&one, &two, "threads");
    let mut resumed = build(ENV, &with_policies(&["main", "new"], "new"));
    resumed.restore(&one.snapshot().unwrap()).unwrap();
    train(&mut one, 1);
    train(&mut resumed, 1);
    assert_same_state(&one, &resumed, "resumed");
}

#[test]
fn counts_go_on_and_no_episode_is_played_twice() {
    let mut algorithm = trained(ENV, &with_policies(&["main"], "main"), 2);
    let (before, weights) = (runner_state(&algorithm), weight_bits(&algorithm));
    algorithm.change_modules(modules(&["main", "new"], "new")).unwrap();
    let after = runner_state(&algorithm);
    assert_eq!(after["steps"], before["steps"]);
    for (before, after) in before["envs"].as_array().unwrap().iter().zip(after["envs"].as_array().unwrap()) {
        // The running episode was given up, so the next one has another number, and begins elsewhere.
        assert_eq!(
            after["episode"]["index"].as_u64(),
            before["episode"]["index"].as_u64().map(|index| index + 1)
        );
        assert_eq!(after["episode"]["len"], 0);
    }
    let fresh = runner_state(&build(ENV, &with_policies(&["main", "new"], "new")));
    assert_ne!(fresh["envs"][0]["inputs"], after["envs"][0]["inputs"]);
    assert_eq!(weight_bits(&algorithm)["main"], weights["main"]);
}

#[test]
fn a_change_that_cannot_be_leaves_everything_as_it_was() {
    let mut algorithm = trained(ENV, &with_policies(&["main", "new"], "new"), 1);
    let untouched = trained(ENV, &with_policies(&["main", "new"], "new"), 1);
    for (policies, second, said) in [
        (&["main", "new", "idle"][..], "new", "module 'idle': expected at least one agent"),
        (&["main", "new"], "main", "module 'new': expected at least one agent"),
        (&["main"], "new", "there is no such policy"),
    ] {
        let error = algorithm.change_modules(modules_unchecked(policies, second)).unwrap_err().to_string();
        assert!(error.contains(said), "{error}");
    }
    assert_same_state(&algorithm, &untouched, "refused");
    let error = build("CartPole-v1", &json!({})).change_modules(MultiAgentOptions::default()).unwrap_err();
    assert!(error.to_string().contains("an environment of several agents"), "{error}");
}

/// As [`modules`], from parts that need not fit.
fn modules_unchecked(policies: &[&str], second: &str) -> MultiAgentOptions {
    let mut options = modules(&["main", "new"], second);
    options.policies.0 = policies.iter().map(|name| ((*name).to_owned(), serde_json::Map::new())).collect();
    options
}
