//! What can be wrong with a configuration, said in plain words, all of it at once.

use std::fmt;
use std::path::PathBuf;

use serde_json::Value;

/// Why one value is refused: what was expected, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// What is wrong, with the expected type, range and unit.
    pub problem: String,
    /// What to write instead, when that is known.
    pub suggestion: Option<String>,
}

impl Problem {
    /// A problem without a suggestion.
    pub fn new(problem: impl Into<String>) -> Self {
        Self { problem: problem.into(), suggestion: None }
    }

    /// Adds what to do about it.
    pub fn suggest(mut self, suggestion: impl Into<String>) -> Self {
        self.suggestion = Some(suggestion.into());
        self
    }

    /// "expected X, found Y", the commonest problem.
    pub fn expected(expected: &str, found: &Value) -> Self {
        Self::new(format!("expected {expected}, found {}", describe(found)))
    }

    pub(crate) fn at(self, path: impl Into<String>, value: Option<Value>) -> ConfigError {
        ConfigError {
            path: path.into(),
            value,
            problem: self.problem,
            suggestion: self.suggestion,
            origin: None,
        }
    }
}

/// Where a value was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// In a file; line and column count from 1.
    File {
        /// The file as the user named it.
        file: PathBuf,
        /// Line, from 1; `None` where the parser does not tell.
        line: Option<usize>,
        /// Column, from 1.
        column: Option<usize>,
    },
    /// On the command line or in a call, for example `--set` or `--config`.
    Flag(String),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { file, line: Some(line), column: Some(column) } => {
                write!(f, "{}:{line}:{column}", file.display())
            }
            Self::File { file, line: Some(line), column: None } => write!(f, "{}:{line}", file.display()),
            Self::File { file, .. } => write!(f, "{}", file.display()),
            Self::Flag(flag) => f.write_str(flag),
        }
    }
}

/// One thing that is wrong, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError {
    /// Dotted path of the option, for example `training.lr`; empty for the configuration as a whole.
    pub path: String,
    /// The value found there, when there is one.
    pub value: Option<Value>,
    /// What is wrong: expected type, range, unit.
    pub problem: String,
    /// What to write instead.
    pub suggestion: Option<String>,
    /// Where it was written.
    pub origin: Option<Origin>,
}

impl ConfigError {
    /// An error at `path` without a value.
    pub fn new(path: impl Into<String>, problem: impl Into<String>) -> Self {
        Problem::new(problem).at(path, None)
    }

    /// Adds what to do about it.
    pub fn suggest(mut self, suggestion: impl Into<String>) -> Self {
        self.suggestion = Some(suggestion.into());
        self
    }

    /// Adds the offending value.
    pub fn found(mut self, value: impl Into<Value>) -> Self {
        self.value = Some(value.into());
        self
    }

    /// Adds where it was written.
    pub fn from(mut self, origin: Option<Origin>) -> Self {
        self.origin = origin;
        self
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.value, self.path.is_empty()) {
            (_, true) => write!(f, "{}", self.problem)?,
            (Some(value), false) => write!(f, "{} = {}: {}", self.path, shorten(value), self.problem)?,
            (None, false) => write!(f, "{}: {}", self.path, self.problem)?,
        }
        if let Some(suggestion) = &self.suggestion {
            write!(f, "\n  help: {suggestion}")?;
        }
        if let Some(origin) = &self.origin {
            write!(f, "\n  at: {origin}")?;
        }
        Ok(())
    }
}

/// Everything that is wrong with a configuration. Never empty where it is returned as an error.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ConfigErrors(pub Vec<ConfigError>);

impl ConfigErrors {
    /// `Ok` when nothing is wrong.
    pub fn into_result(self) -> Result<(), Self> {
        if self.0.is_empty() { Ok(()) } else { Err(self) }
    }

    /// True when an error concerns this path.
    pub fn concerns(&self, path: &str) -> bool {
        self.0.iter().any(|error| error.path == path)
    }
}

impl From<ConfigError> for ConfigErrors {
    fn from(error: ConfigError) -> Self {
        Self(vec![error])
    }
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.len() > 1 {
            writeln!(f, "{} errors in the configuration", self.0.len())?;
        }
        for (index, error) in self.0.iter().enumerate() {
            if index > 0 {
                writeln!(f)?;
            }
            write!(f, "{error}")?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigErrors {}

/// The value in words a user recognises: its kind and its text.
pub(super) fn describe(value: &Value) -> String {
    match value {
        Value::Null => "nothing (null)".into(),
        Value::Bool(flag) => format!("the truth value {flag}"),
        Value::Number(number) => format!("the number {number}"),
        Value::String(_) => format!("the string {}", shorten(value)),
        Value::Array(items) if items.len() == 1 => "a list of 1 value".into(),
        Value::Array(items) => format!("a list of {} values", items.len()),
        Value::Object(map) if map.len() == 1 => "a map with 1 key".into(),
        Value::Object(map) => format!("a map with {} keys", map.len()),
    }
}

/// JSON text of a value, cut where it would fill the screen.
fn shorten(value: &Value) -> String {
    const MAX_CHARS: usize = 80;
    let text = value.to_string();
    if text.chars().count() <= MAX_CHARS {
        return text;
    }
    let mut short: String = text.chars().take(MAX_CHARS).collect();
    short.push('…');
    short
}
