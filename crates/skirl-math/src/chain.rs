//! Rows of experience, chained: each row is one decision of one agent and points to that agent's next row.
//!
//! Simultaneous, turn-based and single-agent experience all have this form; the rectangular `[T, B]` table is
//! the case in which row `t·B + b` points to row `(t+1)·B + b`.

use std::error::Error;
use std::fmt;

/// In [`Chain::next`]: this row has no successor in the table. What follows it is told by an [`EndRow`].
pub const END: u32 = u32::MAX;

/// What follows a row that has no successor in the table.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct EndRow {
    /// The row without successor.
    pub row: u32,
    /// Value of the state that followed: exactly 0 if the episode terminated; the value of the final
    /// observation if it was truncated; the value of the next observation if only the rollout was cut here.
    pub value: f32,
}

/// The successor of every row. Rows are in order of time, so a successor has a larger index.
#[derive(Debug, Clone, Copy)]
pub struct Chain<'a> {
    /// Per row: the same agent's next row, or [`END`].
    pub next: &'a [u32],
    /// One entry for every row whose successor is [`END`], in ascending order of row. Terminated rows are
    /// listed too (value 0): a forgotten entry must be an error, never a silent termination.
    pub ends: &'a [EndRow],
}

/// Why experience handed to this crate makes no sense.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChainError {
    /// A column has the wrong length.
    Length {
        /// Name of the column.
        column: &'static str,
        /// Number of rows of the table.
        expected: usize,
        /// Length of the column.
        found: usize,
    },
    /// A row's successor is not later than the row, or outside the table.
    Successor {
        /// The row.
        row: usize,
        /// Its successor.
        next: u32,
        /// Number of rows of the table.
        num_rows: usize,
    },
    /// A row without successor in the table has no entry in `ends`.
    MissingEnd {
        /// The row.
        row: usize,
    },
    /// An entry of `ends` names a row that has a successor (or does not exist), or the entries are not
    /// strictly ascending.
    StrayEnd {
        /// The row named by the entry.
        row: u32,
    },
}

impl fmt::Display for ChainError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Length { column, expected, found } => {
                write!(
                    f,
                    "column `{column}` has {found} rows, the table has {expected}: pass columns of one table"
                )
            }
            Self::Successor { row, next, num_rows } => write!(
                f,
                "row {row} names row {next} as its successor; expected a later row below {num_rows}, or END"
            ),
            Self::MissingEnd { row } => write!(
                f,
                "row {row} has no successor in the table and no end value: give 0 if the episode terminated, else the \
                 value of the observation that followed"
            ),
            Self::StrayEnd { row } => write!(
                f,
                "an end value is given for row {row}, which has a successor or is out of order: give one per row \
                 without successor, in ascending order"
            ),
        }
    }
}

impl Error for ChainError {}

/// Checks that a column has one element per row.
pub(crate) fn check_len(column: &'static str, expected: usize, found: usize) -> Result<(), ChainError> {
    if expected == found { Ok(()) } else { Err(ChainError::Length { column, expected, found }) }
}

impl Chain<'_> {
    /// Number of rows.
    pub fn num_rows(&self) -> usize {
        self.next.len()
    }

    /// Visits the rows from last to first, so that each row's successor has been visited before it, handing
    /// over the row and what follows it.
    ///
    /// # Errors
    /// Any [`ChainError`] of the chain itself; rows later than the faulty one have then been visited.
    pub fn visit_backwards(&self, mut visit: impl FnMut(usize, Successor)) -> Result<(), ChainError> {
        let num_rows = self.next.len();
        let mut ends = self.ends.iter().rev().peekable();
        for (row, &next) in self.next.iter().enumerate().rev() {
            let end = ends.next_if(|e| e.row as usize >= row);
            let successor = match end {
                Some(e) if e.row as usize != row || next != END => {
                    return Err(ChainError::StrayEnd { row: e.row });
                }
                Some(e) => Successor::End(e.value),
                None if next == END => return Err(ChainError::MissingEnd { row }),
                None if next as usize <= row || next as usize >= num_rows => {
                    return Err(ChainError::Successor { row, next, num_rows });
                }
                None => Successor::Row(next as usize),
            };
            visit(row, successor);
        }
        ends.next().map_or(Ok(()), |e| Err(ChainError::StrayEnd { row: e.row }))
    }
}

/// What follows a row.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Successor {
    /// The same agent's next row in the table.
    Row(usize),
    /// The end of the episode or of the rollout, with the value of what followed.
    End(f32),
}
