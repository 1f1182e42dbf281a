//! Reading `env_config`: keyword arguments of an environment, with errors that name the key.

use serde_json::Value;

use crate::error::EnvError;
use crate::registry::{EnvContext, EnvSpec};
use crate::suggest::similar_key;

/// The key that every environment accepts.
pub const MAX_EPISODE_STEPS: &str = "max_episode_steps";

/// Refuses unknown keys and reads the time limit: the environment's own, or `max_episode_steps` (`null`: none).
pub(crate) fn check(name: &str, spec: &EnvSpec, context: &EnvContext) -> Result<Option<u32>, EnvError> {
    if let Some(keys) = &spec.config_keys {
        for key in context.env_config.keys() {
            known_key(name, key, keys)?;
        }
    }
    match context.env_config.get(MAX_EPISODE_STEPS) {
        None => Ok(spec.max_episode_steps),
        Some(Value::Null) => Ok(None),
        Some(value) => {
            let steps = value.as_u64().and_then(|steps| u32::try_from(steps).ok()).filter(|&steps| steps > 0);
            let problem =
                format!("is {value}, expected a number of steps from 1 to {}, or null for none", u32::MAX);
            steps.map(Some).ok_or_else(|| bad(name, MAX_EPISODE_STEPS, problem, String::new()))
        }
    }
}

fn known_key(name: &str, key: &str, keys: &[String]) -> Result<(), EnvError> {
    let known = || keys.iter().map(String::as_str).chain([MAX_EPISODE_STEPS]);
    if known().any(|candidate| candidate == key) {
        return Ok(());
    }
    let hint = match similar_key(key, known()) {
        Some(similar) => format!("; did you mean `{similar}`?"),
        None => {
            format!("; it takes {}", known().map(|key| format!("`{key}`")).collect::<Vec<_>>().join(", "))
        }
    };
    Err(bad(name, key, "is not an option of this environment".to_owned(), hint))
}

/// A number, or `default` where the key is absent.
pub fn number(env: &str, context: &EnvContext, key: &str, default: f64) -> Result<f64, EnvError> {
    match context.env_config.get(key) {
        None => Ok(default),
        Some(value) => value
            .as_f64()
            .ok_or_else(|| bad(env, key, format!("is {value}, expected a number"), String::new())),
    }
}

/// `true` or `false`, or `default` where the key is absent.
pub fn boolean(env: &str, context: &EnvContext, key: &str, default: bool) -> Result<bool, EnvError> {
    match context.env_config.get(key) {
        None => Ok(default),
        Some(value) => value
            .as_bool()
            .ok_or_else(|| bad(env, key, format!("is {value}, expected true or false"), String::new())),
    }
}

fn bad(env: &str, key: &str, problem: String, hint: String) -> EnvError {
    EnvError::BadConfig { env: env.to_owned(), key: key.to_owned(), problem, hint }
}
