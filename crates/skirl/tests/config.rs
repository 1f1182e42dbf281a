//! Configuration through the public API: fluent builders, maps, `--set`, error messages.
#![allow(clippy::expect_used, reason = "a test helper may fail the test")]

use serde_json::{Value, json};
use skirl::config::{AlgorithmConfig, ConfigErrors, PpoConfig, for_algorithm, from_value};

fn ppo() -> PpoConfig {
    PpoConfig::new().environment("CartPole-v1")
}

fn errors(outcome: Result<(), ConfigErrors>) -> String {
    outcome.expect_err("must be refused").to_string()
}

fn set(assignment: &str) -> String {
    errors(ppo().apply_set(assignment))
}

#[test]
fn an_environment_may_be_called_none() {
    let document = json!({ "run": "PPO", "env": "none" });
    let config = from_value(&document).expect("a name");
    assert_eq!(config.common().environment.env.as_deref(), Some("none"));
    let unset = from_value(&json!({ "run": "PPO", "env": null })).expect("unset");
    assert_eq!(unset.common().environment.env, None);
}

#[test]
fn the_largest_seed_is_told_with_all_its_digits() {
    let message = set("debugging.seed=-1");
    assert!(message.contains("at least 0 and at most 18446744073709551615"), "{message}");
}

#[test]
fn defaults_are_rllibs_for_ppo() {
    let config = ppo();
    assert_eq!(config.validate(), Ok(()));
    assert_eq!(config.common.env_runners.total_envs(), 2);
    let expected = [
        ("training.gamma", json!(0.99)),
        ("training.lr", json!(5e-5)),
        ("training.lambda_", json!(1.0)),
        ("training.train_batch_size", json!(4000)),
        ("training.minibatch_size", json!(128)),
        ("training.num_epochs", json!(30)),
        ("training.kl_coeff", json!(0.2)),
        ("training.clip_param", json!(0.3)),
        ("training.vf_clip_param", json!(10.0)),
        ("training.grad_clip", Value::Null),
        ("rl_module.fcnet_hiddens", json!([256, 256])),
        ("rl_module.vf_share_layers", json!(false)),
        ("env_runners.num_env_runners", json!(2)),
    ];
    for (path, value) in expected {
        assert_eq!(config.get(path), Some(value), "{path}");
    }
}

#[test]
fn fluent_builders_take_plain_values() {
    let config = ppo()
        .env_config(json!({"gravity": 9.8}))
        .env_runners(|o| o.num_env_runners(0).num_envs_per_env_runner(8).rollout_fragment_length(500))
        .training(|t| {
            t.lr([(0, 1e-3), (100_000, 0.0)]).grad_clip(0.5).vf_clip_param(None).optimizer(|o| o.eps(1e-5))
        })
        .rl_module(|m| m.fcnet_hiddens([64, 64]).vf_hiddens([32]))
        .evaluation(|e| e.evaluation_interval(5).evaluation_config(|c| c.explore(true)))
        .multi_agent(|m| m.policies(["p0", "p1"]).policy_mapping([("left*", "p0"), ("*", "p1")]))
        .debugging(|d| d.seed(1))
        .environment_options(|e| e.clip_rewards(true))
        .stop("env_runners/episode_return_mean", 475.0);
    assert_eq!(config.validate(), Ok(()));
    assert_eq!(config.training.lr.value_at(50_000), 5e-4);
    assert_eq!(config.common.multi_agent.policy_for("left_7"), Some("p0"));
    assert_eq!(config.common.multi_agent.policy_for("right"), Some("p1"));
    let again = PpoConfig::from_value(&config.to_value());
    assert_eq!(again, Ok(config));
}

#[test]
fn nested_and_flat_maps_mean_the_same() {
    let nested = json!({"training": {"lr": 0.001, "optimizer": {"eps": 1e-5}}, "env_runners": {"num_env_runners": 4},
        "rl_module": {"fcnet_hiddens": [64]}});
    let flat =
        json!({"lr": 0.001, "optimizer": {"eps": 1e-5}, "num_workers": 4, "model": {"fcnet_hiddens": [64]}});
    let (mut one, mut other) = (ppo(), ppo());
    assert_eq!(one.apply_json(&nested, "--config"), Ok(()));
    assert_eq!(other.apply_json(&flat, "--config"), Ok(()));
    assert_eq!(one, other);
}

