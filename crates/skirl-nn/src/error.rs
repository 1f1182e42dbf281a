//! The crate's error type.

/// What can go wrong in this crate. Every message says what was expected, what was found and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NnError {
    /// An instruction set was asked for by a name that does not exist.
    #[error("unknown instruction set `{name}`: expected one of avx512, avx2, portable")]
    UnknownIsa {
        /// The name that was given.
        name: String,
    },
    /// An instruction set was asked for that this processor does not have.
    #[error("instruction set `{wanted}` is not available on this processor: the best here is `{best}`")]
    IsaUnavailable {
        /// The name that was given.
        wanted: &'static str,
        /// The best one this processor has.
        best: &'static str,
    },
    /// A matrix, slice or buffer has the wrong size.
    #[error("{what}: expected {expected}, found {found}")]
    Shape {
        /// Which argument of which call.
        what: String,
        /// The size that was expected.
        expected: String,
        /// The size that was found.
        found: String,
    },
    /// A named tensor is absent.
    #[error("tensor `{name}` is missing: expected shape {shape:?}")]
    MissingTensor {
        /// Name of the tensor.
        name: String,
        /// Its logical shape.
        shape: Vec<usize>,
    },
    /// A tensor was given that the parameters do not have.
    #[error("tensor `{name}` is not a parameter here: expected only {expected}")]
    UnexpectedTensor {
        /// Name of the tensor.
        name: String,
        /// The names that are known.
        expected: String,
    },
    /// A tensor was given twice.
    #[error("tensor `{name}` is given more than once: expected each name once")]
    DuplicateTensor {
        /// Name of the tensor.
        name: String,
    },
    /// A tensor holds a value that is not finite.
    #[error("tensor `{name}` holds {value} at flat index {index}: expected only finite numbers")]
    NonFinite {
        /// Name of the tensor.
        name: String,
        /// Row-major index into the logical tensor.
        index: usize,
        /// The value, as text (`NaN`, `inf`, `-inf`).
        value: String,
    },
    /// `backward` was called with derived copies older than the parameters.
    #[error("the parameters changed after the last refresh: call `refresh()` before `backward`")]
    StaleParams,
    /// `backward` was called on a tape that no `forward` has filled.
    #[error("the tape holds no forward pass: call `forward` with it before `backward`")]
    EmptyTape,
    /// A specification cannot be built.
    #[error("{field}: expected {expected}, found {found}")]
    Spec {
        /// Name of the field.
        field: &'static str,
        /// What would be accepted.
        expected: String,
        /// What was found.
        found: String,
    },
    /// A serialised state is malformed.
    #[error("weights file: {reason}")]
    Format {
        /// What is wrong with it.
        reason: String,
    },
}

impl NnError {
    /// A [`NnError::Shape`] from anything that prints.
    pub fn shape(
        what: impl Into<String>,
        expected: impl std::fmt::Display,
        found: impl std::fmt::Display,
    ) -> Self {
        Self::Shape { what: what.into(), expected: expected.to_string(), found: found.to_string() }
    }
}
