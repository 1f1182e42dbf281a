//! The result of one training iteration: an ordered, nested, JSON-clean map.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::{Map, Number, Value};

/// One leaf of a [`TrainResult`], made by `From` from the plain types.
#[derive(Debug, Clone, PartialEq)]
pub enum Metric {
    /// A finite or non-finite float; only finite ones are stored.
    Float(f64),
    /// A count.
    Count(u64),
    /// A signed integer.
    Integer(i64),
    /// A flag.
    Flag(bool),
    /// A text.
    Text(String),
    /// No data: the key stays absent.
    Absent,
}

macro_rules! metric_from {
    ($($type:ty => $variant:ident),* $(,)?) => {
        $(impl From<$type> for Metric {
            fn from(value: $type) -> Self {
                Self::$variant(value.into())
            }
        })*
    };
}
metric_from!(f64 => Float, f32 => Float, u64 => Count, u32 => Count, i64 => Integer, i32 => Integer, bool => Flag, &str => Text, String => Text);

impl From<usize> for Metric {
    fn from(value: usize) -> Self {
        Self::Count(value as u64)
    }
}

impl<T: Into<Metric>> From<Option<T>> for Metric {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Absent, Into::into)
    }
}

/// What `train()` returns and what every sink writes.
///
/// Keys are RLlib's (`env_runners/episode_return_mean`, …) and keep the order in which they were set. Values are finite
/// numbers, strings, booleans and maps of these. A metric without data is **absent**: never NaN, never null.
///
/// ```
/// use skirl::report::TrainResult;
/// let mut result = TrainResult::new();
/// result.set("training_iteration", 3_u64);
/// result.set("env_runners/episode_return_mean", 21.5);
/// result.set("env_runners/episode_return_max", f64::NAN);
/// assert_eq!(result.get("env_runners/episode_return_mean"), Some(21.5));
/// assert_eq!(result.get("env_runners/episode_return_max"), None);
/// assert_eq!(result.skipped_non_finite(), 1);
/// ```
#[derive(Debug, Clone, Default, PartialEq)]
pub struct TrainResult {
    root: Map<String, Value>,
    skipped_non_finite: u64,
    skipped_conflicts: u64,
}

impl TrainResult {
    /// An empty result.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the leaf at a slash-separated path, replacing an earlier value and creating the maps on the way.
    ///
    /// Not stored: a non-finite float (counted in [`Self::skipped_non_finite`]) and a path that runs through a leaf or
    /// ends on a map (counted in [`Self::skipped_conflicts`]: one name cannot be both).
    pub fn set(&mut self, path: &str, value: impl Into<Metric>) -> &mut Self {
        let keys: Vec<&str> = path.split('/').collect();
        self.set_at(&keys, value)
    }

    /// Like [`Self::set`] with the keys apart, for names that contain a slash themselves (an agent called `team/1`).
    pub fn set_at(&mut self, keys: &[&str], value: impl Into<Metric>) -> &mut Self {
        let leaf = match value.into() {
            Metric::Float(float) => {
                let Some(number) = Number::from_f64(float) else {
                    self.skipped_non_finite += 1;
                    return self;
                };
                Value::Number(number)
            }
            Metric::Count(count) => Value::from(count),
            Metric::Integer(integer) => Value::from(integer),
            Metric::Flag(flag) => Value::from(flag),
            Metric::Text(text) => Value::from(text),
            Metric::Absent => return self,
        };
        self.insert_leaf(keys, leaf);
        self
    }

    /// Sets one leaf per entry below `path`.
    pub fn set_each<V: Into<Metric> + Clone>(
        &mut self,
        path: &str,
        values: &BTreeMap<String, V>,
    ) -> &mut Self {
        for (name, value) in values {
            let mut keys: Vec<&str> = path.split('/').collect();
            keys.push(name);
            self.set_at(&keys, value.clone());
        }
        self
    }

    /// Puts every leaf of `other` below `prefix` (an empty prefix merges at the root), its counts of skipped values too.
    pub fn merge(&mut self, prefix: &str, other: &Self) -> &mut Self {
        let prefix: Vec<&str> = prefix.split('/').filter(|key| !key.is_empty()).collect();
        merge_map(self, &prefix, &other.root);
        self.skipped_non_finite += other.skipped_non_finite;
        self.skipped_conflicts += other.skipped_conflicts;
        self
    }

