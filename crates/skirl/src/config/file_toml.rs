//! TOML to JSON values with positions.

use serde_json::{Map, Value};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::apply::Positions;
use super::file::{Document, SyntaxError};

pub(super) fn parse(text: &str) -> Result<Document, SyntaxError> {
    let lines = Lines::new(text);
    let table = DeTable::parse(text).map_err(|error| {
        let at = error.span().map(|span| lines.position(span.start));
        SyntaxError::new(error.message().trim(), at)
    })?;
    let mut reader = Reader { lines, positions: Positions::new(), place: Vec::new() };
    let value = reader.table(table.get_ref())?;
    Ok(Document { value, positions: reader.positions })
}

/// Where each line starts, to turn byte offsets into line and column.
#[derive(Debug)]
struct Lines<'a> {
    text: &'a str,
    starts: Vec<usize>,
}

impl<'a> Lines<'a> {
    fn new(text: &'a str) -> Self {
        let after_breaks = text.match_indices('\n').map(|(at, _)| at + 1);
        Self { text, starts: [0].into_iter().chain(after_breaks).collect() }
    }

    /// Line and column in characters, from 1.
    fn position(&self, offset: usize) -> (usize, usize) {
        let line = self.starts.partition_point(|start| *start <= offset).max(1);
        let start = self.starts[line - 1];
        let column = self.text.get(start..offset).map_or(0, |text| text.chars().count());
        (line, column + 1)
    }
}

#[derive(Debug)]
struct Reader<'a> {
    lines: Lines<'a>,
    positions: Positions,
    place: Vec<String>,
}

impl Reader<'_> {
    fn table(&mut self, table: &DeTable<'_>) -> Result<Value, SyntaxError> {
        let mut map = Map::new();
        for (key, value) in table {
            self.place.push(key.get_ref().to_string());
            self.positions.insert(self.place.clone(), self.lines.position(key.span().start));
            let value = self.value(value)?;
            self.place.pop();
            map.insert(key.get_ref().to_string(), value);
        }
        Ok(Value::Object(map))
    }

    fn value(&mut self, value: &Spanned<DeValue<'_>>) -> Result<Value, SyntaxError> {
        Ok(match value.get_ref() {
            DeValue::String(text) => Value::String(text.to_string()),
            DeValue::Boolean(flag) => Value::Bool(*flag),
            DeValue::Datetime(datetime) => Value::String(datetime.to_string()),
            DeValue::Integer(integer) => self.integer(integer.as_str(), integer.radix(), value)?,
            DeValue::Float(float) => float_value(float.as_str()),
            DeValue::Array(items) => items.iter().map(|item| self.value(item)).collect::<Result<_, _>>()?,
            DeValue::Table(table) => self.table(table)?,
        })
    }

    fn integer(&self, digits: &str, radix: u32, value: &Spanned<DeValue<'_>>) -> Result<Value, SyntaxError> {
        let parsed = i128::from_str_radix(digits, radix).ok();
        parsed.map(whole).ok_or_else(|| {
            SyntaxError::new("integer out of range", Some(self.lines.position(value.span().start)))
        })
    }
}

/// The JSON number of an integer; one beyond 64 bits becomes a float, which integer options then refuse as too large.
pub(super) fn whole(integer: i128) -> Value {
    match (i64::try_from(integer), u64::try_from(integer)) {
        (Ok(signed), _) => Value::from(signed),
        (_, Ok(unsigned)) => Value::from(unsigned),
        _ => Value::from(integer as f64),
    }
}

/// JSON has no NaN and no infinity: these stay words, which number options then refuse by name.
pub(super) fn float_value(text: &str) -> Value {
    match text.parse::<f64>() {
        Ok(float) if float.is_finite() => Value::from(float),
        _ => Value::String(text.to_owned()),
    }
}
