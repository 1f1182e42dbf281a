//! What every algorithm's configuration can do, seen without its type.

use std::any::Any;

use serde_json::{Map, Value, json};

use super::a2c::A2cTraining;
use super::apply::{Source, Walk};
use super::common_config::CommonConfig;
use super::config_of::ConfigOf;
use super::declare::Section;
use super::error::{ConfigError, ConfigErrors, Problem};
use super::names::nearest;
use super::pg::PgTraining;
use super::ppo::PpoTraining;
use super::spec::OptionSpec;
use super::stop::StopCriteria;
use super::training::Training;

/// The configuration of an algorithm: what files, the command line and bindings work on.
pub trait AlgorithmConfig: std::fmt::Debug + Send + Sync {
    /// Name of the algorithm, for example `PPO`.
    fn algorithm(&self) -> &'static str;

    /// The sections that all algorithms have.
    fn common(&self) -> &CommonConfig;

    /// The sections that all algorithms have, to change.
    fn common_mut(&mut self) -> &mut CommonConfig;

    /// When the run stops.
    fn stop(&self) -> &StopCriteria;

    /// When the run stops, to change.
    fn stop_mut(&mut self) -> &mut StopCriteria;

    /// All sections in order, groups inside a section after it.
    fn sections(&self) -> Vec<&dyn Section>;

    /// The section at a dotted path, to change.
    fn section_mut(&mut self, path: &str) -> Option<&mut dyn Section>;

    /// Every range and every rule between options; all that is wrong at once.
    fn validate(&self) -> Result<(), ConfigErrors>;

    /// A copy.
    fn clone_box(&self) -> Box<dyn AlgorithmConfig>;

    /// To get at the concrete type, for example `PpoConfig`.
    fn as_any(&self) -> &dyn Any;

    /// Definition of every option, in order.
    fn specs(&self) -> Vec<&'static OptionSpec> {
        self.sections().into_iter().flat_map(|section| section.specs().iter()).collect()
    }

    /// Sets one option by its dotted path (`training.lr`, `environment.env_config.gravity`, `stop.training_iteration`) or
    /// by its plain name (`lr`).
    ///
    /// # Errors
    /// Unknown name, wrong type, value out of range.
    fn apply(&mut self, path: &str, value: &Value) -> Result<(), ConfigErrors> {
        let source = Source::none();
        let mut walk = Walk::new(&source);
        walk.path(self.as_dyn_mut(), path, value);
        walk.finish()
    }

    /// Sets options from a map, nested by section or flat with RLlib's names.
    ///
    /// # Errors
    /// Every unknown name, wrong type and value out of range; what is right is set all the same.
    fn apply_json(&mut self, options: &Value, origin: &str) -> Result<(), ConfigErrors> {
        let source = Source::flag(origin);
        let mut walk = Walk::new(&source);
        walk.options(self.as_dyn_mut(), options);
        walk.finish()
    }

    /// Sets one option from `path=value`; the value is read as JSON, else taken as a string.
    ///
    /// # Errors
    /// As [`apply`](Self::apply), and a text without `=`.
    fn apply_set(&mut self, assignment: &str) -> Result<(), ConfigErrors> {
        let source = Source::flag("--set");
        let mut walk = Walk::new(&source);
        match assignment.split_once('=').filter(|(path, _)| is_path(path.trim())) {
            Some((path, text)) => {
                let value =
                    serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.trim().to_owned()));
                walk.path(self.as_dyn_mut(), path.trim(), &value);
            }
            None => walk.refuse(
                assignment,
                None,
                Problem::new("expected path=value").suggest("write for example --set training.lr=1e-3"),
            ),
        }
        walk.finish()
    }

    /// The whole configuration as JSON, readable by [`from_value`] and [`load_file`](super::load_file).
    fn to_value(&self) -> Value {
        let mut document = Map::new();
        document.insert("run".into(), json!(self.algorithm()));
        for section in self.sections() {
            place(&mut document, section.path(), section.to_map());
        }
        document.insert("stop".into(), self.stop().to_value());
        Value::Object(document)
    }

    /// The value of an option by its dotted path.
    fn get(&self, path: &str) -> Option<Value> {
        let (section, name) = path.rsplit_once('.')?;
        self.sections().into_iter().find(|candidate| candidate.path() == section)?.get(name)
    }

    /// This configuration as a trait object.
    fn as_dyn_mut(&mut self) -> &mut dyn AlgorithmConfig;
}

/// Whether no part between the dots is empty.
fn is_path(path: &str) -> bool {
    path.split('.').all(|part| !part.is_empty())
}