    /// Takes the leaf or map at `path` out.
    pub fn remove(&mut self, path: &str) -> Option<Value> {
        let (parents, last) = path.rsplit_once('/').unwrap_or(("", path));
        let mut map = &mut self.root;
        for key in parents.split('/').filter(|key| !key.is_empty()) {
            map = map.get_mut(key)?.as_object_mut()?;
        }
        map.shift_remove(last)
    }

    /// The number at `path`; `None` when it is absent, a map, a text or a flag.
    ///
    /// RLlib's plural spelling for many agents (`…_episode_returns_mean`) finds the singular key that is written here
    /// for any number of agents. RLlib's old place of custom metrics (`custom_metrics/…`) finds
    /// `env_runners/custom_metrics/…`, and `evaluation/custom_metrics/…` those of evaluation.
    pub fn get(&self, path: &str) -> Option<f64> {
        let number = |path: &str| self.value(path).and_then(Value::as_f64);
        number(path).or_else(|| number(&written_as(path)?))
    }

    /// The integer count at `path`, exact up to 2⁶⁴ − 1.
    pub fn get_count(&self, path: &str) -> Option<u64> {
        self.value(path).and_then(Value::as_u64)
    }

    /// The leaf or map at `path`.
    pub fn value(&self, path: &str) -> Option<&Value> {
        let mut keys = path.split('/');
        let first = self.root.get(keys.next()?)?;
        keys.try_fold(first, |value, key| value.as_object()?.get(key))
    }

    /// The whole map.
    pub fn as_map(&self) -> &Map<String, Value> {
        &self.root
    }

    /// The whole map as a JSON value.
    pub fn as_value(&self) -> Value {
        Value::Object(self.root.clone())
    }

    /// Reads a result back. Nulls, arrays and empty maps are left out, as no result holds them.
    pub fn from_value(value: &Value) -> Self {
        let mut result = Self::new();
        if let Value::Object(map) = value {
            merge_map(&mut result, &[], map);
        }
        result
    }

    /// All leaves with their slash-separated paths, in the order of the map.
    pub fn flatten(&self) -> Vec<(String, &Value)> {
        let mut leaves = Vec::new();
        flatten_into(&self.root, "", &mut leaves);
        leaves
    }

    /// The result as one line of JSON, without the line end.
    pub fn to_json_line(&self) -> String {
        Value::Object(self.root.clone()).to_string()
    }

    /// How many floats were NaN or infinite and therefore left out.
    pub fn skipped_non_finite(&self) -> u64 {
        self.skipped_non_finite
    }

    /// How many values were left out because their name was taken by a map, or their parent's by a leaf.
    pub fn skipped_conflicts(&self) -> u64 {
        self.skipped_conflicts
    }

    /// Whether nothing was set.
    pub fn is_empty(&self) -> bool {
        self.root.is_empty()
    }

    fn insert_leaf(&mut self, keys: &[&str], leaf: Value) {
        let Some((last, parents)) = keys.split_last() else { return };
        if !is_free(&self.root, parents, last) {
            self.skipped_conflicts += 1;
            return;
        }
        let mut map = &mut self.root;
        for key in parents {
            let child = map.entry((*key).to_string()).or_insert_with(|| Value::Object(Map::new()));
            match child {
                Value::Object(inner) => map = inner,
                _ => return,
            }
        }
        map.insert((*last).to_string(), leaf);
    }
}

/// The path under which a metric is written that RLlib writes, or wrote, under `path`.
fn written_as(path: &str) -> Option<String> {
    let (parent, rest) = match path.strip_prefix("evaluation/") {
        Some(rest) => ("evaluation/", rest),
        None => ("", path),
    };
    if rest.starts_with("custom_metrics/") {
        return Some(format!("{parent}env_runners/{rest}"));
    }
    let singular = path.replace("_episode_returns_mean", "_episode_return_mean");
    (singular != path).then_some(singular)
}

