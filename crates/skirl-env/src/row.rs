//! One row over all leaves of a space: what a single environment reads its action from and writes its observation to.

use crate::column::{ColumnMut, ColumnRef, Element};
use crate::error::{EnvError, Place};

/// A writable row: the place for one observation.
#[derive(Debug)]
pub struct Row<'a> {
    leaves: Leaves<ColumnMut<'a>>,
}

/// A readable row: one action (or one observation).
#[derive(Debug)]
pub struct RowRef<'a> {
    leaves: Leaves<ColumnRef<'a>>,
}

/// Most spaces have one leaf, which then costs no allocation.
#[derive(Debug)]
enum Leaves<T> {
    One(T),
    Many(Vec<T>),
}

impl<T> Leaves<T> {
    fn as_slice(&self) -> &[T] {
        match self {
            Leaves::One(leaf) => std::slice::from_ref(leaf),
            Leaves::Many(leaves) => leaves,
        }
    }

    fn as_mut_slice(&mut self) -> &mut [T] {
        match self {
            Leaves::One(leaf) => std::slice::from_mut(leaf),
            Leaves::Many(leaves) => leaves,
        }
    }
}

impl<'a> Row<'a> {
    /// A row of given leaves, each holding exactly the elements of one value.
    pub fn new(leaves: Vec<ColumnMut<'a>>) -> Row<'a> {
        Row { leaves: Leaves::Many(leaves) }
    }

    /// Row `row` of the columns; `sizes[leaf]` elements each.
    pub fn of(columns: &'a mut [ColumnMut<'_>], sizes: &[usize], row: usize) -> Result<Row<'a>, EnvError> {
        check_leaf_count(sizes.len(), columns.len())?;
        let cut = |(leaf, (column, &size)): (usize, (&'a mut ColumnMut<'_>, &usize))| {
            let found = column.len();
            column
                .slice_mut(row * size..(row + 1) * size)
                .ok_or_else(|| too_short(leaf, (row + 1) * size, found))
        };
        let leaves = columns.iter_mut().zip(sizes).enumerate();
        Ok(Row { leaves: collect_leaves(leaves.map(cut))? })
    }

    /// Number of leaves.
    pub fn num_leaves(&self) -> usize {
        self.leaves.as_slice().len()
    }

    /// The leaves for reading.
    pub fn as_ref(&self) -> RowRef<'_> {
        let mut leaves = self.leaves.as_slice().iter().map(ColumnMut::as_ref);
        let leaves = match (leaves.len(), leaves.next()) {
            (1, Some(leaf)) => Leaves::One(leaf),
            _ => Leaves::Many(self.leaves.as_slice().iter().map(ColumnMut::as_ref).collect()),
        };
        RowRef { leaves }
    }

    /// Borrows the row again, for a shorter time.
    pub fn reborrow(&mut self) -> Row<'_> {
        let leaves = match &mut self.leaves {
            Leaves::One(leaf) => Leaves::One(leaf.reborrow()),
            Leaves::Many(leaves) => Leaves::Many(leaves.iter_mut().map(ColumnMut::reborrow).collect()),
        };
        Row { leaves }
    }

    /// All leaves.
    pub(crate) fn columns_mut(&mut self) -> &mut [ColumnMut<'a>] {
        self.leaves.as_mut_slice()
    }

    /// One leaf, whatever its type.
    pub fn column(&mut self, leaf: usize) -> Result<&mut ColumnMut<'a>, EnvError> {
        let found = self.num_leaves();
        self.leaves.as_mut_slice().get_mut(leaf).ok_or_else(|| no_leaf(leaf, found))
    }

    /// The elements of a leaf of type `T`.
    pub fn values<T: Element>(&mut self, leaf: usize) -> Result<&mut [T], EnvError> {
        let column = self.column(leaf)?;
        let found = column.dtype();
        column.typed_mut().ok_or_else(|| wrong_dtype("observation", leaf, found, T::DTYPE))
    }

    /// The elements of an `f32` leaf.
    pub fn f32(&mut self, leaf: usize) -> Result<&mut [f32], EnvError> {
        self.values(leaf)
    }

    /// The elements of an `f64` leaf.
    pub fn f64(&mut self, leaf: usize) -> Result<&mut [f64], EnvError> {
        self.values(leaf)
    }

    /// The elements of an `i64` leaf (`Discrete`, `MultiDiscrete`).
    pub fn i64(&mut self, leaf: usize) -> Result<&mut [i64], EnvError> {
        self.values(leaf)
    }

    /// The elements of an `i8` leaf (`MultiBinary`).
    pub fn i8(&mut self, leaf: usize) -> Result<&mut [i8], EnvError> {
        self.values(leaf)
    }

    /// The elements of a `u8` leaf (images).
    pub fn u8(&mut self, leaf: usize) -> Result<&mut [u8], EnvError> {
        self.values(leaf)
    }

    /// Writes an observation that is one `f32` box.
    pub fn set(&mut self, values: &[f32]) -> Result<(), EnvError> {
        let leaves = self.num_leaves();
        if leaves != 1 {
            return Err(wrong_shape(
                "observation",
                "1 leaf for Row::set (set_leaf writes one of several)",
                leaves,
            ));
        }
        self.set_leaf(0, values)
    }

    /// Writes one leaf.
    pub fn set_leaf<T: Element>(&mut self, leaf: usize, values: &[T]) -> Result<(), EnvError> {
        let out = self.values::<T>(leaf)?;
        if out.len() != values.len() {
            let found = format!("[{}]", values.len());
            return Err(wrong_shape(&format!("observation leaf {leaf}"), &format!("[{}]", out.len()), found));
        }
        out.copy_from_slice(values);
        Ok(())
    }

    /// Writes an observation that is one `Discrete`.
    pub fn set_discrete(&mut self, value: i64) -> Result<(), EnvError> {
        self.set_leaf(0, &[value])
    }
}

