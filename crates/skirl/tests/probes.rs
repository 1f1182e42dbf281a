//! The probe environments reach their analytic values: each isolates one part of the learner.
//!
//! Five fixed seeds each. Runs are deterministic, so on one instruction set a test passes always or never.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, clippy::float_cmp)]

mod runs;

use runs::{build, train};
use serde_json::{Value, json};
use skirl::Algorithm;
use skirl::algorithm::EvaluateRequest;
use skirl_nn::Mat;

const GAMMA: f32 = 0.9;

/// Small networks, large steps, no penalties; `more` on top.
fn trained(env: &str, seed: u64, iterations: usize, more: &Value) -> Algorithm {
    let mut sections = json!({
        "training": training(1e-2, 0.0),
        "env_runners": { "num_envs_per_env_runner": 8 },
        "debugging": { "seed": seed },
    });
    for (section, options) in more.as_object().unwrap() {
        sections[section] = options.clone();
    }
    let mut algorithm = build(env, &sections);
    train(&mut algorithm, iterations);
    algorithm
}

fn training(lr: f64, entropy_coeff: f64) -> Value {
    json!({
        "lr": lr, "gamma": GAMMA, "lambda_": 0.95, "num_epochs": 8, "minibatch_size": 64, "clip_param": 0.2,
        "use_kl_loss": false, "vf_clip_param": "none", "grad_clip": 0.5, "entropy_coeff": entropy_coeff,
    })
}

fn value(algorithm: &Algorithm, module: &str, obs: &[f32]) -> f32 {
    let policy = &algorithm.policies()[module];
    let mut tape = policy.net.tape(1);
    policy.net.forward(&[Mat::new(obs, 1, obs.len())], None, &mut tape).unwrap();
    tape.output(1).row(0)[0]
}

/// Trains five seeds; every observation must have its value, and the greedy policy its mean return.
fn check(env: &str, iterations: usize, values: &[(&str, &[f32], f32)], greedy: f64, more: &Value) {
    for seed in 1..=5 {
        let mut algorithm = trained(env, seed, iterations, more);
        for (module, obs, expected) in values {
            let found = value(&algorithm, module, obs);
            assert!(
                (found - expected).abs() < 0.1,
                "{env}, seed {seed}: V({obs:?}) = {found}, expected {expected}"
            );
        }
        let request = EvaluateRequest { episodes: Some(40), ..EvaluateRequest::default() };
        let found = algorithm.evaluate(&request).unwrap().return_mean().unwrap();
        assert!(
            (found - greedy).abs() < 0.02,
            "{env}, seed {seed}: greedy return {found}, expected {greedy}"
        );
    }
}

const ONLY: &str = "default_policy";

#[test]
fn a_constant_reward_is_valued() {
    check("probe/Constant-v0", 8, &[(ONLY, &[1.0], 1.0)], 1.0, &json!({}));
}

#[test]
fn the_observation_reaches_the_value_network() {
    let values: [(&str, &[f32], f32); 2] = [(ONLY, &[1.0], 1.0), (ONLY, &[-1.0], -1.0)];
    for seed in 1..=5 {
        let algorithm = trained("probe/ObservationValue-v0", seed, 10, &json!({}));
        for (module, obs, expected) in values {
            assert!((value(&algorithm, module, obs) - expected).abs() < 0.1, "seed {seed}");
        }
    }
}

#[test]
fn a_delayed_reward_is_discounted() {
    let values: [(&str, &[f32], f32); 2] = [(ONLY, &[0.0], GAMMA), (ONLY, &[1.0], 1.0)];
    check("probe/DelayedReward-v0", 10, &values, 1.0, &json!({}));
}

#[test]
fn the_policy_gradient_has_the_right_sign() {
    check("probe/ActionReward-v0", 10, &[(ONLY, &[1.0], 1.0)], 1.0, &json!({}));
}

#[test]
fn the_policy_reads_the_observation() {
    let values: [(&str, &[f32], f32); 2] = [(ONLY, &[1.0], 1.0), (ONLY, &[-1.0], 1.0)];
    check("probe/MatchObservation-v0", 15, &values, 1.0, &json!({}));
}

#[test]
fn a_truncated_episode_bootstraps() {
    check("probe/TruncatedForever-v0", 60, &[(ONLY, &[1.0], 1.0 / (1.0 - GAMMA))], 8.0, &json!({}));
}

#[test]
fn a_continuous_action_reaches_its_bound() {
    let more = json!({ "rl_module": { "fcnet_hiddens": [16], "free_log_std": true, "log_std_init": -0.5 } });
    check("probe/ContinuousBound-v0", 30, &[], 1.0, &more);
}

#[test]
fn several_discrete_actions_are_learned_at_once() {
    // Of sixty seeds two are not quite there after so many iterations; none of these five.
    check("probe/MultiDiscrete-v0", 60, &[], 1.0, &json!({}));
}

#[test]
fn both_parts_of_a_nested_observation_count() {
    // An exclusive or: smaller steps and a little entropy keep the policy from settling on one part.
    let more = json!({ "training": training(3e-3, 0.02), "rl_module": { "fcnet_hiddens": [32] } });
    check("probe/DictObservation-v0", 100, &[], 1.0, &more);
}

/// Without memory the question cannot be answered: its value is 0, and saying otherwise would be a leak.
#[test]
fn what_was_not_observed_is_not_known() {
    for seed in 1..=5 {
        let algorithm = trained("probe/Memory-v0", seed, 10, &json!({}));
        assert!(value(&algorithm, ONLY, &[0.0]).abs() < 0.25, "seed {seed}");
    }
}

#[test]
fn two_agents_learn_in_turns() {
    let more = json!({ "multi_agent": { "policies": ["first", "second"] } });
    let mut values: Vec<(&str, &[f32], f32)> = Vec::new();
    for agent in ["first", "second"] {
        for (obs, expected) in
            [(&[1.0, 0.0], 1.0 + GAMMA), (&[-1.0, 0.0], 1.0 + GAMMA), (&[1.0, 1.0], 1.0), (&[-1.0, 1.0], 1.0)]
        {
            values.push((agent, obs, expected));
        }
    }
    check("probe/TurnBased-v0", 40, &values, 4.0, &more);
}

#[test]
fn two_agents_learn_opposite_tasks_at_once() {
    let more = json!({ "multi_agent": { "policies": ["matcher", "differ"] } });
    let values: [(&str, &[f32], f32); 2] = [("differ", &[1.0], 1.0), ("differ", &[-1.0], 1.0)];
    check("probe/Simultaneous-v0", 40, &values, 3.0, &more);
}
