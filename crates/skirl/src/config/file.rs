//! Configuration files: TOML, YAML and JSON, with the line and column of every value kept for error messages.

use std::path::Path;

use serde_json::Value;

use super::algorithm::AlgorithmConfig;
use super::apply::{Positions, Source, read_document};
use super::error::{ConfigError, ConfigErrors, Origin};
use super::{file_toml, file_yaml};

/// The largest file that is read; configurations are a few kilobytes.
const MAX_BYTES: u64 = 1 << 20;

/// The deepest nesting that is read.
pub(super) const MAX_DEPTH: usize = 64;

/// A file's content, and where each value was written.
#[derive(Debug)]
pub(super) struct Document {
    pub(super) value: Value,
    pub(super) positions: Positions,
}

/// Why a file cannot be read at all; line and column count from 1.
#[derive(Debug)]
pub(super) struct SyntaxError {
    pub(super) message: String,
    pub(super) at: Option<(usize, usize)>,
}

impl SyntaxError {
    pub(super) fn new(message: impl Into<String>, at: Option<(usize, usize)>) -> Self {
        Self { message: message.into(), at }
    }
}

/// The format of a configuration file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileFormat {
    /// `.toml`
    Toml,
    /// `.yaml`, `.yml`
    Yaml,
    /// `.json`
    Json,
}

impl FileFormat {
    /// The format by a file's ending.
    pub fn of(path: &Path) -> Option<Self> {
        match path.extension()?.to_str()?.to_ascii_lowercase().as_str() {
            "toml" => Some(Self::Toml),
            "yaml" | "yml" => Some(Self::Yaml),
            "json" => Some(Self::Json),
            _ => None,
        }
    }

    fn parse(self, text: &str) -> Result<Document, SyntaxError> {
        match self {
            Self::Toml => file_toml::parse(text),
            Self::Yaml => file_yaml::parse(text),
            Self::Json => parse_json(text),
        }
    }
}

/// Reads a configuration file: `run`, `env`, `stop`, sections, and `config` with flat names; or RLlib's
/// `{name: {run, env, stop, config}}`.
///
/// # Errors
/// A file that cannot be read or parsed, and all that is wrong in it, with line and column. Rules between options are
/// checked by [`AlgorithmConfig::validate`].
pub fn load_file(path: &Path) -> Result<Box<dyn AlgorithmConfig>, ConfigErrors> {
    let Some(format) = FileFormat::of(path) else {
        let error = ConfigError::new("", format!("cannot tell the format of {}", path.display()));
        return Err(error.suggest("name it .toml, .yaml or .json").into());
    };
    let text = read(path)
        .map_err(|problem| ConfigError::new("", format!("cannot read {}: {problem}", path.display())))?;
    load_text(&text, format, path)
}

/// Reads a configuration from text; `name` stands for the file in error messages.
///
/// # Errors
/// As [`load_file`].
pub fn load_text(
    text: &str,
    format: FileFormat,
    name: &Path,
) -> Result<Box<dyn AlgorithmConfig>, ConfigErrors> {
    let document = format.parse(text).map_err(|error| {
        let (line, column) = error.at.unzip();
        let origin = Origin::File { file: name.to_owned(), line, column };
        ConfigError::new("", format!("syntax error: {}", error.message)).from(Some(origin))
    })?;
    read_document(&document.value, &Source::file(name.to_owned(), document.positions))
}

fn read(path: &Path) -> Result<String, String> {
    let bytes = std::fs::metadata(path).map_err(|error| error.to_string())?.len();
    if bytes > MAX_BYTES {
        return Err(format!("it has {bytes} bytes, a configuration at most {MAX_BYTES}"));
    }
    std::fs::read_to_string(path).map_err(|error| error.to_string())
}

/// JSON is checked strictly; the positions come from reading it as the YAML that it also is.
fn parse_json(text: &str) -> Result<Document, SyntaxError> {
    let value = serde_json::from_str(text)
        .map_err(|error| SyntaxError::new(error.to_string(), Some((error.line(), error.column()))))?;
    let positions = match file_yaml::parse(text) {
        Ok(document) => document.positions,
        Err(error) if error.message.starts_with(file_yaml::TWICE) => return Err(error),
        Err(_) => Positions::new(),
    };
    Ok(Document { value, positions })
}