impl Clone for Box<dyn AlgorithmConfig> {
    fn clone(&self) -> Self {
        self.clone_box()
    }
}

/// Puts a section's values at its place; a group's path is `section.group`.
fn place(document: &mut Map<String, Value>, path: &str, values: Map<String, Value>) {
    match path.split_once('.') {
        None => {
            document.insert(path.into(), Value::Object(values));
        }
        Some((section, group)) => {
            if let Some(Value::Object(section)) = document.get_mut(section) {
                section.insert(group.into(), Value::Object(values));
            }
        }
    }
}

/// An algorithm that can be run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AlgorithmInfo {
    /// Its name, for example `PPO`.
    pub name: &'static str,
    /// What it is, in one line.
    pub summary: &'static str,
}

/// Every algorithm that can be run.
pub fn algorithms() -> &'static [AlgorithmInfo] {
    const INFOS: [AlgorithmInfo; 3] = [info::<PpoTraining>(), info::<A2cTraining>(), info::<PgTraining>()];
    &INFOS
}

/// Their default configurations, in the same order.
const DEFAULTS: [fn() -> Box<dyn AlgorithmConfig>; 3] =
    [default_of::<PpoTraining>, default_of::<A2cTraining>, default_of::<PgTraining>];

/// Names of the algorithms that have the option `name`, or one with this synonym, in the section.
pub(super) fn algorithms_with(section: Option<&str>, name: &str) -> Vec<&'static str> {
    let is_it = |spec: &&OptionSpec| {
        section.is_none_or(|section| spec.section == section)
            && (spec.name == name || spec.synonyms.contains(&name))
    };
    let have =
        |default: &fn() -> Box<dyn AlgorithmConfig>| default().specs().into_iter().any(|spec| is_it(&spec));
    let all = algorithms().iter().zip(&DEFAULTS);
    all.filter(|(_, default)| have(default)).map(|(info, _)| info.name).collect()
}

const fn info<T: Training>() -> AlgorithmInfo {
    AlgorithmInfo { name: T::ALGORITHM, summary: T::SUMMARY }
}

fn default_of<T: Training>() -> Box<dyn AlgorithmConfig> {
    Box::new(ConfigOf::<T>::default())
}

/// Algorithms of RLlib, today's and former ones, that are not served yet.
const RLLIB_ALGORITHMS: &[&str] = &[
    "APPO",
    "BC",
    "CQL",
    "DQN",
    "DreamerV3",
    "IMPALA",
    "IQL",
    "MARWIL",
    "SAC",
    "TQC",
    "A3C",
    "AlphaZero",
    "ARS",
    "CRR",
    "DDPG",
    "DDPPO",
    "DT",
    "ES",
    "MADDPG",
    "MAML",
    "MBMPO",
    "QMIX",
    "R2D2",
    "SimpleQ",
    "SlateQ",
    "TD3",
];

/// The default configuration of an algorithm; upper and lower case are the same.
///
/// # Errors
/// An algorithm that does not exist, with a suggestion; one of RLlib's that is not served yet says so.
pub fn for_algorithm(name: &str) -> Result<Box<dyn AlgorithmConfig>, ConfigErrors> {
    if let Some(index) = algorithms().iter().position(|served| served.name.eq_ignore_ascii_case(name)) {
        return Ok(DEFAULTS[index]());
    }
    let served: Vec<&str> = algorithms().iter().map(|algorithm| algorithm.name).collect();
    let error = ConfigError::new("run", "").found(name);
    let available = format!("available: {}", served.join(", "));
    let known = RLLIB_ALGORITHMS.iter().find(|known| known.eq_ignore_ascii_case(name));
    let (problem, suggestion) = match (known, nearest(name, served.iter().copied())) {
        (Some(known), _) => {
            (format!("{known} is an algorithm of RLlib that skirl does not serve yet"), available)
        }
        (None, Some(near)) => ("unknown algorithm".to_owned(), format!("did you mean `{near}`?")),
        (None, None) => ("unknown algorithm".to_owned(), available),
    };
    Err(ConfigError { problem, ..error.suggest(suggestion) }.into())
}

/// Reads a whole configuration: `run`, `env`, `stop`, sections, and `config` with flat names.
///
/// # Errors
/// Everything that cannot be read, at once. Rules between options are checked by [`AlgorithmConfig::validate`].
pub fn from_value(document: &Value) -> Result<Box<dyn AlgorithmConfig>, ConfigErrors> {
    super::apply::read_document(document, &Source::none())
}
