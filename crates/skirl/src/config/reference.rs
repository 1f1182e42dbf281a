//! The options in words: `docs/configuration.md`, and the help text of the command line.

use std::fmt::Write as _;

use serde_json::Value;

use super::algorithm::{AlgorithmConfig, for_algorithm};
use super::error::{ConfigError, ConfigErrors};
use super::names::nearest;
use super::spec::OptionSpec;

/// The configuration reference of an algorithm as Markdown; `docs/configuration.md` is this text for PPO.
///
/// # Errors
/// An algorithm that is not served.
pub fn markdown(algorithm: &str) -> Result<String, ConfigErrors> {
    let config = for_algorithm(algorithm)?;
    let mut text = format!(
        "{}{}",
        include_str!("reference_head.md"),
        format_args!("\n# Options of {}\n", config.algorithm())
    );
    for section in config.sections() {
        let _ = write!(text, "\n## `{}`\n\n{}\n\n", section.path(), section.doc().trim());
        text.push_str("| option | default | accepts | meaning |\n|---|---|---|---|\n");
        for spec in section.specs() {
            text.push_str(&markdown_row(config.as_ref(), spec));
        }
    }
    text.push_str(&synonyms_table(config.as_ref()));
    text.push_str(&translation_table(config.as_ref()));
    Ok(text)
}

fn markdown_row(config: &dyn AlgorithmConfig, spec: &OptionSpec) -> String {
    let cell = |text: &str| text.replace('|', "\\|");
    let default = default_text(config, spec);
    format!(
        "| `{}` | `{}` | {} | {} |\n",
        spec.name,
        cell(&default),
        cell(&spec.accepts()),
        cell(spec.doc.trim())
    )
}

fn synonyms_table(config: &dyn AlgorithmConfig) -> String {
    let mut text = String::from("\n## RLlib's other names, accepted\n\n| name | option |\n|---|---|\n");
    for spec in config.specs() {
        for synonym in spec.synonyms {
            let _ = writeln!(text, "| `{synonym}` | `{}` |", spec.path());
        }
    }
    text
}

fn translation_table(config: &dyn AlgorithmConfig) -> String {
    let mut text = String::from("\n## Names of other libraries, refused with the translation\n\n");
    text.push_str("| name | library | option |\n|---|---|---|\n");
    for spec in config.specs() {
        for (library, name) in spec.called {
            let _ = writeln!(text, "| `{name}` | {library} | `{}` |", spec.path());
        }
    }
    text
}

/// The default in the words of a configuration file.
fn default_text(config: &dyn AlgorithmConfig, spec: &OptionSpec) -> String {
    match config.get(&spec.path()).unwrap_or_else(|| spec.default()) {
        Value::Null => "none".into(),
        value => value.to_string(),
    }
}

/// Help text of one section, or of all, for a terminal `width` characters wide.
///
/// # Errors
/// A section that does not exist, and an algorithm that is not served.
pub fn help(algorithm: &str, section: Option<&str>, width: usize) -> Result<String, ConfigErrors> {
    let config = for_algorithm(algorithm)?;
    let all = config.sections();
    let paths: Vec<&str> = all.iter().map(|section| section.path()).collect();
    if let Some(wanted) = section.filter(|wanted| !paths.contains(wanted)) {
        let error = ConfigError::new("", format!("there is no section `{wanted}`"));
        let advice = match nearest(wanted, paths.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("sections: {}", paths.join(", ")),
        };
        return Err(error.suggest(advice).into());
    }
    let mut text = String::new();
    for shown in all.iter().filter(|shown| section.is_none_or(|wanted| shown.path() == wanted)) {
        let _ = writeln!(text, "[{}]  {}", shown.path(), shown.doc().trim());
        for spec in shown.specs() {
            let _ = writeln!(
                text,
                "  {} = {}   {}",
                spec.name,
                default_text(config.as_ref(), spec),
                spec.accepts()
            );
            for line in wrap(spec.doc.trim(), width.saturating_sub(6).max(20)) {
                let _ = writeln!(text, "      {line}");
            }
        }
        text.push('\n');
    }
    Ok(text)
}

/// Breaks text at spaces into lines of at most `width` characters; a longer word keeps a line of its own.
fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}
