//! What is known about an option besides its value: range, unit, names elsewhere, documentation.

use std::fmt::Write as _;

use serde_json::Value;

use super::error::Problem;

/// The numbers an option accepts. For lists and schedules the bounds hold for every number in them.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Bounds {
    /// Smallest value.
    pub min: Option<f64>,
    /// Largest value.
    pub max: Option<f64>,
    /// `min` itself is refused.
    pub min_exclusive: bool,
    /// `max` itself is refused.
    pub max_exclusive: bool,
}

impl Bounds {
    /// Whether a finite number lies within.
    pub fn contains(&self, number: f64) -> bool {
        let above = self.min.is_none_or(|min| number > min || (number == min && !self.min_exclusive));
        let below = self.max.is_none_or(|max| number < max || (number == max && !self.max_exclusive));
        above && below
    }

    /// The range in words, or nothing when every number is accepted.
    pub fn describe(&self) -> Option<String> {
        let low_words = if self.min_exclusive { "greater than" } else { "at least" };
        let high_words = if self.max_exclusive { "less than" } else { "at most" };
        let low = self.min.map(|min| format!("{low_words} {}", exact(min)));
        let high = self.max.map(|max| format!("{high_words} {}", exact(max)));
        match (low, high) {
            (Some(_), Some(_)) if self.min == self.max => self.min.map(|only| format!("exactly {only}")),
            (Some(low), Some(high)) => Some(format!("{low} and {high}")),
            (low, high) => low.or(high),
        }
    }

    /// Refuses NaN, infinities and numbers out of range.
    pub fn check(&self, number: f64) -> Result<(), Problem> {
        if !number.is_finite() {
            return Err(Problem::new(format!("must be a finite number, found {number}")));
        }
        match self.describe() {
            Some(range) if !self.contains(number) => Err(Problem::new(format!("must be {range}"))),
            _ => Ok(()),
        }
    }

    /// The same as JSON schema keywords, added to `schema`.
    pub(super) fn extend_schema(&self, schema: &mut Value) {
        let mut put = |key: &str, bound: Option<f64>| {
            if let (Some(bound), Value::Object(map)) = (bound, &mut *schema) {
                map.insert(key.into(), number(bound));
            }
        };
        put(if self.min_exclusive { "exclusiveMinimum" } else { "minimum" }, self.min);
        put(if self.max_exclusive { "exclusiveMaximum" } else { "maximum" }, self.max);
    }
}

/// A bound with all its digits: the largest whole number is no float, 2⁶⁴ stands for it.
fn exact(bound: f64) -> String {
    if bound >= u64::MAX as f64 { u64::MAX.to_string() } else { bound.to_string() }
}

/// Whole numbers without a trailing `.0`.
fn number(value: f64) -> Value {
    if value.fract() == 0.0 && value.abs() < 9e15 { Value::from(value as i64) } else { Value::from(value) }
}

/// The part of an option's definition that follows its default: built by the `options!` macro.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Meta {
    pub(super) bounds: Bounds,
    pub(super) unit: &'static str,
    pub(super) synonyms: &'static [&'static str],
    pub(super) called: &'static [(&'static str, &'static str)],
    pub(super) hint: &'static str,
}

impl Meta {
    pub(super) const fn new() -> Self {
        Self {
            bounds: Bounds { min: None, max: None, min_exclusive: false, max_exclusive: false },
            unit: "",
            synonyms: &[],
            called: &[],
            hint: "",
        }
    }

    pub(super) const fn min(mut self, min: f64) -> Self {
        self.bounds.min = Some(min);
        self
    }

    pub(super) const fn above(mut self, min: f64) -> Self {
        self.bounds.min = Some(min);
        self.bounds.min_exclusive = true;
        self
    }

    pub(super) const fn below(mut self, max: f64) -> Self {
        self.bounds.max = Some(max);
        self.bounds.max_exclusive = true;
        self
    }

    pub(super) const fn between(mut self, min: f64, max: f64) -> Self {
        self.bounds.min = Some(min);
        self.bounds.max = Some(max);
        self
    }

    pub(super) const fn unit(mut self, unit: &'static str) -> Self {
        self.unit = unit;
        self
    }

    /// RLlib's other names for the option, accepted with the same meaning.
    pub(super) const fn synonyms(mut self, names: &'static [&'static str]) -> Self {
        self.synonyms = names;
        self
    }

    /// What other libraries call it: refused, with the translation.
    pub(super) const fn called(mut self, names: &'static [(&'static str, &'static str)]) -> Self {
        self.called = names;
        self
    }

    /// What to do when the value is refused.
    pub(super) const fn hint(mut self, hint: &'static str) -> Self {
        self.hint = hint;
        self
    }
}

/// Everything about one option that help texts, schema, documentation and bindings need.
#[derive(Debug, Clone, Copy)]
pub struct OptionSpec {
    /// Section, for example `training`, or `training.optimizer` for a group inside it.
    pub section: &'static str,
    /// The option's name, RLlib's where RLlib has it.
    pub name: &'static str,
    /// Documentation: one sentence, then details.
    pub doc: &'static str,
    /// The numbers accepted.
    pub bounds: Bounds,
    /// Unit of the value, empty for plain numbers.
    pub unit: &'static str,
    /// The words accepted, empty when the value is not a choice of words.
    pub choices: &'static [&'static str],
    /// RLlib's other names, accepted with the same meaning.
    pub synonyms: &'static [&'static str],
    /// `(library, its name)`: refused, with the translation.
    pub called: &'static [(&'static str, &'static str)],
    /// What to do when the value is refused.
    pub hint: &'static str,
    pub(super) type_name: fn() -> String,
    pub(super) default: fn() -> Value,
    pub(super) schema: fn(&Bounds) -> Value,
}

impl OptionSpec {
    /// Dotted path, for example `training.lr`.
    pub fn path(&self) -> String {
        format!("{}.{}", self.section, self.name)
    }

    /// The type in words, for example `number or schedule`.
    pub fn type_name(&self) -> String {
        (self.type_name)()
    }

    /// The default of the section as JSON; an algorithm may start from another one.
    pub fn default(&self) -> Value {
        (self.default)()
    }

    /// JSON schema of the value, without title and default.
    pub fn schema(&self) -> Value {
        (self.schema)(&self.bounds)
    }

    /// First sentence of the documentation.
    pub fn summary(&self) -> &'static str {
        let doc = self.doc.trim();
        doc.find(". ").map_or(doc, |end| &doc[..=end])
    }

    /// What is accepted, in words: type, choices or range, unit.
    pub fn accepts(&self) -> String {
        let mut text = self.type_name();
        if !self.choices.is_empty() {
            let words: Vec<String> = self.choices.iter().map(|choice| format!("\"{choice}\"")).collect();
            let none = if text.ends_with("none") { " or none" } else { "" };
            text = words.join(" | ") + none;
        }
        if let Some(range) = self.bounds.describe() {
            let _ = write!(text, ", {range}");
        }
        if !self.unit.is_empty() {
            let _ = write!(text, " ({})", self.unit);
        }
        text
    }
}
