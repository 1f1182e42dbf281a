//! Errors of spaces and of values that do not belong to them.

use crate::dtype::DType;

/// What is wrong with a space, or with a value of it.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum SpaceError {
    /// The number of columns differs from the number of leaves.
    #[error("expected {expected} columns, one for each leaf of the space, found {found}")]
    WrongLeafCount {
        /// Leaves of the space.
        expected: usize,
        /// Columns given.
        found: usize,
    },
    /// A column has another type than its leaf.
    #[error("leaf {leaf}: expected dtype {expected}, found {found}")]
    WrongDType {
        /// Path of the leaf.
        leaf: String,
        /// The leaf's type.
        expected: DType,
        /// The column's type.
        found: DType,
    },
    /// A column is too short or too long.
    #[error("leaf {leaf}: expected {expected} elements, found {found}")]
    WrongLength {
        /// Path of the leaf.
        leaf: String,
        /// Elements needed.
        expected: usize,
        /// Elements given.
        found: usize,
    },
    /// A value lies outside its bounds, or is NaN.
    #[error("leaf {leaf}, index {index}: {value} lies outside [{low}, {high}]")]
    OutOfBounds {
        /// Path of the leaf.
        leaf: String,
        /// Index inside the row, C order.
        index: usize,
        /// The value.
        value: f64,
        /// Lower bound.
        low: f64,
        /// Upper bound.
        high: f64,
    },
    /// The space itself is senseless.
    #[error("{space} space{place}: {problem}")]
    Invalid {
        /// Kind of space.
        space: &'static str,
        /// Where in the tree, as ` at "camera/0"`, or empty.
        place: String,
        /// What is wrong, and what is expected.
        problem: String,
    },
    /// A space's JSON form cannot be read.
    #[error("space in JSON{place}: {problem}")]
    Json {
        /// Where in the tree, as ` at "camera/0"`, or empty.
        place: String,
        /// What is wrong, and what is expected.
        problem: String,
    },
}
