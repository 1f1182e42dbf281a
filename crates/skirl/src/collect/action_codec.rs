//! Module-to-env connector: from the distribution's draws to actions that the environment takes.

use skirl_env::{Column, ColumnMut, DType, Leaf, Space};

use crate::contract::Actions;
use crate::error::Error;

/// What happens to continuous actions on their way to the environment (RLlib: `normalize_actions`, `clip_actions`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ActionRules {
    /// The module acts in `[-1, 1]`; stretched to the bounds of the space, then clipped to them. Bounded boxes only.
    pub normalize: bool,
    /// Clip to the bounds of the space.
    pub clip: bool,
}

/// The conversion for one action space.
#[derive(Debug, Clone)]
pub struct ActionCodec {
    leaf: Leaf,
    kind: Kind,
}

#[derive(Debug, Clone)]
enum Kind {
    /// `start[i]` is added to sub-action `i`.
    Discrete {
        start: Vec<i64>,
    },
    Binary,
    Continuous {
        low: Vec<f32>,
        high: Vec<f32>,
        stretch: bool,
        clip: bool,
    },
}

impl ActionCodec {
    /// Errors where the space is one that no distribution here serves.
    pub fn new(space: &Space, rules: ActionRules) -> Result<Self, Error> {
        let leaves = space.leaves();
        let [leaf] = leaves.as_slice() else { return Err(unsupported(space)) };
        let kind = match space {
            Space::Discrete(discrete) => Kind::Discrete { start: vec![discrete.start] },
            Space::MultiDiscrete(multi) => Kind::Discrete { start: multi.start.clone() },
            Space::MultiBinary { .. } => Kind::Binary,
            Space::Box(bounds) if matches!(bounds.dtype, DType::F32 | DType::F64) => {
                let low: Vec<f32> = bounds.low.iter().map(|&value| value as f32).collect();
                let high: Vec<f32> = bounds.high.iter().map(|&value| value as f32).collect();
                let bounded = low.iter().chain(&high).all(|bound| bound.is_finite());
                let stretch = rules.normalize && bounded;
                Kind::Continuous { low, high, stretch, clip: rules.clip || stretch }
            }
            _ => return Err(unsupported(space)),
        };
        Ok(Self { leaf: leaf.clone(), kind })
    }

    /// A column for `rows` actions as the environment takes them.
    pub fn column(&self, rows: usize) -> Column {
        Column::zeros(self.leaf.dtype, rows * self.leaf.size())
    }

    /// Converts rows `[start, start + rows)` of `actions` into the front of `to`.
    pub fn encode(&self, actions: &Actions, start: usize, rows: usize, to: &mut Column) {
        let width = self.leaf.size().max(1);
        let range = start * width..(start + rows) * width;
        match (&self.kind, actions, to.as_mut()) {
            (Kind::Discrete { start: offsets }, Actions::Discrete { data, .. }, ColumnMut::I64(to)) => {
                add_offsets(&data[range], offsets, to);
            }
            (Kind::Binary, Actions::Discrete { data, .. }, ColumnMut::I8(to)) => {
                to.iter_mut().zip(&data[range]).for_each(|(to, &from)| *to = i8::from(from != 0));
            }
            (Kind::Continuous { .. }, Actions::Continuous { data, .. }, ColumnMut::F32(to)) => {
                self.bound(&data[range], |index, value| to[index] = value);
            }
            (Kind::Continuous { .. }, Actions::Continuous { data, .. }, ColumnMut::F64(to)) => {
                self.bound(&data[range], |index, value| to[index] = f64::from(value));
            }
            _ => debug_assert!(false, "the action column was made by another codec"),
        }
    }

    fn bound(&self, from: &[f32], mut put: impl FnMut(usize, f32)) {
        let Kind::Continuous { low, high, stretch, clip } = &self.kind else { return };
        let width = low.len().max(1);
        for (index, &value) in from.iter().enumerate() {
            let (low, high) = (low[index % width], high[index % width]);
            let stretched = if *stretch { low + (value + 1.0) * (0.5 * (high - low)) } else { value };
            put(index, if *clip { stretched.clamp(low, high) } else { stretched });
        }
    }
}

fn add_offsets(from: &[i64], offsets: &[i64], to: &mut [i64]) {
    if let [offset] = offsets {
        to.iter_mut().zip(from).for_each(|(to, &from)| *to = from + offset);
        return;
    }
    for (to, from) in to.chunks_exact_mut(offsets.len().max(1)).zip(from.chunks_exact(offsets.len().max(1))) {
        to.iter_mut().zip(from).zip(offsets).for_each(|((to, from), offset)| *to = from + offset);
    }
}

fn unsupported(space: &Space) -> Error {
    Error::ActionSpace { found: space.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn floats(codec: &ActionCodec, values: &[f32]) -> Vec<f32> {
        let actions = Actions::Continuous { data: values.to_vec(), width: 1 };
        let mut column = codec.column(values.len());
        codec.encode(&actions, 0, values.len(), &mut column);
        match column {
            Column::F32(values) => values,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn bounded_boxes_are_stretched_and_clipped() {
        let space = Space::boxed(-2.0, 4.0, &[1], DType::F32);
        let codec = ActionCodec::new(&space, ActionRules { normalize: true, clip: false }).unwrap();
        assert_eq!(floats(&codec, &[-1.0, 0.0, 1.0, 3.0, -9.0]), [-2.0, 1.0, 4.0, 4.0, -2.0]);
        let half = Space::boxed(0.0, f64::INFINITY, &[1], DType::F32);
        let codec = ActionCodec::new(&half, ActionRules { normalize: true, clip: false }).unwrap();
        assert_eq!(floats(&codec, &[-3.0]), [-3.0], "a half-bounded box is left alone");
        let raw = ActionCodec::new(&space, ActionRules { normalize: false, clip: false }).unwrap();
        assert_eq!(floats(&raw, &[7.0]), [7.0]);
    }

    #[test]
    fn discrete_actions_start_where_the_space_starts() {
        let codec =
            ActionCodec::new(&Space::discrete_from(3, -1), ActionRules { normalize: true, clip: true })
                .unwrap();
        let actions = Actions::Discrete { data: vec![0, 2], width: 1 };
        let mut column = codec.column(2);
        codec.encode(&actions, 0, 2, &mut column);
        assert_eq!(column, Column::I64(vec![-1, 1]));
    }

    #[test]
    fn a_space_without_a_distribution_is_an_error() {
        let space = Space::tuple(vec![Space::discrete(2), Space::discrete(3)]);
        assert!(ActionCodec::new(&space, ActionRules { normalize: true, clip: true }).is_err());
    }
}
