//! Names, suggestions, configuration.

#![allow(clippy::unwrap_used)]

use serde_json::{Value, json};
use skirl_env::probe::Constant;
use skirl_env::{
    AnyEnv, EnvContext, EnvError, EnvSpec, info, make, make_any, make_multi, make_vec, make_with, names,
    register, register_env, register_multi_agent_env,
};

fn config(value: Value) -> EnvContext {
    let Value::Object(config) = value else { return EnvContext::single() };
    EnvContext::with_config(config)
}

fn message(result: Result<impl Sized, EnvError>) -> String {
    result.err().map(|error| error.to_string()).unwrap_or_default()
}

#[test]
fn unknown_names_get_suggestions() {
    let cases = [
        ("CartPole-v2", "CartPole-v1` or `CartPole-v0`"),
        ("cartpole-v1", "did you mean `CartPole-v1`"),
        ("Cartpole", "did you mean `CartPole-v1`"),
        ("Pendulm-v1", "did you mean `Pendulum-v1`?"),
        ("MountainCarContinous-v0", "did you mean `MountainCarContinuous-v0`"),
        ("Quake-v3", "`skirl envs` lists them"),
    ];
    for (name, part) in cases {
        let found = message(make(name));
        assert!(found.contains(part), "{found}");
        assert!(found.starts_with(&format!("there is no environment named `{name}`")), "{found}");
    }
}

#[test]
fn listings_hide_probes() {
    assert!(names(false).contains(&"CartPole-v1".to_owned()));
    assert!(!names(false).iter().any(|name| name.starts_with("probe/") || name.starts_with("testing/")));
    assert!(names(true).contains(&"probe/Constant-v0".to_owned()));
    for name in names(true) {
        let info = info(&name).unwrap();
        assert!(name.starts_with("Own") || !info.description.is_empty(), "{name}");
        assert!(!info.agents.is_empty(), "{name}");
    }
    let info = info("CartPole-v1").unwrap();
    assert_eq!((info.max_episode_steps, info.reward_threshold), (Some(500), Some(475.0)));
    assert_eq!(info.agents[0].1.to_string(), "Box(-inf, inf, (4,), float32)");
}

#[test]
fn wrong_configuration_is_explained() {
    let cases = [
        (
            json!({"sutton_barto_rewards": true}),
            "env_config of CartPole-v1: `sutton_barto_rewards` is not an option of this environment; did you mean \
             `sutton_barto_reward`?",
        ),
        (
            json!({"zebra": 1}),
            "env_config of CartPole-v1: `zebra` is not an option of this environment; it takes \
             `sutton_barto_reward`, `max_episode_steps`",
        ),
        (
            json!({"sutton_barto_reward": 1}),
            "env_config of CartPole-v1: `sutton_barto_reward` is 1, expected true or false",
        ),
        (
            json!({"max_episode_steps": 0}),
            "env_config of CartPole-v1: `max_episode_steps` is 0, expected a number of steps from 1 to 4294967295, \
             or null for none",
        ),
    ];
    for (value, expected) in cases {
        assert_eq!(message(make_with("CartPole-v1", &config(value.clone()))), expected);
        assert_eq!(message(make_vec("CartPole-v1", 2, &config(value))), expected);
    }
}

#[test]
fn the_time_limit_can_be_set() {
    let limit = |value: Value| make_vec("Pendulum-v1", 1, &config(value)).unwrap().max_episode_steps();
    assert_eq!(limit(json!({})), Some(200));
    assert_eq!(limit(json!({"max_episode_steps": 7})), Some(7));
    assert_eq!(limit(json!({"max_episode_steps": null})), None);
}

#[test]
fn own_environments_are_made_by_name() {
    register_env("Own-v0", || Constant).unwrap();
    assert!(make("Own-v0").is_ok());
    assert!(message(make_with("Own-v0", &config(json!({"a": 1})))).contains("it takes `max_episode_steps`"));
    assert_eq!(make_vec("Own-v0", 3, &EnvContext::default()).unwrap().num_envs(), 3);
    // A constructor sees the index of its environment among all of the run.
    let seen = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let log = seen.clone();
    let spec = EnvSpec::single(move |context| {
        log.lock().unwrap().push((context.first_env_index, context.num_envs));
        Ok(Constant)
    });
    register("Own-v1", spec).unwrap();
    let context = EnvContext { first_env_index: 8, ..EnvContext::default() };
    make_vec("Own-v1", 2, &context).unwrap();
    assert_eq!(*seen.lock().unwrap(), [(8, 1), (9, 1)]);
    assert!(message(register_env("", || Constant)).contains("it is empty"));
    assert!(message(register_env("two words", || Constant)).contains("white space"));
}

#[test]
fn environments_come_in_the_form_that_fits() {
    register_multi_agent_env("OwnMulti-v0", |_| Ok(skirl_env::probe::TurnBased::default())).unwrap();
    assert!(
        matches!(make_any("OwnMulti-v0", 2, &EnvContext::default()), Ok(AnyEnv::Multi(envs)) if envs.len() == 2)
    );
    assert!(matches!(make_any("CartPole-v1", 2, &EnvContext::default()), Ok(AnyEnv::Single(_))));
    let expected =
        "environment `TwoCartPole-v0` is a multi-agent environment, expected a single-agent environment";
    assert_eq!(message(make("TwoCartPole-v0")), expected);
    assert_eq!(message(make_vec("TwoCartPole-v0", 1, &EnvContext::default())), expected);
    assert_eq!(make_multi("CartPole-v1", 3, &EnvContext::default()).unwrap().len(), 3);
}
