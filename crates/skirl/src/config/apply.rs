//! Walks a document (file, `--config`, one `--set`) and puts what it says into a configuration, collecting every error.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde_json::{Map, Value};

use super::algorithm::{AlgorithmConfig, for_algorithm};
use super::error::{ConfigError, ConfigErrors, Origin, Problem};
use super::names::{RLLIB_SECTIONS_NOT_SERVED, SECTION_SYNONYMS, find, nearest};
use super::stop;

/// Line and column of every value of a document, by its path (`training.lr`, list positions left out).
pub(super) type Positions = BTreeMap<Vec<String>, (usize, usize)>;

/// Where a document came from.
#[derive(Debug, Default)]
pub(super) struct Source {
    file: Option<PathBuf>,
    flag: Option<String>,
    positions: Positions,
}

impl Source {
    pub(super) fn none() -> Self {
        Self::default()
    }

    pub(super) fn flag(flag: &str) -> Self {
        Self { flag: (!flag.is_empty()).then(|| flag.to_owned()), ..Self::default() }
    }

    pub(super) fn file(file: PathBuf, positions: Positions) -> Self {
        Self { file: Some(file), flag: None, positions }
    }

    /// Where the value at this place of the document was written.
    fn origin(&self, place: &[String]) -> Option<Origin> {
        if let Some(file) = &self.file {
            // An error inside a value is reported at the nearest enclosing place that is known.
            let known = (0..=place.len()).rev().find_map(|length| self.positions.get(&place[..length]));
            let (line, column) = known.copied().unzip();
            return Some(Origin::File { file: file.clone(), line, column });
        }
        self.flag.clone().map(Origin::Flag)
    }
}

/// Keys of a document besides sections.
const DOCUMENT_KEYS: &[&str] = &["run", "env", "stop", "config"];

/// Reads a whole document into the configuration of the algorithm that it names.
pub(super) fn read_document(
    document: &Value,
    source: &Source,
) -> Result<Box<dyn AlgorithmConfig>, ConfigErrors> {
    let Value::Object(map) = document else {
        let problem = Problem::expected("a map with the keys run, env, stop and sections", document);
        return Err(problem.at("", None).from(source.origin(&[])).into());
    };
    let (map, prefix) = match only_experiment(map, source)? {
        Some((name, inner)) => (inner, vec![name.clone()]),
        None => (map, Vec::new()),
    };
    let at_run =
        |error: ConfigError| error.from(source.origin(&[prefix.as_slice(), &["run".to_owned()]].concat()));
    let mut config = match map.get("run").or_else(|| map.get("algorithm")) {
        Some(Value::String(name)) => {
            for_algorithm(name).map_err(|errors| ConfigErrors(errors.0.into_iter().map(at_run).collect()))?
        }
        Some(other) => {
            return Err(at_run(Problem::expected("the name of an algorithm", other).at("run", None)).into());
        }
        None => {
            let error = ConfigError::new("run", "the algorithm is missing").suggest("write run = \"PPO\"");
            return Err(error.from(source.origin(&prefix)).into());
        }
    };
    let mut walk = Walk::new(source);
    walk.place = prefix;
    walk.document(config.as_mut(), map);
    walk.finish().map(|()| config)
}

/// An experiment of a file in RLlib's form: its name and its content.
type Experiment<'a> = (&'a String, &'a Map<String, Value>);

/// RLlib's form `{experiment_name: {run, env, stop, config}}`.
fn only_experiment<'a>(
    map: &'a Map<String, Value>,
    source: &Source,
) -> Result<Option<Experiment<'a>>, ConfigErrors> {
    if map.contains_key("run") {
        return Ok(None);
    }
    let experiment = |(name, value): (&'a String, &'a Value)| match value {
        Value::Object(inner) if inner.contains_key("run") => Some((name, inner)),
        _ => None,
    };
    let experiments: Vec<_> = map.iter().filter_map(experiment).collect();
    match experiments.as_slice() {
        [] => Ok(None),
        [only] if map.len() == 1 => Ok(Some(*only)),
        _ => {
            let names: Vec<&str> = map.keys().map(String::as_str).collect();
            let problem = format!("expected one experiment in a file, found {}", names.join(", "));
            let error = ConfigError::new("", problem).suggest("write one file per experiment");
            Err(error.from(source.origin(&[])).into())
        }
    }
}

/// A walk through a document.
#[derive(Debug)]
pub(super) struct Walk<'a> {
    source: &'a Source,
    errors: Vec<ConfigError>,
    /// Where in the document the walk is.
    place: Vec<String>,
    /// Options already set in this document, and where, so that two names for one option are noticed.
    set: BTreeMap<String, String>,
}