#[test]
fn set_reads_json_else_strings_and_goes_into_maps() {
    let mut config = ppo();
    for assignment in [
        "training.lr=1e-3",
        "env=Pendulum-v1",
        "env_config.g=9.8",
        "explore=false",
        "training.vf_clip_param=none",
        "training.optimizer.type=adamw",
        "optimizer.eps=1e-5",
        "stop.training_iteration=3",
        "model.fcnet_hiddens=[8]",
    ] {
        assert_eq!(config.apply_set(assignment), Ok(()), "{assignment}");
    }
    assert_eq!(config.training.lr.initial(), 1e-3);
    assert_eq!(config.common.environment.env.as_deref(), Some("Pendulum-v1"));
    assert_eq!(config.common.environment.env_config.get("g"), Some(&json!(9.8)));
    assert_eq!(config.training.vf_clip_param, None);
    assert_eq!(config.stop.0.get("training_iteration"), Some(&3.0));
    assert_eq!(config.validate(), Ok(()));
}

#[test]
fn stop_criteria_may_be_nested_as_results_are() {
    let mut config = ppo();
    let stop = json!({"env_runners": {"episode_return_mean": 475}, "training_iteration": 9});
    assert_eq!(config.apply_json(&json!({ "stop": stop }), "--stop"), Ok(()));
    let criteria: Vec<(&str, f64)> =
        config.stop.0.iter().map(|(metric, minimum)| (metric.as_str(), *minimum)).collect();
    assert_eq!(criteria, [("env_runners/episode_return_mean", 475.0), ("training_iteration", 9.0)]);
    for (stop, part) in [
        (
            json!({"env_runners": {"episode_return_maen": 4}}),
            "did you mean `env_runners/episode_return_mean`?",
        ),
        (json!({"env_runners": {}}), "stop.env_runners = {}: expected a number, found a map with 0 keys"),
        (
            json!({"env_runners": {"episode_return_mean": "high"}}),
            "expected a number, found the string \"high\"",
        ),
    ] {
        let message = config.apply_json(&json!({ "stop": stop }), "--stop").expect_err("refused").to_string();
        assert!(message.contains(part), "{message}");
    }
    let message = config.apply_json(&json!({"training": 3}), "--config").expect_err("refused").to_string();
    assert!(message.contains("training = 3: expected a map of options, found the number 3"), "{message}");
}

#[test]
fn rllibs_experiment_form_is_read() {
    let document = json!({"cartpole-ppo": {"run": "PPO", "env": "CartPole-v1",
        "stop": {"training_iteration": 5}, "config": {"sgd_minibatch_size": 64, "lambda": 0.95}}});
    let config = from_value(&document).expect("valid");
    assert_eq!(config.get("training.minibatch_size"), Some(json!(64)));
    assert_eq!(config.get("training.lambda_"), Some(json!(0.95)));
}

#[test]
fn messages_name_the_option_meant() {
    let expected = [
        (
            "learnign_rate=1e-3",
            "learnign_rate = 0.001: unknown option\n  help: `learning_rate` is called `lr` here: \
                               write training.lr\n  at: --set",
        ),
        (
            "training.gamm=0.9",
            "training.gamm = 0.9: unknown option in section training\n  \
                              help: did you mean `training.gamma`?\n  at: --set",
        ),
        (
            "env_runners.lr=1",
            "env_runners.lr = 1: there is no option `lr` in section env_runners\n  \
                             help: `lr` belongs to section training: write training.lr\n  at: --set",
        ),
        (
            "clip_range=0.2",
            "clip_range = 0.2: unknown option; `clip_range` is the name in SB3\n  \
                           help: `clip_range` is called `clip_param` here: write training.clip_param\n  at: --set",
        ),
        (
            "use_lstm=true",
            "use_lstm = true: RLlib option, not served by skirl yet\n  help: remove it\n  at: --set",
        ),
        ("gamma=5", "training.gamma = 5: must be at least 0 and at most 1\n  at: --set"),
        (
            "gamma=\"0.99\"",
            "training.gamma = \"0.99\": expected a number, found the string \"0.99\"\n  \
                           help: write 0.99 without quotes\n  at: --set",
        ),
        (
            "num_learners=2",
            "learners.num_learners = 2: must be exactly 0\n  \
                           help: learning runs in the process on resources.num_threads threads; leave it at 0\n  at: --set",
        ),
        (
            "stop.episode_reward_mean=475",
            "stop.episode_reward_mean = 475: no such metric in a result\n  \
                                         help: it is called `env_runners/episode_return_mean` here\n  at: --set",
        ),
        (
            "lr=[[5,0.1],[7,0.2]]",
            "training.lr = [[5,0.1],[7,0.2]]: the first point of a schedule must be at step 0, \
                                 found step 5\n  help: put [0, 0.1] first\n  at: --set",
        ),
        (
            "train_batch_size=-5",
            "training.train_batch_size = -5: must be at least 1 and at most 1073741824 (environment steps)\n  at: --set",
        ),
        ("=3", "=3: expected path=value\n  help: write for example --set training.lr=1e-3\n  at: --set"),
        (
            "training.=3",
            "training.=3: expected path=value\n  help: write for example --set training.lr=1e-3\n  at: --set",
        ),
        (
            "train_batch_size=1e30",
            "training.train_batch_size = 1e+30: must be at least 1 and at most 1073741824 (environment steps)\n  at: --set",
        ),
    ];
    for (assignment, message) in expected {
        assert_eq!(set(assignment), message, "{assignment}");
    }
}

