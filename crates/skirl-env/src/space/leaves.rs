//! The primitive parts of a space.

use super::Space;
use crate::column::Column;
use crate::dtype::DType;

/// One primitive part of a space, stored in one column.
#[derive(Debug, Clone, PartialEq)]
pub struct Leaf {
    /// Names and indices from the root, joined by `/`; empty for a space that is not nested.
    pub path: String,
    /// Element type of its column.
    pub dtype: DType,
    /// Shape of one value.
    pub shape: Vec<usize>,
    /// The primitive space.
    pub space: Space,
}

impl Leaf {
    /// Elements of one value: the product of the shape.
    pub fn size(&self) -> usize {
        self.shape.iter().product()
    }

    /// A zeroed column for `rows` values.
    pub fn column(&self, rows: usize) -> Column {
        Column::zeros(self.dtype, rows * self.size())
    }

    /// The path in quotes, or `""` for a space that is not nested.
    pub fn label(&self) -> String {
        format!("\"{}\"", self.path)
    }
}

impl Space {
    /// The primitive parts, depth first, in the order of keys and indices.
    pub fn leaves(&self) -> Vec<Leaf> {
        let mut leaves = Vec::new();
        self.push_leaves("", &mut leaves);
        leaves
    }

    /// Zeroed columns for `rows` values, one for each leaf.
    pub fn columns(&self, rows: usize) -> Vec<Column> {
        self.leaves().iter().map(|leaf| leaf.column(rows)).collect()
    }

    fn push_leaves(&self, path: &str, leaves: &mut Vec<Leaf>) {
        let (dtype, shape) = match self {
            Space::Discrete(_) => (DType::I64, Vec::new()),
            Space::MultiDiscrete(space) => (DType::I64, space.shape.clone()),
            Space::MultiBinary { shape } => (DType::I8, shape.clone()),
            Space::Box(space) => (space.dtype, space.shape.clone()),
            Space::Dict(parts) => {
                return parts.iter().for_each(|(name, part)| part.push_leaves(&join(path, name), leaves));
            }
            Space::Tuple(parts) => {
                let parts = parts.iter().enumerate();
                return parts
                    .for_each(|(index, part)| part.push_leaves(&join(path, &index.to_string()), leaves));
            }
        };
        leaves.push(Leaf { path: path.to_owned(), dtype, shape, space: self.clone() });
    }
}

/// Appends a name to a path.
pub(super) fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}/{name}") }
}
