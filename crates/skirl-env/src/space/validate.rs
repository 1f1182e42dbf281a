//! Whether a space makes sense.

use super::leaves::join;
use super::{BoxSpace, MAX_ELEMENTS, MultiDiscrete, Space, SpaceError};

/// Deepest nesting accepted, so that reading a hostile file cannot exhaust the stack.
pub(super) const MAX_DEPTH: usize = 64;

impl Space {
    /// Checks sizes, bounds and names. Everything that runs an environment does so once.
    pub fn validate(&self) -> Result<(), SpaceError> {
        self.validate_at("", 0)
    }

    fn validate_at(&self, path: &str, depth: usize) -> Result<(), SpaceError> {
        let problem = match self {
            _ if depth > MAX_DEPTH => Some(format!("nested more than {MAX_DEPTH} deep")),
            Space::Discrete(space) => range_problem(space.n, space.start),
            Space::MultiDiscrete(space) => multi_discrete_problem(space),
            Space::MultiBinary { shape } => shape_problem(shape).err(),
            Space::Box(space) => box_problem(space),
            Space::Dict(parts) => dict_problem(parts),
            Space::Tuple(parts) if parts.is_empty() => Some("has no parts, expected at least one".to_owned()),
            Space::Tuple(_) => None,
        };
        if let Some(problem) = problem {
            return Err(SpaceError::Invalid { space: self.kind(), place: place(path), problem });
        }
        match self {
            Space::Dict(parts) => {
                parts.iter().try_for_each(|(name, part)| part.validate_at(&join(path, name), depth + 1))
            }
            Space::Tuple(parts) => parts
                .iter()
                .enumerate()
                .try_for_each(|(index, part)| part.validate_at(&join(path, &index.to_string()), depth + 1)),
            _ => Ok(()),
        }
    }
}

/// A path as ` at "camera/0"`, or empty.
pub(super) fn place(path: &str) -> String {
    if path.is_empty() { String::new() } else { format!(" at \"{path}\"") }
}

/// Number of elements of a shape, if it is within bounds.
pub(super) fn shape_problem(shape: &[usize]) -> Result<usize, String> {
    shape
        .iter()
        .try_fold(1_usize, |size, &dim| size.checked_mul(dim))
        .filter(|&size| size <= MAX_ELEMENTS)
        .ok_or_else(|| format!("shape {shape:?} has more than {MAX_ELEMENTS} elements"))
}

fn range_problem(n: i64, start: i64) -> Option<String> {
    if n < 1 {
        return Some(format!("n is {n}, expected at least 1"));
    }
    if n > MAX_ELEMENTS as i64 {
        return Some(format!("n is {n}, expected at most {MAX_ELEMENTS}"));
    }
    start.checked_add(n).is_none().then(|| format!("start {start} plus n {n} overflows 64 bits"))
}

fn multi_discrete_problem(space: &MultiDiscrete) -> Option<String> {
    let size = match shape_problem(&space.shape) {
        Ok(size) => size,
        Err(problem) => return Some(problem),
    };
    if space.nvec.len() != size || space.start.len() != size {
        return Some(format!(
            "nvec has {} and start {} elements, expected {size} for shape {:?}",
            space.nvec.len(),
            space.start.len(),
            space.shape
        ));
    }
    let total = space.nvec.iter().try_fold(0_i64, |sum, &n| sum.checked_add(n));
    if total.is_none_or(|total| total > MAX_ELEMENTS as i64) {
        return Some(format!("nvec sums to more than {MAX_ELEMENTS}"));
    }
    space.nvec.iter().zip(&space.start).find_map(|(&n, &start)| range_problem(n, start))
}

fn box_problem(space: &BoxSpace) -> Option<String> {
    let size = match shape_problem(&space.shape) {
        Ok(size) => size,
        Err(problem) => return Some(problem),
    };
    if space.low.len() != size || space.high.len() != size {
        return Some(format!(
            "low has {} and high {} elements, expected {size} for shape {:?}",
            space.low.len(),
            space.high.len(),
            space.shape
        ));
    }
    let (smallest, largest) = space.dtype.range();
    let bad = |&(&low, &high): &(&f64, &f64)| {
        let representable = |bound: f64| bound.is_infinite() || (smallest <= bound && bound <= largest);
        low.is_nan() || high.is_nan() || low > high || !representable(low) || !representable(high)
    };
    let index = space.low.iter().zip(&space.high).position(|bounds| bad(&bounds))?;
    Some(format!(
        "bounds of element {index} are [{}, {}], expected low ≤ high, no NaN, inside the range of {}",
        space.low[index], space.high[index], space.dtype
    ))
}

fn dict_problem(parts: &[(String, Space)]) -> Option<String> {
    if parts.is_empty() {
        return Some("has no parts, expected at least one".to_owned());
    }
    let unsorted = parts.windows(2).find(|pair| pair[0].0 >= pair[1].0)?;
    Some(format!(
        "keys must be sorted and distinct, found \"{}\" before \"{}\"",
        unsorted[0].0, unsorted[1].0
    ))
}
