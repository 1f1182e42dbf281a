//! Spaces as text, in the notation of Gymnasium.

use std::fmt::{self, Display, Formatter};

use super::{BoxSpace, Discrete, MultiDiscrete, Space};
use crate::dtype::DType;

/// `Discrete(2)`, `Box(-inf, inf, (4,), float32)`, `Dict('a': Discrete(3), 'b': MultiBinary(2))`.
///
/// Bounds that differ from element to element are shown by the outermost ones; `{:#}` shows each, as Gymnasium does.
impl Display for Space {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Space::Discrete(Discrete { n, start: 0 }) => write!(f, "Discrete({n})"),
            Space::Discrete(Discrete { n, start }) => write!(f, "Discrete({n}, start={start})"),
            Space::MultiDiscrete(space) => space.fmt(f),
            Space::MultiBinary { shape } => match shape.as_slice() {
                [n] => write!(f, "MultiBinary({n})"),
                _ => write!(f, "MultiBinary({})", tuple(shape)),
            },
            Space::Box(space) => space.fmt(f),
            Space::Dict(parts) => {
                f.write_str("Dict(")?;
                separated(f, parts, |f, (name, space)| {
                    write!(f, "'{name}': ")?;
                    space.fmt(f)
                })?;
                f.write_str(")")
            }
            Space::Tuple(parts) => {
                f.write_str("Tuple(")?;
                separated(f, parts, |f, space| space.fmt(f))?;
                f.write_str(")")
            }
        }
    }
}

impl Display for MultiDiscrete {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "MultiDiscrete({}", array(&self.nvec, &self.shape))?;
        if self.start.iter().any(|&start| start != 0) {
            write!(f, ", start={}", array(&self.start, &self.shape))?;
        }
        f.write_str(")")
    }
}

impl Display for BoxSpace {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let (low, high) = match f.alternate() {
            true => (self.each(&self.low), self.each(&self.high)),
            false => (self.outermost(&self.low, f64::min), self.outermost(&self.high, f64::max)),
        };
        write!(f, "Box({low}, {high}, {}, {})", tuple(&self.shape), self.dtype)
    }
}

impl BoxSpace {
    fn outermost(&self, bounds: &[f64], choose: fn(f64, f64) -> f64) -> String {
        self.number(bounds.iter().copied().reduce(choose).unwrap_or(f64::NAN))
    }

    fn each(&self, bounds: &[f64]) -> String {
        match bounds {
            [first, rest @ ..] if rest.iter().all(|bound| bound == first) => self.number(*first),
            _ => array(&bounds.iter().map(|&bound| self.number(bound)).collect::<Vec<_>>(), &self.shape),
        }
    }

    /// A bound in the precision of the elements: `4.8`, not `4.800000190734863`.
    fn number(&self, bound: f64) -> String {
        match self.dtype {
            DType::F32 => format!("{:?}", bound as f32),
            DType::F64 => format!("{bound:?}"),
            _ => format!("{bound}"),
        }
    }
}

fn separated<T>(
    f: &mut Formatter<'_>,
    parts: &[T],
    write: impl Fn(&mut Formatter<'_>, &T) -> fmt::Result,
) -> fmt::Result {
    parts.iter().enumerate().try_for_each(|(index, part)| {
        if index > 0 {
            f.write_str(", ")?;
        }
        write(f, part)
    })
}

/// `()`, `(4,)`, `(2, 3)`.
fn tuple(shape: &[usize]) -> String {
    match shape {
        [only] => format!("({only},)"),
        _ => format!("({})", shape.iter().map(usize::to_string).collect::<Vec<_>>().join(", ")),
    }
}

/// `[2 3]`, or `[[2 3] [4 5]]` for more dimensions.
fn array<T: Display>(values: &[T], shape: &[usize]) -> String {
    let (rows, inner) = match shape {
        [rows, inner @ ..] if !inner.is_empty() => (*rows, inner),
        _ => return format!("[{}]", values.iter().map(T::to_string).collect::<Vec<_>>().join(" ")),
    };
    let rows = values.chunks((values.len() / rows.max(1)).max(1)).map(|row| array(row, inner));
    format!("[{}]", rows.collect::<Vec<_>>().join(" "))
}
