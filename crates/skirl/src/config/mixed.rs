//! Option values that are a number or something else: schedules, reward clipping, fragment length.

use serde_json::{Value, json};

use super::error::Problem;
use super::spec::Bounds;
use super::value::{OptionValue, Setting};

/// A constant, or a piecewise-linear function of the environment steps sampled in the run's lifetime.
#[derive(Debug, Clone, PartialEq)]
pub enum ScheduleSpec {
    /// The same value for the whole run.
    Constant(f64),
    /// Points `(env_steps, value)`: linear between them, the last value held for ever. At least two points, the first
    /// at step 0, steps increasing.
    Piecewise(Vec<(u64, f64)>),
}

impl ScheduleSpec {
    /// The value at step 0.
    pub fn initial(&self) -> f64 {
        match self {
            Self::Constant(value) => *value,
            Self::Piecewise(points) => points.first().map_or(0.0, |(_, value)| *value),
        }
    }

    /// The value after `env_steps` environment steps.
    pub fn value_at(&self, env_steps: u64) -> f64 {
        let points = match self {
            Self::Constant(value) => return *value,
            Self::Piecewise(points) => points,
        };
        let after = points.partition_point(|(step, _)| *step <= env_steps);
        match (after.checked_sub(1).and_then(|before| points.get(before)), points.get(after)) {
            (Some((from, low)), Some((to, high))) => {
                low + (high - low) * ((env_steps - from) as f64 / (to - from) as f64)
            }
            (Some((_, last)), None) => *last,
            (None, _) => self.initial(),
        }
    }

    fn check_points(points: &[(u64, f64)]) -> Result<(), Problem> {
        const EXAMPLE: &str =
            "write for example [[0, 0.001], [1000000, 0.0001]], or a plain number for a constant";
        if points.len() < 2 {
            let problem = format!("a schedule needs at least two points, found {}", points.len());
            return Err(Problem::new(problem).suggest(EXAMPLE));
        }
        if points[0].0 != 0 {
            let problem =
                format!("the first point of a schedule must be at step 0, found step {}", points[0].0);
            return Err(Problem::new(problem).suggest(format!("put [0, {}] first", points[0].1)));
        }
        match points.windows(2).position(|pair| pair[1].0 <= pair[0].0) {
            Some(index) => Err(Problem::new(format!(
                "steps of a schedule must increase, but step {} follows step {}",
                points[index + 1].0,
                points[index].0
            ))),
            None => Ok(()),
        }
    }
}

impl From<f64> for ScheduleSpec {
    fn from(value: f64) -> Self {
        Self::Constant(value)
    }
}

impl Setting<ScheduleSpec> for f64 {
    fn into_setting(self) -> ScheduleSpec {
        ScheduleSpec::Constant(self)
    }
}

impl<const N: usize> Setting<ScheduleSpec> for [(u64, f64); N] {
    fn into_setting(self) -> ScheduleSpec {
        ScheduleSpec::Piecewise(self.to_vec())
    }
}

impl Setting<ScheduleSpec> for Vec<(u64, f64)> {
    fn into_setting(self) -> ScheduleSpec {
        ScheduleSpec::Piecewise(self)
    }
}

impl OptionValue for ScheduleSpec {
    fn type_name() -> String {
        "number or schedule [[0, v0], [env_steps, v1], …]".into()
    }

    fn from_value(value: &Value) -> Result<Self, Problem> {
        const EXPECTED: &str = "a number or a schedule [[0, v0], [env_steps, v1], …]";
        let Value::Array(items) = value else {
            return match value {
                Value::Number(_) | Value::String(_) => f64::from_value(value).map(Self::Constant),
                _ => Err(Problem::expected(EXPECTED, value)),
            };
        };
        let points = items.iter().enumerate().map(|(index, item)| match item.as_array().map(Vec::as_slice) {
            Some([step, value]) => point(step, value)
                .map_err(|p| Problem { problem: format!("point {}: {}", index + 1, p.problem), ..p }),
            _ => Err(Problem::expected(EXPECTED, value)),
        });
        points.collect::<Result<_, _>>().map(Self::Piecewise)
    }

