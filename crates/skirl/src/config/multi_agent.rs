//! Section `multi_agent`: which policy acts for which agent.

use indexmap::IndexMap;
use serde_json::{Map, Value, json};

use super::choices::CountStepsBy;
use super::declare::options;
use super::error::Problem;
use super::spec::Bounds;
use super::value::{OptionValue, Setting};

/// Name of the only policy when none is named.
pub const DEFAULT_POLICY: &str = "default_policy";

options! {
    /// Policies, and which of them acts for which agent.
    pub struct MultiAgentOptions in "multi_agent" {
        /// The policies: a list of names, or a map from name to the options in which that policy differs. Options of `training` and `rl_module` may differ. Empty means one policy, `default_policy`.
        policies: Policies = Policies::default();
        /// Map from agent to policy; `*` in an agent's name matches any text and the first match counts. Empty gives every agent the only policy, or the policy of its own name.
        policy_mapping: PolicyMapping = PolicyMapping::default();
        /// Names of the policies that learn. `none` trains all.
        policies_to_train: Option<Vec<String>> = None;
        /// What counts as one step in batch sizes. Only `env_steps` is served yet.
        count_steps_by: CountStepsBy = CountStepsBy::EnvSteps;
    }
}

impl MultiAgentOptions {
    /// Names of the policies, `default_policy` when none is named.
    pub fn policy_names(&self) -> Vec<&str> {
        if self.policies.0.is_empty() {
            return vec![DEFAULT_POLICY];
        }
        self.policies.0.keys().map(String::as_str).collect()
    }

    /// The policy that acts for an agent; `None` when no rule matches.
    pub fn policy_for(&self, agent: &str) -> Option<&str> {
        let mut rules = self.policy_mapping.0.iter();
        if let Some((_, policy)) = rules.find(|(pattern, _)| matches_pattern(pattern, agent)) {
            return Some(policy);
        }
        let names = self.policy_names();
        match (self.policy_mapping.0.is_empty(), names.as_slice()) {
            (true, [only]) => Some(only),
            (true, many) => many.iter().find(|name| **name == agent).copied(),
            (false, _) => None,
        }
    }

    /// Whether a policy learns.
    pub fn is_trained(&self, policy: &str) -> bool {
        self.policies_to_train.as_ref().is_none_or(|names| names.iter().any(|name| name == policy))
    }
}

/// Whether `text` is matched by a pattern in which `*` stands for any text.
fn matches_pattern(pattern: &str, text: &str) -> bool {
    let Some((head, rest)) = pattern.split_once('*') else {
        return pattern == text;
    };
    let Some(tail) = text.strip_prefix(head) else {
        return false;
    };
    tail.char_indices().map(|(at, _)| at).chain([tail.len()]).any(|at| matches_pattern(rest, &tail[at..]))
}

/// Policies by name, each with the options in which it differs.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Policies(pub IndexMap<String, Map<String, Value>>);

impl<const N: usize> Setting<Policies> for [&str; N] {
    fn into_setting(self) -> Policies {
        Policies(self.into_iter().map(|name| (name.to_owned(), Map::new())).collect())
    }
}

impl<const N: usize> Setting<Policies> for [(&str, Value); N] {
    /// Overrides that are not a map count as none.
    fn into_setting(self) -> Policies {
        let policy = |(name, overrides): (&str, Value)| (name.to_owned(), overrides.into_setting());
        Policies(self.into_iter().map(policy).collect())
    }
}

impl OptionValue for Policies {
    fn type_name() -> String {
        "list of names, or map from name to options".into()
    }

    fn from_value(value: &Value) -> Result<Self, Problem> {
        let expected = || Problem::expected("a list of policy names or a map from name to options", value);
        match value {
            Value::Array(names) => {
                let policies = names.iter().map(|name| Ok((String::from_value(name)?, Map::new())));
                let policies: IndexMap<_, _> = policies.collect::<Result<_, Problem>>()?;
                if policies.len() < names.len() {
                    return Err(Problem::new("names a policy twice"));
                }
                Ok(Self(policies))
            }
            Value::Object(map) => {
                let policies = map.iter().map(|(name, overrides)| match overrides {
                    Value::Null => Ok((name.clone(), Map::new())),
                    Value::Object(options) => Ok((name.clone(), options.clone())),
                    other => Err(Problem::expected(&format!("a map of options for policy {name}"), other)),
                });
                policies.collect::<Result<_, Problem>>().map(Self)
            }
            _ => Err(expected()),
        }
    }

    fn to_value(&self) -> Value {
        self.0.iter().map(|(name, options)| (name.clone(), Value::Object(options.clone()))).collect()
    }

    fn schema(_: &Bounds) -> Value {
        let list = json!({ "type": "array", "items": { "type": "string" }, "uniqueItems": true });
        json!({ "anyOf": [list, { "type": "object", "additionalProperties": { "type": ["object", "null"] } }] })
    }
}

/// Rules `agent pattern → policy`, the first match counts.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PolicyMapping(pub IndexMap<String, String>);

impl<const N: usize> Setting<PolicyMapping> for [(&str, &str); N] {
    fn into_setting(self) -> PolicyMapping {
        PolicyMapping(self.into_iter().map(|(agent, policy)| (agent.to_owned(), policy.to_owned())).collect())
    }
}

impl OptionValue for PolicyMapping {
    fn type_name() -> String {
        "map from agent to policy".into()
    }

    fn from_value(value: &Value) -> Result<Self, Problem> {
        let map = value.as_object().ok_or_else(|| Problem::expected("a map from agent to policy", value))?;
        let rules = map.iter().map(|(agent, policy)| Ok((agent.clone(), String::from_value(policy)?)));
        rules.collect::<Result<_, _>>().map(Self)
    }

    fn to_value(&self) -> Value {
        json!(self.0)
    }

    fn schema(_: &Bounds) -> Value {
        json!({ "type": "object", "additionalProperties": { "type": "string" } })
    }
}
