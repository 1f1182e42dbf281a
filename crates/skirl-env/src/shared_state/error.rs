//! Errors of shared state.

/// What can go wrong with shared state.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum SharedStateError {
    /// A counter left the range of 64 bits.
    #[error(
        "counter `{counter}` would leave the range of 64-bit integers; nothing was added. Count in larger units, or start a new counter"
    )]
    Overflow {
        /// The counter.
        counter: String,
    },
    /// A value that JSON and checkpoints cannot hold.
    #[error("`{name}` was given {value} at index {index}, expected finite numbers; nothing was changed")]
    NonFinite {
        /// Store and parameter, or the sum.
        name: String,
        /// Where in the values.
        index: usize,
        /// The value.
        value: f64,
    },
    /// A tensor whose shape does not hold its elements.
    #[error(
        "parameter `{name}` has {found} elements, expected {expected} as its shape says; nothing was changed"
    )]
    WrongLength {
        /// Store and parameter.
        name: String,
        /// Elements of the shape.
        expected: usize,
        /// Elements given.
        found: usize,
    },
    /// Contributions to one sum that have different lengths.
    #[error(
        "all_reduce `{name}`: a contribution has {found} elements, expected {expected} as the first one of this step; nothing was changed. All contributions to one sum need the same length"
    )]
    UnequalLengths {
        /// The sum.
        name: String,
        /// Elements of the first contribution.
        expected: usize,
        /// Elements of this one.
        found: usize,
    },
    /// The other end does not answer.
    #[error("shared state cannot be reached: {reason}")]
    Unreachable {
        /// The transport's own words.
        reason: String,
    },
}
