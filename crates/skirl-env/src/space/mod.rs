//! Spaces: what observations and actions look like, as in Gymnasium.
//!
//! A nested space (`Dict`, `Tuple`) is a tree; its *leaves* are the primitive spaces, depth first, each stored in one
//! column. A batch of values of a space is therefore one column per leaf.

mod contains;
mod display;
mod error;
mod flatten;
mod json;
mod leaves;
mod sample;
mod validate;

pub use error::SpaceError;
pub use leaves::Leaf;

use crate::dtype::DType;

/// Most elements a space may have: larger ones are refused when a space is read or validated.
pub const MAX_ELEMENTS: usize = 1 << 31;

/// Integers `start, start + 1, …, start + n - 1`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Discrete {
    /// How many.
    pub n: i64,
    /// The smallest.
    pub start: i64,
}

/// An array of independent [`Discrete`] choices.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MultiDiscrete {
    /// How many values each element has, C order.
    pub nvec: Vec<i64>,
    /// The smallest value of each element, same length as `nvec`.
    pub start: Vec<i64>,
    /// Shape of the array.
    pub shape: Vec<usize>,
}

/// An array of numbers between bounds.
#[derive(Debug, Clone, PartialEq)]
pub struct BoxSpace {
    /// Lower bound of each element, C order; `-inf` where there is none.
    pub low: Vec<f64>,
    /// Upper bound of each element, C order; `inf` where there is none.
    pub high: Vec<f64>,
    /// Shape of the array.
    pub shape: Vec<usize>,
    /// Element type.
    pub dtype: DType,
}

/// A set of possible observations or actions.
#[derive(Debug, Clone, PartialEq)]
pub enum Space {
    /// One of `n` integers, stored as `i64`.
    Discrete(Discrete),
    /// An array of integers, stored as `i64`.
    MultiDiscrete(MultiDiscrete),
    /// An array of zeros and ones, stored as `i8`.
    MultiBinary {
        /// Shape of the array.
        shape: Vec<usize>,
    },
    /// An array of numbers between bounds, stored as its own type.
    Box(BoxSpace),
    /// Named spaces, sorted by name as Gymnasium sorts them.
    Dict(Vec<(String, Space)>),
    /// Spaces one after the other.
    Tuple(Vec<Space>),
}

impl Space {
    /// `0, 1, …, n - 1`.
    pub fn discrete(n: i64) -> Space {
        Space::discrete_from(n, 0)
    }

    /// `start, start + 1, …, start + n - 1`.
    pub fn discrete_from(n: i64, start: i64) -> Space {
        Space::Discrete(Discrete { n, start })
    }

    /// A vector whose element `i` is one of `0, …, nvec[i] - 1`.
    pub fn multi_discrete(nvec: &[i64]) -> Space {
        Space::MultiDiscrete(MultiDiscrete {
            nvec: nvec.to_vec(),
            start: vec![0; nvec.len()],
            shape: vec![nvec.len()],
        })
    }

    /// An array of zeros and ones.
    pub fn multi_binary(shape: &[usize]) -> Space {
        Space::MultiBinary { shape: shape.to_vec() }
    }

    /// An array whose elements all lie in `[low, high]`; infinities mean no bound.
    pub fn boxed(low: f64, high: f64, shape: &[usize], dtype: DType) -> Space {
        let size = shape.iter().product::<usize>().min(MAX_ELEMENTS);
        Space::box_bounds(&vec![low; size], &vec![high; size], shape, dtype)
    }

    /// An array with bounds for each element, C order. Bounds of an `F32` box are rounded to `f32`, as in Gymnasium.
    pub fn box_bounds(low: &[f64], high: &[f64], shape: &[usize], dtype: DType) -> Space {
        let round = |bound: &f64| if dtype == DType::F32 { f64::from(*bound as f32) } else { *bound };
        Space::Box(BoxSpace {
            low: low.iter().map(round).collect(),
            high: high.iter().map(round).collect(),
            shape: shape.to_vec(),
            dtype,
        })
    }

    /// Named spaces; they are sorted by name.
    pub fn dict<N: Into<String>>(parts: impl IntoIterator<Item = (N, Space)>) -> Space {
        let mut parts: Vec<(String, Space)> =
            parts.into_iter().map(|(name, space)| (name.into(), space)).collect();
        parts.sort_by(|left, right| left.0.cmp(&right.0));
        Space::Dict(parts)
    }

    /// Spaces one after the other.
    pub fn tuple(parts: impl IntoIterator<Item = Space>) -> Space {
        Space::Tuple(parts.into_iter().collect())
    }

    /// The kind, as Gymnasium names it.
    pub fn kind(&self) -> &'static str {
        match self {
            Space::Discrete(_) => "Discrete",
            Space::MultiDiscrete(_) => "MultiDiscrete",
            Space::MultiBinary { .. } => "MultiBinary",
            Space::Box(_) => "Box",
            Space::Dict(_) => "Dict",
            Space::Tuple(_) => "Tuple",
        }
    }
}