impl<'a> RowRef<'a> {
    /// A row of given leaves, each holding exactly the elements of one value.
    pub fn new(leaves: Vec<ColumnRef<'a>>) -> RowRef<'a> {
        RowRef { leaves: Leaves::Many(leaves) }
    }

    /// Row `row` of the columns; `sizes[leaf]` elements each.
    pub fn of(columns: &[ColumnRef<'a>], sizes: &[usize], row: usize) -> Result<RowRef<'a>, EnvError> {
        check_leaf_count(sizes.len(), columns.len())?;
        let cut = |(leaf, (column, &size)): (usize, (&ColumnRef<'a>, &usize))| {
            column
                .slice(row * size..(row + 1) * size)
                .ok_or_else(|| too_short(leaf, (row + 1) * size, column.len()))
        };
        let leaves = columns.iter().zip(sizes).enumerate();
        Ok(RowRef { leaves: collect_leaves(leaves.map(cut))? })
    }

    /// The leaves.
    pub fn columns(&self) -> &[ColumnRef<'a>] {
        self.leaves.as_slice()
    }

    /// The elements of a leaf of type `T`.
    pub fn values<T: Element>(&self, leaf: usize) -> Result<&'a [T], EnvError> {
        let column = self.columns().get(leaf).ok_or_else(|| no_leaf(leaf, self.columns().len()))?;
        column.typed().ok_or_else(|| wrong_dtype("action", leaf, column.dtype(), T::DTYPE))
    }

    /// The value of a `Discrete` action.
    pub fn discrete(&self) -> Result<i64, EnvError> {
        match self.values::<i64>(0)? {
            &[value] => Ok(value),
            values => Err(wrong_shape("action", "one integer", format!("[{}]", values.len()))),
        }
    }

    /// The value of a `Discrete` action, checked to be one of `0, …, n - 1`.
    pub fn discrete_below(&self, n: i64) -> Result<i64, EnvError> {
        let value = self.discrete()?;
        if (0..n).contains(&value) {
            return Ok(value);
        }
        Err(EnvError::invalid_action(value, format!("an integer in 0..={}", n - 1)))
    }

    /// The elements of an `f32` leaf.
    pub fn f32(&self, leaf: usize) -> Result<&'a [f32], EnvError> {
        self.values(leaf)
    }

    /// The elements of an `f64` leaf.
    pub fn f64(&self, leaf: usize) -> Result<&'a [f64], EnvError> {
        self.values(leaf)
    }

    /// The elements of an `i64` leaf (`Discrete`, `MultiDiscrete`).
    pub fn i64(&self, leaf: usize) -> Result<&'a [i64], EnvError> {
        self.values(leaf)
    }

    /// The elements of an `i8` leaf (`MultiBinary`).
    pub fn i8(&self, leaf: usize) -> Result<&'a [i8], EnvError> {
        self.values(leaf)
    }
}

impl std::fmt::Display for RowRef<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        const SHOWN: usize = 8;
        let leaf_text = |column: &ColumnRef<'_>| {
            let mut values: Vec<String> = (0..column.len().min(SHOWN))
                .filter_map(|i| column.get_f64(i))
                .map(|v| v.to_string())
                .collect();
            if column.len() > SHOWN {
                values.push("…".to_owned());
            }
            format!("[{}]", values.join(", "))
        };
        formatter.write_str(&self.columns().iter().map(leaf_text).collect::<Vec<_>>().join(" "))
    }
}

fn collect_leaves<T>(
    mut leaves: impl ExactSizeIterator<Item = Result<T, EnvError>>,
) -> Result<Leaves<T>, EnvError> {
    match (leaves.len(), leaves.next()) {
        (1, Some(leaf)) => Ok(Leaves::One(leaf?)),
        (_, first) => first.into_iter().chain(leaves).collect::<Result<_, _>>().map(Leaves::Many),
    }
}

fn check_leaf_count(expected: usize, found: usize) -> Result<(), EnvError> {
    if expected == found {
        return Ok(());
    }
    Err(wrong_shape("batch", &format!("{expected} columns, one for each leaf"), found))
}

fn no_leaf(leaf: usize, leaves: usize) -> EnvError {
    wrong_shape(&format!("leaf {leaf}"), "an existing leaf", format!("a space of {leaves} leaves"))
}

fn too_short(leaf: usize, expected: usize, found: usize) -> EnvError {
    wrong_shape(&format!("column of leaf {leaf}"), &format!("at least {expected} elements"), found)
}

fn wrong_shape(field: &str, expected: &str, found: impl std::fmt::Display) -> EnvError {
    EnvError::WrongShape {
        field: field.to_owned(),
        expected: expected.to_owned(),
        found: found.to_string(),
        place: Place::default(),
    }
}

/// `space` is the type that the column has (its space's), `code` the type that the environment's code asked for.
fn wrong_dtype(what: &str, leaf: usize, space: crate::DType, code: crate::DType) -> EnvError {
    EnvError::WrongDType {
        field: format!("{what} leaf {leaf}"),
        expected: space,
        found: code,
        place: Place::default(),
    }
}
