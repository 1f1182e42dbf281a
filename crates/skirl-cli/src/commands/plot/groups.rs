//! Which runs share a curve, and how it is called.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::{Map, Value};

use super::series::Series;
use crate::args::GroupBy;

/// Sections of a configuration that do not change what is learned, or only for how long.
const NEUTRAL: [&str; 7] =
    ["debugging", "fault_tolerance", "resources", "checkpointing", "reporting", "stop", "evaluation"];
/// Most options in a label.
const MAX_OPTIONS: usize = 3;

/// Runs that share a curve.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) label: String,
    pub(super) runs: Vec<Series>,
    name: Option<String>,
    /// What makes the runs of this group equal; without a configuration, their path.
    key: Value,
    options: Vec<(String, String)>,
}

/// Groups in the order of their first runs.
pub(super) fn group(runs: Vec<Series>, by: GroupBy) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    for run in runs {
        let config = config_of(&run.path);
        let key = key(&run, config.as_ref(), by);
        match groups
            .iter_mut()
            .find(|group| group.name == run.name && (group.key == key || group.name.is_some()))
        {
            Some(group) => group.runs.push(run),
            None => groups.push(Group {
                label: title(&run, config.as_ref()),
                name: run.name.clone(),
                options: config.map(|config| options(&config, by)).unwrap_or_default(),
                key,
                runs: vec![run],
            }),
        }
    }
    tell_apart(&mut groups);
    for group in &mut groups {
        if group.runs.len() > 1 {
            group.label = format!("{} ({} runs)", group.label, group.runs.len());
        }
    }
    groups
}

/// What skirl wrote; `None` for a run from elsewhere.
fn config_of(run: &Path) -> Option<Map<String, Value>> {
    let text = std::fs::read_to_string(run.join("config.json")).ok()?;
    serde_json::from_str(&text).ok()
}

fn key(run: &Series, config: Option<&Map<String, Value>>, by: GroupBy) -> Value {
    match (by, config) {
        (GroupBy::Run, _) | (_, None) => Value::from(run.path.to_string_lossy()),
        (GroupBy::Environment, Some(config)) => Value::from(algorithm_and_env(config)),
        (GroupBy::Config, Some(config)) => Value::Object(effective(config)),
    }
}

/// The part of a configuration that says what is learned and how.
fn effective(config: &Map<String, Value>) -> Map<String, Value> {
    let kept = config.iter().filter(|(section, _)| !NEUTRAL.contains(&section.as_str()));
    kept.map(|(section, value)| (section.clone(), value.clone())).collect()
}

fn algorithm_and_env(config: &Map<String, Value>) -> String {
    let text = |value: Option<&Value>| value.and_then(Value::as_str).unwrap_or("?").to_owned();
    let env = config.get("environment").and_then(|section| section.get("env"));
    format!("{}, {}", text(config.get("run")), text(env))
}

fn title(run: &Series, config: Option<&Map<String, Value>>) -> String {
    let directory = || {
        run.path
            .file_name()
            .map_or_else(|| run.path.display().to_string(), |name| name.to_string_lossy().into_owned())
    };
    let from_config = || config.map(algorithm_and_env);
    run.name.clone().or_else(from_config).unwrap_or_else(directory)
}

/// All options with their values as text; the seed where every run has a curve of its own.
fn options(config: &Map<String, Value>, by: GroupBy) -> Vec<(String, String)> {
    let mut options = Vec::new();
    let seed = config.get("debugging").and_then(|section| section.get("seed"));
    if let (GroupBy::Run, Some(seed)) = (by, seed) {
        options.push(("debugging.seed".to_owned(), seed.to_string()));
    }
    for (section, value) in effective(config) {
        let Value::Object(section_options) = &value else { continue };
        for (name, value) in section_options {
            let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            options.push((format!("{section}.{name}"), text));
        }
    }
    options
}

/// Adds to equal labels what differs: options, else directories.
fn tell_apart(groups: &mut [Group]) {
    let labels: Vec<String> = groups.iter().map(|group| group.label.clone()).collect();
    for label in labels.iter().collect::<BTreeSet<_>>() {
        let is_same = |index: &usize| labels[*index] == *label && groups[*index].name.is_none();
        let same: Vec<usize> = (0..groups.len()).filter(is_same).collect();
        if same.len() > 1 {
            let among: Vec<&Group> = same.iter().map(|&index| &groups[index]).collect();
            let additions = differing_options(&among).unwrap_or_else(|| differing_paths(&among));
            for (index, addition) in same.into_iter().zip(additions) {
                groups[index].label = format!("{label}, {addition}");
            }
        }
    }
}

/// The few options that tell all groups apart, if there are such.
fn differing_options(groups: &[&Group]) -> Option<Vec<String>> {
    let value = |group: &Group, name: &str| {
        group.options.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone())
    };
    let names: BTreeSet<&String> =
        groups.iter().flat_map(|group| group.options.iter().map(|(name, _)| name)).collect();
    let differs = |name: &&String| groups.iter().any(|group| value(group, name) != value(groups[0], name));
    let different: Vec<&String> = names.into_iter().filter(differs).collect();
    if different.is_empty() || different.len() > MAX_OPTIONS {
        return None;
    }
    let shown = |group: &&Group| {
        let option = |name: &&String| {
            let text = value(group, name).map_or_else(|| "none".to_owned(), |value| shortened(&value));
            format!("{}={text}", name.rsplit('.').next().unwrap_or(name))
        };
        different.iter().map(option).collect::<Vec<_>>().join(", ")
    };
    let additions: Vec<String> = groups.iter().map(shown).collect();
    let distinct: BTreeSet<&String> = additions.iter().collect();
    (distinct.len() == additions.len()).then_some(additions)
}

/// The directories of the groups' first runs from where they part.
fn differing_paths(groups: &[&Group]) -> Vec<String> {
    let paths: Vec<Vec<String>> = groups
        .iter()
        .map(|group| {
            let path = group.runs.first().map_or(Path::new(""), |run| run.path.as_path());
            path.components().map(|part| part.as_os_str().to_string_lossy().into_owned()).collect()
        })
        .collect();
    let common =
        |index: usize| paths.iter().all(|path| path.len() > index + 1 && path[index] == paths[0][index]);
    let longest = paths.iter().map(Vec::len).max().unwrap_or(0);
    let shared = (0..longest).take_while(|&index| common(index)).count();
    paths.iter().map(|path| path[shared..].join("/")).collect()
}

/// A schedule in a label shows that it is one, a long value its beginning.
fn shortened(value: &str) -> String {
    match value.chars().count() {
        0..=16 => value.to_owned(),
        _ if value.starts_with("[[") => "schedule".to_owned(),
        _ => value.chars().take(14).chain("…".chars()).collect(),
    }
}