impl<'a> Walk<'a> {
    pub(super) fn new(source: &'a Source) -> Self {
        Self { source, errors: Vec::new(), place: Vec::new(), set: BTreeMap::new() }
    }

    pub(super) fn finish(self) -> Result<(), ConfigErrors> {
        ConfigErrors(self.errors).into_result()
    }

    pub(super) fn refuse(&mut self, path: &str, value: Option<&Value>, problem: Problem) {
        let origin = self.source.origin(&self.place);
        self.errors.push(problem.at(path, value.cloned()).from(origin));
    }

    /// Goes one key deeper for the time of `visit`.
    fn within(&mut self, key: &str, visit: impl FnOnce(&mut Self)) {
        self.place.push(key.to_owned());
        visit(self);
        self.place.pop();
    }

    /// The keys of a document: `run`, `env`, `stop`, `config`, and sections.
    fn document(&mut self, config: &mut dyn AlgorithmConfig, map: &Map<String, Value>) {
        for (key, value) in map {
            self.within(key, |walk| match key.as_str() {
                "run" | "algorithm" => {}
                "env" => walk.option(config, None, "env", value),
                "stop" => walk.stop(config, value),
                "config" => walk.options(config, value),
                section if is_section(config, section) => walk.section(config, section, value),
                other => walk.unknown_key(config, other, value),
            });
        }
    }

    /// A map of options, nested by section or flat.
    pub(super) fn options(&mut self, config: &mut dyn AlgorithmConfig, value: &Value) {
        let Value::Object(map) = value else {
            let path = self.place.join(".");
            return self.refuse(&path, Some(value), Problem::expected("a map of options", value));
        };
        for (key, value) in map {
            self.within(key, |walk| match key.as_str() {
                "stop" => walk.stop(config, value),
                section
                    if is_section(config, section) && (value.is_object() || !is_option(config, section)) =>
                {
                    walk.section(config, section, value);
                }
                _ => walk.dotted(config, key, value),
            });
        }
    }

    /// One option by a dotted path, as `--set` and `apply` give it.
    pub(super) fn path(&mut self, config: &mut dyn AlgorithmConfig, path: &str, value: &Value) {
        match path {
            "env" => self.option(config, None, "env", value),
            "stop" => self.stop(config, value),
            section if is_section(config, section) => self.section(config, section, value),
            _ => self.dotted(config, path, value),
        }
    }

    /// `name`, `section.name`, `section.group.name`, or a path into an option that is a map.
    fn dotted(&mut self, config: &mut dyn AlgorithmConfig, path: &str, value: &Value) {
        let Some((first, rest)) = path.split_once('.') else {
            return match group_of(config, None, path) {
                Some(group) => self.section(config, &group, value),
                None => self.option(config, None, path, value),
            };
        };
        if first == "stop" {
            return self.criterion(config, rest, value);
        }
        let section = is_section(config, first).then(|| canonical_section(first));
        let (name, inner) = match section {
            Some(_) => rest.split_once('.').map_or((rest, None), |(name, inner)| (name, Some(inner))),
            None => (first, Some(rest)),
        };
        match (group_of(config, section, name), inner) {
            (Some(group), None) => self.section(config, &group, value),
            (Some(group), Some(inner)) => self.option(config, Some(&group), inner, value),
            (None, None) => self.option(config, section, name, value),
            (None, Some(inner)) => self.inside_option(config, section, name, inner, value),
        }
    }

    /// Changes one entry of an option that is a map, for example `environment.env_config.gravity`.
    fn inside_option(
        &mut self,
        config: &mut dyn AlgorithmConfig,
        section: Option<&str>,
        name: &str,
        inner: &str,
        value: &Value,
    ) {
        let spec = match find(&config.specs(), section, name) {
            Ok(spec) => spec,
            Err(problem) => {
                let path = section.map_or(format!("{name}.{inner}"), |s| format!("{s}.{name}.{inner}"));
                return self.refuse(&path, Some(value), problem);
            }
        };
        let mut whole = config.get(&spec.path()).unwrap_or(Value::Null);
        if whole.is_null() && spec.type_name().starts_with("map") {
            whole = Value::Object(Map::new());
        }
        let Value::Object(map) = &mut whole else {
            let problem =
                Problem::new(format!("`{}` is not a map, so it has no entry `{inner}`", spec.path()));
            return self.refuse(&format!("{}.{inner}", spec.path()), Some(value), problem);
        };
        put(map, inner, value.clone());
        self.option(config, Some(spec.section), spec.name, &whole);
    }

    /// A section's map.
    fn section(&mut self, config: &mut dyn AlgorithmConfig, section: &str, value: &Value) {
        let section = canonical_section(section).to_owned();
        let Value::Object(map) = value else {
            return self.refuse(&section, Some(value), Problem::expected("a map of options", value));
        };
        for (name, value) in map {
            self.within(name, |walk| match group_of(config, Some(&section), name) {
                Some(group) => walk.section(config, &group, value),
                None => walk.option(config, Some(&section), name, value),
            });
        }
    }

