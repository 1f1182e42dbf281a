//! The options in words: `docs/configuration.md`, and the help text of the command line.

use std::fmt::Write as _;

use serde_json::Value;

use super::algorithm::{AlgorithmConfig, algorithms, for_algorithm};
use super::declare::Section;
use super::error::{ConfigError, ConfigErrors};
use super::names::nearest;
use super::spec::OptionSpec;

/// The configuration reference of an algorithm as Markdown.
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
        text.push_str(&markdown_section(config.as_ref(), section));
    }
    text.push_str(&synonyms_table(config.as_ref()));
    text.push_str(&translation_table(config.as_ref()));
    Ok(text)
}

/// The reference of all algorithms, `docs/configuration.md`: the first one whole, of the others what differs from it.
///
/// # Errors
/// None, as only algorithms that are served are asked for.
pub fn reference() -> Result<String, ConfigErrors> {
    let [first, others @ ..] = algorithms() else { return Ok(String::new()) };
    let (mut text, first) = (markdown(first.name)?, for_algorithm(first.name)?);
    for other in others {
        text.push_str(&differences(first.as_ref(), for_algorithm(other.name)?.as_ref()));
    }
    Ok(text)
}

/// What an algorithm's options differ in from those of `first`: whole sections, and defaults in the others.
fn differences(first: &dyn AlgorithmConfig, config: &dyn AlgorithmConfig) -> String {
    let mut text = format!("\n# Options of {}\n\nThose of {}", config.algorithm(), first.algorithm());
    text.push_str(", but for the following.\n");
    let (known, mut defaults) = (first.sections(), String::new());
    for section in config.sections() {
        let names = |section: &dyn Section| section.specs().iter().map(|spec| spec.name).collect::<Vec<_>>();
        if known.iter().all(|known| known.path() != section.path() || names(*known) != names(section)) {
            text.push_str(&markdown_section(config, section));
            continue;
        }
        for spec in section.specs() {
            if config.get(&spec.path()) != first.get(&spec.path()) {
                let _ = writeln!(defaults, "| `{}` | `{}` |", spec.path(), default_text(config, spec));
            }
        }
    }
    if !defaults.is_empty() {
        text.push_str("\n## Other defaults\n\n| option | default |\n|---|---|\n");
        text.push_str(&defaults);
    }
    text
}

fn markdown_section(config: &dyn AlgorithmConfig, section: &dyn Section) -> String {
    let mut text = format!("\n## `{}`\n\n{}\n\n", section.path(), section.doc().trim());
    text.push_str("| option | default | accepts | meaning |\n|---|---|---|---|\n");
    for spec in section.specs() {
        text.push_str(&markdown_row(config, spec));
    }
    text
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
