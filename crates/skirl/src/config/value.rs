//! How option values are read from JSON and written back, one type at a time.

use serde_json::{Map, Value, json};

use super::error::Problem;
use super::spec::Bounds;

/// A type that an option may have.
pub trait OptionValue: Sized {
    /// The words accepted, empty when the value is not a choice of words.
    const CHOICES: &'static [&'static str] = &[];

    /// The type in words, for example `integer`.
    fn type_name() -> String;

    /// Reads a JSON value of the right type; the range is checked by [`check`](Self::check).
    fn from_value(value: &Value) -> Result<Self, Problem>;

    /// As [`from_value`](Self::from_value), of an option that names something: every word is a name, also `none`.
    fn from_name(value: &Value) -> Result<Self, Problem> {
        Self::from_value(value)
    }

    /// The value as JSON, readable by [`from_value`](Self::from_value).
    fn to_value(&self) -> Value;

    /// Refuses numbers outside the bounds and values that contradict themselves.
    fn check(&self, bounds: &Bounds) -> Result<(), Problem> {
        let _ = bounds;
        Ok(())
    }

    /// JSON schema of the type.
    fn schema(bounds: &Bounds) -> Value;
}

/// A value that a fluent setter accepts for an option of type `T`, so that `.lr(1e-3)`, `.seed(1)` and
/// `.fcnet_hiddens([64, 64])` need no wrapping.
pub trait Setting<T> {
    /// The option's value.
    fn into_setting(self) -> T;
}

impl<T> Setting<T> for T {
    fn into_setting(self) -> T {
        self
    }
}

impl<T> Setting<Option<T>> for T {
    fn into_setting(self) -> Option<T> {
        Some(self)
    }
}

impl Setting<String> for &str {
    fn into_setting(self) -> String {
        self.to_owned()
    }
}

impl Setting<Option<String>> for &str {
    fn into_setting(self) -> Option<String> {
        Some(self.to_owned())
    }
}

impl<const N: usize> Setting<Vec<usize>> for [usize; N] {
    fn into_setting(self) -> Vec<usize> {
        self.to_vec()
    }
}

impl<const N: usize> Setting<Option<Vec<usize>>> for [usize; N] {
    fn into_setting(self) -> Option<Vec<usize>> {
        Some(self.to_vec())
    }
}

impl<const N: usize> Setting<Option<Vec<String>>> for [&str; N] {
    fn into_setting(self) -> Option<Vec<String>> {
        Some(self.map(str::to_owned).to_vec())
    }
}

impl Setting<Map<String, Value>> for Value {
    /// Anything but a map becomes an empty map.
    fn into_setting(self) -> Map<String, Value> {
        match self {
            Value::Object(map) => map,
            _ => Map::new(),
        }
    }
}

impl Setting<Option<Map<String, Value>>> for Value {
    fn into_setting(self) -> Option<Map<String, Value>> {
        match self {
            Value::Object(map) => Some(map),
            _ => None,
        }
    }
}

impl OptionValue for f64 {
    fn type_name() -> String {
        "number".into()
    }

    fn from_value(value: &Value) -> Result<Self, Problem> {
        match value {
            Value::Number(number) => number.as_f64().ok_or_else(|| Problem::expected("a number", value)),
            Value::String(text) => Err(numeric_string("a number", text, value)),
            _ => Err(Problem::expected("a number", value)),
        }
    }

    fn to_value(&self) -> Value {
        json!(self)
    }

    fn check(&self, bounds: &Bounds) -> Result<(), Problem> {
        bounds.check(*self)
    }

    fn schema(bounds: &Bounds) -> Value {
        let mut schema = json!({ "type": "number" });
        bounds.extend_schema(&mut schema);
        schema
    }
}

/// A number written in quotes is the commonest type error: say so. NaN and infinities arrive here as words.
fn numeric_string(expected: &str, text: &str, value: &Value) -> Problem {
    match text.parse::<f64>() {
        Ok(number) if number.is_finite() => {
            Problem::expected(expected, value).suggest(format!("write {text} without quotes"))
        }
        Ok(number) => Problem::new(format!("must be a finite number, found {number}")),
        Err(_) => Problem::expected(expected, value),
    }
}

/// Reads a whole number, written as an integer or as `4e3`.
fn whole_number(value: &Value) -> Result<u64, Problem> {
    const EXACT_MAX: f64 = 9_007_199_254_740_992.0;
    let Value::Number(number) = value else {
        return Err(match value {
            Value::String(text) => numeric_string("an integer", text, value),
            _ => Problem::expected("an integer", value),
        });
    };
    if let Some(integer) = number.as_u64() {
        return Ok(integer);
    }
    match number.as_f64() {
        Some(float) if float < 0.0 => Err(Problem::new("must be at least 0")),
        Some(float) if float.fract() == 0.0 && float <= EXACT_MAX => Ok(float as u64),
        Some(float) if float > EXACT_MAX => Err(Problem::new("is too large for an integer option")),
        _ => Err(Problem::expected("an integer", value)),
    }
}

