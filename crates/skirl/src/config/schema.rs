//! JSON schema of configuration files, for editors and other programs.

use serde_json::{Map, Value, json};

use super::algorithm::{AlgorithmConfig, for_algorithm};
use super::declare::Section;
use super::error::ConfigErrors;
use super::spec::OptionSpec;

/// JSON schema (Draft 2020-12) of the configuration files of an algorithm.
///
/// # Errors
/// An algorithm that is not served.
pub fn json_schema(algorithm: &str) -> Result<Value, ConfigErrors> {
    let config = for_algorithm(algorithm)?;
    let config = config.as_ref();
    let mut properties = Map::new();
    properties.insert("run".into(), json!({ "const": config.algorithm(), "description": "The algorithm." }));
    properties.insert("env".into(), json!({ "type": "string", "description": "Short for environment.env." }));
    properties.insert("stop".into(), stop_schema());
    properties.insert("config".into(), flat_schema(config));
    for section in config.sections().into_iter().filter(|section| !section.path().contains('.')) {
        properties.insert(section.path().into(), section_schema(config, section));
    }
    Ok(json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": format!("skirl configuration of {}", config.algorithm()),
        "type": "object",
        "properties": properties,
        "required": ["run"],
        "additionalProperties": false,
    }))
}

fn stop_schema() -> Value {
    json!({
        "type": "object",
        "description": "The run stops at the first result in which one of these metrics is at least its minimum.",
        "additionalProperties": { "type": "number" },
        "examples": [{ "env_runners/episode_return_mean": 475 }],
    })
}

/// The same options without sections, as RLlib's files have them; synonyms included.
fn flat_schema(config: &dyn AlgorithmConfig) -> Value {
    let specs = config.specs();
    let mut properties = Map::new();
    for spec in specs.iter().filter(|spec| !spec.section.contains('.')) {
        for name in spec.synonyms.iter().chain([&spec.name]) {
            properties.insert((*name).into(), option_schema(config, spec));
        }
    }
    for (group, section) in groups(config, None) {
        properties.insert(group.into(), section_schema(config, section));
    }
    json!({ "type": "object", "description": "Options without their sections, or by section.", "properties": properties })
}

/// Groups inside a section, or all of them.
fn groups<'a>(config: &'a dyn AlgorithmConfig, outer: Option<&str>) -> Vec<(&'static str, &'a dyn Section)> {
    let group = |section: &'a dyn Section| {
        let (path, name) = section.path().rsplit_once('.')?;
        outer.is_none_or(|outer| outer == path).then_some((name, section))
    };
    config.sections().into_iter().filter_map(group).collect()
}

fn section_schema(config: &dyn AlgorithmConfig, section: &dyn Section) -> Value {
    let mut properties = Map::new();
    for spec in section.specs() {
        for name in spec.synonyms.iter().chain([&spec.name]) {
            properties.insert((*name).into(), option_schema(config, spec));
        }
    }
    for (group, inner) in groups(config, Some(section.path())) {
        properties.insert(group.into(), section_schema(config, inner));
    }
    json!({
        "type": "object",
        "description": section.doc().trim(),
        "properties": properties,
        "additionalProperties": false,
    })
}

fn option_schema(config: &dyn AlgorithmConfig, spec: &OptionSpec) -> Value {
    let mut schema = spec.schema();
    if let Value::Object(map) = &mut schema {
        let unit = if spec.unit.is_empty() { String::new() } else { format!(" Unit: {}.", spec.unit) };
        map.insert("description".into(), Value::String(format!("{}{unit}", spec.doc.trim())));
        map.insert("default".into(), config.get(&spec.path()).unwrap_or_else(|| spec.default()));
    }
    schema
}