    /// One option, by its name or a synonym.
    fn option(&mut self, config: &mut dyn AlgorithmConfig, section: Option<&str>, name: &str, value: &Value) {
        let spec = match find(&config.specs(), section, name) {
            Ok(spec) => spec,
            Err(problem) => {
                let path = section.map_or(name.to_owned(), |section| format!("{section}.{name}"));
                return self.refuse(&path, Some(value), problem);
            }
        };
        if let Some(before) = self.set.insert(spec.path(), self.place.join(".")) {
            let problem = format!("is given twice, as `{before}` and as `{}`", self.place.join("."));
            return self.refuse(&spec.path(), Some(value), Problem::new(problem).suggest("keep one of them"));
        }
        let outcome = config.section_mut(spec.section).map(|section| section.set(spec.name, value));
        if let Some(Err(problem)) = outcome {
            self.refuse(&spec.path(), Some(value), problem);
        }
    }

    /// The map of stop criteria; it replaces what was there.
    fn stop(&mut self, config: &mut dyn AlgorithmConfig, value: &Value) {
        let Value::Object(map) = value else {
            let problem = Problem::expected("a map from metric to minimum", value);
            return self.refuse(
                "stop",
                Some(value),
                problem.suggest("{\"env_runners/episode_return_mean\": 475}"),
            );
        };
        config.stop_mut().0.clear();
        for (metric, threshold) in map {
            self.within(metric, |walk| walk.criterion(config, metric, threshold));
        }
    }

    /// One criterion, or a map of those of a group, nested as results are.
    fn criterion(&mut self, config: &mut dyn AlgorithmConfig, metric: &str, threshold: &Value) {
        if let Value::Object(group) = threshold
            && !group.is_empty()
        {
            for (name, threshold) in group {
                self.within(name, |walk| walk.criterion(config, &format!("{metric}/{name}"), threshold));
            }
            return;
        }
        if let Err(problem) = config.stop_mut().apply(metric, threshold) {
            self.refuse(&stop::path(metric), Some(threshold), problem);
        }
    }

    /// A key that a document does not have: an option outside its section, or a misspelling.
    fn unknown_key(&mut self, config: &dyn AlgorithmConfig, key: &str, value: &Value) {
        if RLLIB_SECTIONS_NOT_SERVED.contains(&key) {
            return self.refuse(key, Some(value), Problem::new("section of RLlib, not served by skirl yet"));
        }
        let sections = config.sections();
        let keys = sections.iter().map(|section| section.path()).chain(DOCUMENT_KEYS.iter().copied());
        let problem = match (find(&config.specs(), None, key), nearest(key, keys)) {
            (Ok(spec), _) => Problem::new("an option outside its section")
                .suggest(format!("write it as {}, or under [config]", spec.path())),
            (Err(_), Some(near)) => Problem::new("unknown key").suggest(format!("did you mean `{near}`?")),
            (Err(problem), None) => problem,
        };
        self.refuse(key, Some(value), problem);
    }
}

fn canonical_section(name: &str) -> &str {
    SECTION_SYNONYMS.iter().find(|(synonym, _)| *synonym == name).map_or(name, |(_, section)| section)
}

fn is_section(config: &dyn AlgorithmConfig, name: &str) -> bool {
    let name = canonical_section(name);
    config.sections().iter().any(|section| section.path() == name)
}

/// Whether an option has this name.
fn is_option(config: &dyn AlgorithmConfig, name: &str) -> bool {
    find(&config.specs(), None, name).is_ok()
}

/// Path of the group of this name, inside a section or, with a flat name, inside any.
fn group_of(config: &dyn AlgorithmConfig, section: Option<&str>, name: &str) -> Option<String> {
    let sections = config.sections();
    let found = sections.iter().map(|candidate| candidate.path()).find(|path| {
        path.rsplit_once('.')
            .is_some_and(|(outer, group)| group == name && section.is_none_or(|s| s == outer))
    });
    found.map(str::to_owned)
}

/// Puts a value at a dotted path of a map, making the maps on the way.
fn put(map: &mut Map<String, Value>, path: &str, value: Value) {
    match path.split_once('.') {
        None => {
            map.insert(path.to_owned(), value);
        }
        Some((key, rest)) => {
            let slot = map.entry(key).or_insert_with(|| Value::Object(Map::new()));
            if !slot.is_object() {
                *slot = Value::Object(Map::new());
            }
            if let Value::Object(inner) = slot {
                put(inner, rest, value);
            }
        }
    }
}