macro_rules! whole_number_options {
    ($($integer:ty),+) => {$(
        impl OptionValue for $integer {
            fn type_name() -> String {
                "integer".into()
            }

            fn from_value(value: &Value) -> Result<Self, Problem> {
                <$integer>::try_from(whole_number(value)?)
                    .map_err(|_| Problem::new("is too large for an integer option"))
            }

            fn to_value(&self) -> Value {
                json!(self)
            }

            fn check(&self, bounds: &Bounds) -> Result<(), Problem> {
                bounds.check(*self as f64)
            }

            fn schema(bounds: &Bounds) -> Value {
                let mut schema = json!({ "type": "integer", "minimum": 0 });
                bounds.extend_schema(&mut schema);
                schema
            }
        }
    )+};
}
whole_number_options!(usize, u64);

impl OptionValue for bool {
    fn type_name() -> String {
        "true or false".into()
    }

    fn from_value(value: &Value) -> Result<Self, Problem> {
        match value {
            Value::Bool(flag) => Ok(*flag),
            Value::String(text) if ["true", "false"].contains(&text.to_lowercase().as_str()) => {
                Err(Problem::expected("true or false", value)
                    .suggest(format!("write {} without quotes", text.to_lowercase())))
            }
            _ => Err(Problem::expected("true or false", value)),
        }
    }

    fn to_value(&self) -> Value {
        json!(self)
    }

    fn schema(_: &Bounds) -> Value {
        json!({ "type": "boolean" })
    }
}

impl OptionValue for String {
    fn type_name() -> String {
        "string".into()
    }

    fn from_value(value: &Value) -> Result<Self, Problem> {
        match value {
            Value::String(text) if text.is_empty() => Err(Problem::new("must not be empty")),
            Value::String(text) => Ok(text.clone()),
            _ => Err(Problem::expected("a string", value)),
        }
    }

    fn to_value(&self) -> Value {
        json!(self)
    }

    fn schema(_: &Bounds) -> Value {
        json!({ "type": "string", "minLength": 1 })
    }
}

impl OptionValue for Map<String, Value> {
    fn type_name() -> String {
        "map".into()
    }

    fn from_value(value: &Value) -> Result<Self, Problem> {
        value.as_object().cloned().ok_or_else(|| Problem::expected("a map", value))
    }

    fn to_value(&self) -> Value {
        Value::Object(self.clone())
    }

    fn schema(_: &Bounds) -> Value {
        json!({ "type": "object" })
    }
}

impl<T: OptionValue> OptionValue for Vec<T> {
    fn type_name() -> String {
        format!("list of {}", T::type_name())
    }

    fn from_value(value: &Value) -> Result<Self, Problem> {
        let items = value
            .as_array()
            .ok_or_else(|| Problem::expected(&format!("a list of values, each {}", T::type_name()), value))?;
        items
            .iter()
            .enumerate()
            .map(|(index, item)| T::from_value(item).map_err(|p| in_list(index, p)))
            .collect()
    }

    fn to_value(&self) -> Value {
        self.iter().map(T::to_value).collect()
    }

    fn check(&self, bounds: &Bounds) -> Result<(), Problem> {
        self.iter()
            .enumerate()
            .try_for_each(|(index, item)| item.check(bounds).map_err(|p| in_list(index, p)))
    }

    fn schema(bounds: &Bounds) -> Value {
        json!({ "type": "array", "items": T::schema(bounds) })
    }
}

impl<const N: usize> OptionValue for [f64; N] {
    fn type_name() -> String {
        format!("list of {N} numbers")
    }

    fn from_value(value: &Value) -> Result<Self, Problem> {
        let items = Vec::<f64>::from_value(value)?;
        Self::try_from(items).map_err(|_| Problem::expected(&format!("a list of {N} numbers"), value))
    }

    fn to_value(&self) -> Value {
        json!(self.as_slice())
    }

    fn check(&self, bounds: &Bounds) -> Result<(), Problem> {
        self.iter()
            .enumerate()
            .try_for_each(|(index, item)| item.check(bounds).map_err(|p| in_list(index, p)))
    }

    fn schema(bounds: &Bounds) -> Value {
        json!({ "type": "array", "items": f64::schema(bounds), "minItems": N, "maxItems": N })
    }
}

fn in_list(index: usize, problem: Problem) -> Problem {
    Problem { problem: format!("value {} of the list: {}", index + 1, problem.problem), ..problem }
}

impl<T: OptionValue> OptionValue for Option<T> {
    const CHOICES: &'static [&'static str] = T::CHOICES;

    fn type_name() -> String {
        format!("{} or none", T::type_name())
    }

    /// `null`, and the word `none` for TOML, which has no null.
    fn from_value(value: &Value) -> Result<Self, Problem> {
        match value {
            Value::Null => Ok(None),
            Value::String(text) if matches!(text.as_str(), "none" | "None") => Ok(None),
            _ => T::from_value(value).map(Some),
        }
    }

    fn from_name(value: &Value) -> Result<Self, Problem> {
        if value.is_null() { Ok(None) } else { T::from_value(value).map(Some) }
    }

    fn to_value(&self) -> Value {
        self.as_ref().map_or(Value::Null, T::to_value)
    }

    fn check(&self, bounds: &Bounds) -> Result<(), Problem> {
        self.as_ref().map_or(Ok(()), |inner| inner.check(bounds))
    }

    fn schema(bounds: &Bounds) -> Value {
        json!({ "anyOf": [T::schema(bounds), { "enum": [null, "none"] }] })
    }
}