/// Whether the path holds maps all the way and no map at its end.
fn is_free(root: &Map<String, Value>, parents: &[&str], last: &str) -> bool {
    let mut map = root;
    for key in parents {
        match map.get(*key) {
            None => return true,
            Some(Value::Object(inner)) => map = inner,
            Some(_) => return false,
        }
    }
    !matches!(map.get(last), Some(Value::Object(_)))
}

fn merge_map(result: &mut TrainResult, prefix: &[&str], map: &Map<String, Value>) {
    for (key, value) in map {
        let mut keys = prefix.to_vec();
        keys.push(key);
        match value {
            Value::Object(inner) => merge_map(result, &keys, inner),
            Value::Null | Value::Array(_) => {}
            leaf => result.insert_leaf(&keys, leaf.clone()),
        }
    }
}

fn flatten_into<'a>(map: &'a Map<String, Value>, prefix: &str, leaves: &mut Vec<(String, &'a Value)>) {
    for (key, value) in map {
        let path = if prefix.is_empty() { key.clone() } else { format!("{prefix}/{key}") };
        match value {
            Value::Object(inner) => flatten_into(inner, &path, leaves),
            leaf => leaves.push((path, leaf)),
        }
    }
}

impl fmt::Display for TrainResult {
    /// Pretty-printed JSON.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#}", Value::Object(self.root.clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> TrainResult {
        let mut result = TrainResult::new();
        result.set("training_iteration", 1_u64).set("env_runners/episode_return_mean", 21.5);
        result.set("learners/default_policy/vf_loss", 0.25_f32).set("env_runners/name", "CartPole-v1");
        result
    }

    #[test]
    fn keys_keep_their_order_and_nest() {
        let text = sample().to_json_line();
        assert_eq!(
            text,
            r#"{"training_iteration":1,"env_runners":{"episode_return_mean":21.5,"name":"CartPole-v1"},"learners":{"default_policy":{"vf_loss":0.25}}}"#
        );
        let paths: Vec<String> = sample().flatten().into_iter().map(|(path, _)| path).collect();
        let expected = [
            "training_iteration",
            "env_runners/episode_return_mean",
            "env_runners/name",
            "learners/default_policy/vf_loss",
        ];
        assert_eq!(paths, expected);
    }

    #[test]
    fn no_data_is_absent() {
        let mut result = sample();
        result.set("a", f64::NAN).set("b/c", f32::INFINITY).set("d", None::<f64>);
        assert_eq!(result.skipped_non_finite(), 2);
        assert_eq!(result.as_value(), sample().as_value());
    }

    #[test]
    fn a_name_is_a_leaf_or_a_map() {
        let mut result = sample();
        result.set("training_iteration/x", 1.0).set("env_runners", 1.0).set("learners/default_policy", 3.0);
        assert_eq!(result.skipped_conflicts(), 3);
        assert_eq!(result.as_value(), sample().as_value());
        result.set("training_iteration", 2_u64);
        assert_eq!(result.get("training_iteration"), Some(2.0));
    }

    #[test]
    fn counts_are_exact_beyond_2_53() {
        let mut result = TrainResult::new();
        result.set("n", (1_u64 << 53) + 1);
        assert_eq!(result.get_count("n"), Some((1 << 53) + 1));
        assert_eq!(result.to_json_line(), r#"{"n":9007199254740993}"#);
    }

    #[test]
    fn merge_puts_a_result_below_another() {
        let mut result = TrainResult::new();
        result.merge("evaluation", &sample());
        assert_eq!(result.get("evaluation/env_runners/episode_return_mean"), Some(21.5));
        assert_eq!(TrainResult::from_value(&result.as_value()), result);
        assert_eq!(result.remove("evaluation/training_iteration"), Some(Value::from(1)));
        assert_eq!(result.get("evaluation/training_iteration"), None);
    }

    #[test]
    fn plural_spelling_finds_the_singular() {
        let mut result = TrainResult::new();
        result.set("env_runners/module_episode_return_mean/p0", 5.0);
        assert_eq!(result.get("env_runners/module_episode_returns_mean/p0"), Some(5.0));
    }
}