    fn to_value(&self) -> Value {
        match self {
            Self::Constant(value) => json!(value),
            Self::Piecewise(points) => json!(points),
        }
    }

    fn check(&self, bounds: &Bounds) -> Result<(), Problem> {
        match self {
            Self::Constant(value) => bounds.check(*value),
            Self::Piecewise(points) => {
                points.iter().try_for_each(|(_, value)| bounds.check(*value))?;
                Self::check_points(points)
            }
        }
    }

    fn schema(bounds: &Bounds) -> Value {
        let value = f64::schema(bounds);
        let step = json!({ "type": "integer", "minimum": 0 });
        let point = json!({ "type": "array", "prefixItems": [step, value], "minItems": 2, "maxItems": 2 });
        json!({ "anyOf": [value, { "type": "array", "items": point, "minItems": 2 }] })
    }
}

fn point(step: &Value, value: &Value) -> Result<(u64, f64), Problem> {
    Ok((u64::from_value(step)?, f64::from_value(value)?))
}

/// What is done to rewards before learning; episode returns are always reported unclipped.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum ClipRewards {
    /// Nothing.
    Off,
    /// Only the sign is kept: −1, 0 or 1.
    Sign,
    /// Clipped to ±the value.
    At(f64),
}

impl Setting<ClipRewards> for bool {
    fn into_setting(self) -> ClipRewards {
        if self { ClipRewards::Sign } else { ClipRewards::Off }
    }
}

impl Setting<ClipRewards> for f64 {
    fn into_setting(self) -> ClipRewards {
        ClipRewards::At(self)
    }
}

impl OptionValue for ClipRewards {
    fn type_name() -> String {
        "true, false, number or none".into()
    }

    fn from_value(value: &Value) -> Result<Self, Problem> {
        match value {
            Value::Null | Value::Bool(false) => Ok(Self::Off),
            Value::String(text) if matches!(text.as_str(), "none" | "None") => Ok(Self::Off),
            Value::Bool(true) => Ok(Self::Sign),
            Value::Number(_) => f64::from_value(value).map(Self::At),
            _ => Err(Problem::expected("true, false, a number or none", value)),
        }
    }

    fn to_value(&self) -> Value {
        match self {
            Self::Off => json!(false),
            Self::Sign => json!(true),
            Self::At(bound) => json!(bound),
        }
    }

    fn check(&self, bounds: &Bounds) -> Result<(), Problem> {
        match self {
            Self::At(bound) => bounds.check(*bound),
            Self::Off | Self::Sign => Ok(()),
        }
    }

    fn schema(bounds: &Bounds) -> Value {
        json!({ "anyOf": [{ "type": "boolean" }, f64::schema(bounds), { "enum": [null, "none"] }] })
    }
}

/// Steps that every environment contributes to one iteration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RolloutFragmentLength {
    /// As many as the train batch needs, rounded up.
    Auto,
    /// This many.
    Steps(usize),
}

impl Setting<RolloutFragmentLength> for usize {
    fn into_setting(self) -> RolloutFragmentLength {
        RolloutFragmentLength::Steps(self)
    }
}

impl OptionValue for RolloutFragmentLength {
    fn type_name() -> String {
        "integer or \"auto\"".into()
    }

    fn from_value(value: &Value) -> Result<Self, Problem> {
        match value {
            Value::String(text) if text == "auto" => Ok(Self::Auto),
            Value::Number(_) => usize::from_value(value).map(Self::Steps),
            _ => Err(Problem::expected("an integer or \"auto\"", value)),
        }
    }

    fn to_value(&self) -> Value {
        match self {
            Self::Auto => json!("auto"),
            Self::Steps(steps) => json!(steps),
        }
    }

    fn check(&self, bounds: &Bounds) -> Result<(), Problem> {
        match self {
            Self::Auto => Ok(()),
            Self::Steps(steps) => steps.check(bounds),
        }
    }

    fn schema(bounds: &Bounds) -> Value {
        json!({ "anyOf": [{ "const": "auto" }, usize::schema(bounds)] })
    }
}