#[test]
fn algorithms_that_are_not_there_say_so() {
    let message = |name| for_algorithm(name).expect_err("refused").to_string();
    assert!(message("DQN").contains("an algorithm of RLlib that skirl does not serve yet"));
    assert!(message("PPPO").contains("did you mean `PPO`?"));
}

#[test]
fn all_errors_come_at_once() {
    let mut config = ppo();
    let outcome =
        config.apply_json(&json!({"gamma": 2, "lr": "fast", "foo_bar_baz": 1, "num_epochs": 7}), "--config");
    let errors = outcome.expect_err("refused");
    assert_eq!(errors.0.len(), 3, "{errors}");
    assert_eq!(config.training.num_epochs, 7);
}

#[test]
fn rules_between_options() {
    // On the heap: whole configurations are large.
    let broken = vec![
        ("training.minibatch_size", ppo().training(|t| t.train_batch_size(64))),
        ("training.train_batch_size", ppo().env_runners(|o| o.num_envs_per_env_runner(4001))),
        ("env_runners.rollout_fragment_length", ppo().env_runners(|o| o.rollout_fragment_length(7))),
        ("training.use_gae", ppo().training(|t| t.use_critic(false))),
        ("rl_module.vf_hiddens", ppo().rl_module(|m| m.vf_share_layers(true).vf_hiddens([8]))),
        ("training.optimizer.momentum", ppo().training(|t| t.optimizer(|o| o.momentum(0.9)))),
        ("multi_agent.policy_mapping.a", ppo().multi_agent(|m| m.policy_mapping([("a", "p9")]))),
        ("multi_agent.policies_to_train", ppo().multi_agent(|m| m.policies_to_train(["p9"]))),
        (
            "multi_agent.policies.p0.training.lr",
            ppo().multi_agent(|m| m.policies([("p0", json!({"lr": -1}))])),
        ),
        (
            "multi_agent.policies.p0.num_epochs",
            ppo().multi_agent(|m| m.policies([("p0", json!({"num_epochs": 1}))])),
        ),
        (
            "multi_agent.count_steps_by",
            ppo().multi_agent(|m| m.count_steps_by(skirl::config::CountStepsBy::AgentSteps)),
        ),
        ("environment.env", PpoConfig::new()),
        ("stop.training_iteration", ppo().stop("training_iteration", f64::NAN)),
        ("training.lr", ppo().training(|t| t.lr(f64::NAN))),
        ("training.gamma", ppo().training(|t| t.gamma(1.5))),
    ];
    for (path, config) in broken {
        let errors = config.validate().expect_err(path);
        assert!(errors.concerns(path), "{path}: {errors}");
        assert_eq!(errors.0.len(), 1, "{path}: {errors}");
    }
}

#[test]
fn rules_between_options_hold_for_a_policys_own_options_too() {
    let config = PpoConfig::new().environment("TwoCartPole-v0").multi_agent(|m| {
        m.policies([
            ("a", serde_json::json!({ "vf_share_layers": true, "vf_hiddens": [32] })),
            ("b", serde_json::json!({})),
        ])
    });
    let errors = config.validate().unwrap_err();
    assert!(errors.0.iter().any(|error| error.path.starts_with("multi_agent.policies.a.")), "{errors}");
    assert!(errors.0.iter().all(|error| !error.path.starts_with("multi_agent.policies.b.")), "{errors}");
}
