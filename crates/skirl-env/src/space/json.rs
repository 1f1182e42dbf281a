//! The JSON form of spaces, used in checkpoints and manifests.
//!
//! `{"type": "Box", "shape": [4], "dtype": "float32", "low": [-4.8, "-inf", …], "high": …}`; equal bounds are written
//! once, as a number. `{"type": "Discrete", "n": 2, "start": 0}`, `{"type": "MultiDiscrete", "nvec": …, "start": …,
//! "shape": …}`, `{"type": "MultiBinary", "shape": …}`, `{"type": "Dict", "spaces": {…}}`,
//! `{"type": "Tuple", "spaces": […]}`.

use serde_json::{Map, Value, json};

use super::leaves::join;
use super::validate::{MAX_DEPTH, place, shape_problem};
use super::{Discrete, MultiDiscrete, Space, SpaceError};
use crate::dtype::DType;

/// Most elements of all Boxes together that are read: their bounds take 16 bytes for each, however short the file.
const MAX_BOX_ELEMENTS: usize = 1 << 23;

impl Space {
    /// The JSON form.
    pub fn to_json(&self) -> Value {
        match self {
            Space::Discrete(space) => json!({"type": "Discrete", "n": space.n, "start": space.start}),
            Space::MultiDiscrete(space) => json!({
                "type": "MultiDiscrete", "nvec": space.nvec, "start": space.start, "shape": space.shape
            }),
            Space::MultiBinary { shape } => json!({"type": "MultiBinary", "shape": shape}),
            Space::Box(space) => json!({
                "type": "Box", "shape": space.shape, "dtype": space.dtype.name(),
                "low": bounds_to_json(&space.low), "high": bounds_to_json(&space.high)
            }),
            Space::Dict(parts) => {
                let parts: Map<String, Value> =
                    parts.iter().map(|(name, part)| (name.clone(), part.to_json())).collect();
                json!({"type": "Dict", "spaces": parts})
            }
            Space::Tuple(parts) => {
                json!({"type": "Tuple", "spaces": parts.iter().map(Space::to_json).collect::<Vec<_>>()})
            }
        }
    }

    /// Reads the JSON form and validates the space. Sizes are checked before memory is taken.
    pub fn from_json(value: &Value) -> Result<Space, SpaceError> {
        let space = read(value, "", 0, &mut { MAX_BOX_ELEMENTS })?;
        space.validate()?;
        Ok(space)
    }
}

fn bounds_to_json(bounds: &[f64]) -> Value {
    match bounds {
        [first, rest @ ..] if rest.iter().all(|bound| bound == first) => bound_to_json(*first),
        _ => bounds.iter().map(|&bound| bound_to_json(bound)).collect(),
    }
}

fn bound_to_json(bound: f64) -> Value {
    if bound == f64::INFINITY {
        json!("inf")
    } else if bound == f64::NEG_INFINITY {
        json!("-inf")
    } else {
        json!(bound)
    }
}

/// `room` is the number of Box elements that may still be read.
fn read(value: &Value, path: &str, depth: usize, room: &mut usize) -> Result<Space, SpaceError> {
    let fail = |problem: String| SpaceError::Json { place: place(path), problem };
    if depth > MAX_DEPTH {
        return Err(fail(format!("nested more than {MAX_DEPTH} deep")));
    }
    let kind = value.get("type").and_then(Value::as_str).unwrap_or_default();
    match kind {
        "Discrete" => Ok(Space::Discrete(Discrete {
            n: integer(value.get("n")).ok_or_else(|| fail("`n` must be an integer".to_owned()))?,
            start: integer(value.get("start").or(Some(&json!(0))))
                .ok_or_else(|| fail("`start` must be an integer".to_owned()))?,
        })),
        "MultiDiscrete" => read_multi_discrete(value).map_err(fail),
        "MultiBinary" => Ok(Space::MultiBinary { shape: read_shape(value).map_err(fail)? }),
        "Box" => read_box(value, room).map_err(fail),
        "Dict" => {
            let parts = value.get("spaces").and_then(Value::as_object);
            let parts = parts.ok_or_else(|| fail("`spaces` must be an object".to_owned()))?;
            let parts: Result<Vec<_>, _> = parts
                .iter()
                .map(|(name, part)| Ok((name.clone(), read(part, &join(path, name), depth + 1, room)?)))
                .collect();
            Ok(Space::dict(parts?))
        }
        "Tuple" => {
            let parts = value.get("spaces").and_then(Value::as_array);
            let parts = parts.ok_or_else(|| fail("`spaces` must be an array".to_owned()))?;
            let parts = parts.iter().enumerate();
            parts
                .map(|(index, part)| read(part, &join(path, &index.to_string()), depth + 1, room))
                .collect::<Result<_, _>>()
                .map(Space::Tuple)
        }
        _ => Err(fail(format!(
            "`type` is \"{kind}\", expected Discrete, MultiDiscrete, MultiBinary, Box, Dict or Tuple"
        ))),
    }
}

fn integer(value: Option<&Value>) -> Option<i64> {
    value.and_then(Value::as_i64)
}

fn integers(value: Option<&Value>) -> Option<Vec<i64>> {
    value?.as_array()?.iter().map(Value::as_i64).collect()
}

fn read_shape(value: &Value) -> Result<Vec<usize>, String> {
    let shape = integers(value.get("shape")).ok_or("`shape` must be an array of integers")?;
    let shape: Result<Vec<usize>, _> = shape.into_iter().map(usize::try_from).collect();
    let shape = shape.map_err(|_| "`shape` must not be negative")?;
    shape_problem(&shape)?;
    Ok(shape)
}

fn read_multi_discrete(value: &Value) -> Result<Space, String> {
    let nvec = integers(value.get("nvec")).ok_or("`nvec` must be an array of integers")?;
    let start = match value.get("start") {
        None => vec![0; nvec.len()],
        Some(start) => integers(Some(start)).ok_or("`start` must be an array of integers")?,
    };
    let shape = if value.get("shape").is_some() { read_shape(value)? } else { vec![nvec.len()] };
    Ok(Space::MultiDiscrete(MultiDiscrete { nvec, start, shape }))
}

fn read_box(value: &Value, room: &mut usize) -> Result<Space, String> {
    let shape = read_shape(value)?;
    let dtype = value.get("dtype").and_then(Value::as_str).unwrap_or_default();
    let dtype =
        DType::from_name(dtype).ok_or_else(|| format!("`dtype` is \"{dtype}\", expected such as float32"))?;
    let size: usize = shape.iter().product();
    *room = room.checked_sub(size).ok_or_else(|| {
        format!("with shape {shape:?} the space has more than {MAX_BOX_ELEMENTS} elements in its Boxes")
    })?;
    let low = read_bounds(value.get("low"), size)
        .ok_or("`low` must be a number, \"-inf\", or one for each element")?;
    let high = read_bounds(value.get("high"), size)
        .ok_or("`high` must be a number, \"inf\", or one for each element")?;
    Ok(Space::box_bounds(&low, &high, &shape, dtype))
}

fn read_bounds(value: Option<&Value>, size: usize) -> Option<Vec<f64>> {
    match value? {
        Value::Array(bounds) => {
            (bounds.len() == size).then(|| bounds.iter().map(read_bound).collect::<Option<Vec<f64>>>())?
        }
        bound => Some(vec![read_bound(bound)?; size]),
    }
}

fn read_bound(value: &Value) -> Option<f64> {
    match value.as_str() {
        Some("inf") => Some(f64::INFINITY),
        Some("-inf") => Some(f64::NEG_INFINITY),
        Some(_) => None,
        None => value.as_f64(),
    }
}
