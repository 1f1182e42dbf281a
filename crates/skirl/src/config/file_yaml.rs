//! YAML 1.2 (core schema) to JSON values with positions; what aliases repeat is counted, so a small file cannot become a
//! large value.

use std::collections::BTreeMap;

use saphyr_parser::{Event, Parser, ScalarStyle, Span, StrInput, Tag};
use serde_json::{Map, Value};

use super::apply::Positions;
use super::file::{Document, MAX_DEPTH, SyntaxError};
use super::file_toml::{float_value, whole};

/// How an error about a repeated key begins.
pub(super) const TWICE: &str = "the key is given twice";

/// The most values in a document, those repeated by aliases included.
const MAX_VALUES: usize = 100_000;

pub(super) fn parse(text: &str) -> Result<Document, SyntaxError> {
    let mut reader = Reader {
        events: Parser::new_from_str(text),
        anchors: BTreeMap::new(),
        positions: Positions::new(),
        place: Vec::new(),
        values: 0,
    };
    let mut document = Value::Null;
    let mut documents = 0;
    loop {
        let (event, span) = reader.next()?;
        match event {
            Event::StreamEnd => break,
            Event::StreamStart | Event::Nothing | Event::DocumentEnd => {}
            Event::DocumentStart(_) => {
                documents += 1;
                if documents > 1 {
                    return Err(error("expected one document in the file, found a second", &span));
                }
                let (event, span) = reader.next()?;
                document = reader.value(event, &span)?;
            }
            _ => return Err(error("expected a document", &span)),
        }
    }
    Ok(Document { value: document, positions: reader.positions })
}

fn error(message: impl Into<String>, span: &Span) -> SyntaxError {
    SyntaxError::new(message, Some((span.start.line(), span.start.col() + 1)))
}

/// An anchored value and how many values it holds.
type Anchored = (Value, usize);

struct Reader<'a> {
    events: Parser<'a, StrInput<'a>>,
    anchors: BTreeMap<usize, Anchored>,
    positions: Positions,
    place: Vec<String>,
    values: usize,
}

impl<'a> Reader<'a> {
    fn next(&mut self) -> Result<(Event<'a>, Span), SyntaxError> {
        match self.events.next_event() {
            Some(Ok(event)) => Ok(event),
            Some(Err(scan)) => {
                let at = (scan.marker().line(), scan.marker().col() + 1);
                Err(SyntaxError::new(scan.info(), Some(at)))
            }
            None => Err(SyntaxError::new("the file ends too early", None)),
        }
    }

    fn count(&mut self, more: usize, span: &Span) -> Result<(), SyntaxError> {
        self.values = self.values.saturating_add(more);
        if self.values > MAX_VALUES {
            return Err(error(format!("more than {MAX_VALUES} values, counting what aliases repeat"), span));
        }
        Ok(())
    }

    fn value(&mut self, event: Event<'a>, span: &Span) -> Result<Value, SyntaxError> {
        self.count(1, span)?;
        let before = self.values;
        let (value, anchor) = match event {
            Event::Alias(anchor) => return self.alias(anchor, span),
            Event::Scalar(text, style, anchor, tag) => (scalar(&text, style, tag.as_deref(), span)?, anchor),
            Event::SequenceStart(anchor, tag) => {
                refuse_tag(tag.as_deref(), span)?;
                (self.sequence(span)?, anchor)
            }
            Event::MappingStart(anchor, tag) => {
                refuse_tag(tag.as_deref(), span)?;
                (self.mapping(span)?, anchor)
            }
            _ => return Err(error("expected a value", span)),
        };
        if anchor > 0 {
            self.anchors.insert(anchor, (value.clone(), self.values - before + 1));
        }
        Ok(value)
    }

    fn alias(&mut self, anchor: usize, span: &Span) -> Result<Value, SyntaxError> {
        let Some((value, size)) = self.anchors.get(&anchor) else {
            return Err(error("the alias refers to a value that is not complete", span));
        };
        let size = *size;
        let value = value.clone();
        self.count(size, span)?;
        Ok(value)
    }

    fn enter(&mut self, key: &str, span: &Span) -> Result<(), SyntaxError> {
        if self.place.len() >= MAX_DEPTH {
            return Err(error(format!("nested deeper than {MAX_DEPTH} levels"), span));
        }
        self.place.push(key.to_owned());
        Ok(())
    }

    fn sequence(&mut self, span: &Span) -> Result<Value, SyntaxError> {
        self.enter("", span)?;
        let mut items = Vec::new();
        loop {
            let (event, span) = self.next()?;
            if matches!(event, Event::SequenceEnd) {
                self.place.pop();
                return Ok(Value::Array(items));
            }
            items.push(self.value(event, &span)?);
        }
    }

    fn mapping(&mut self, span: &Span) -> Result<Value, SyntaxError> {
        let _ = span;
        let mut map = Map::new();
        loop {
            let (event, key_span) = self.next()?;
            let key = match event {
                Event::MappingEnd => return Ok(Value::Object(map)),
                Event::Scalar(text, ..) => text.into_owned(),
                _ => return Err(error("expected a key that is a word", &key_span)),
            };
            if map.contains_key(&key) {
                return Err(error(format!("{TWICE}: {key}"), &key_span));
            }
            self.enter(&key, &key_span)?;
            self.positions.insert(self.place.clone(), (key_span.start.line(), key_span.start.col() + 1));
            let (event, span) = self.next()?;
            let value = self.value(event, &span)?;
            self.place.pop();
            map.insert(key, value);
        }
    }
}

/// Only the tags of the core schema are read: nothing in a file may name a program's type.
fn refuse_tag(tag: Option<&Tag>, span: &Span) -> Result<(), SyntaxError> {
    match tag {
        Some(tag) if !tag.is_yaml_core_schema() || tag.suffix.contains('/') => {
            Err(error(format!("the tag {tag} is not read here: write plain values"), span))
        }
        _ => Ok(()),
    }
}

fn scalar(text: &str, style: ScalarStyle, tag: Option<&Tag>, span: &Span) -> Result<Value, SyntaxError> {
    refuse_tag(tag, span)?;
    let quoted = style != ScalarStyle::Plain || tag.is_some_and(|tag| tag.suffix == "str");
    Ok(if quoted { Value::String(text.to_owned()) } else { plain(text) })
}

/// A plain scalar by the core schema, YAML 1.2.2, section 10.3.2. (`1e-3` is a number here, unlike in YAML 1.1.)
fn plain(text: &str) -> Value {
    match text {
        "" | "~" | "null" | "Null" | "NULL" | "None" => return Value::Null,
        "true" | "True" | "TRUE" => return Value::Bool(true),
        "false" | "False" | "FALSE" => return Value::Bool(false),
        ".nan" | ".NaN" | ".NAN" => return Value::String("nan".into()),
        ".inf" | ".Inf" | ".INF" | "+.inf" => return Value::String("inf".into()),
        "-.inf" | "-.Inf" | "-.INF" => return Value::String("-inf".into()),
        _ => {}
    }
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    if !digits.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
        return Value::String(text.to_owned());
    }
    let integer = match (digits.strip_prefix("0x"), digits.strip_prefix("0o")) {
        (Some(hex), _) => i128::from_str_radix(hex, 16).ok(),
        (_, Some(octal)) => i128::from_str_radix(octal, 8).ok(),
        _ => text.parse::<i128>().ok(),
    };
    match integer {
        Some(integer) => whole(integer),
        None => float_value(text),
    }
}
