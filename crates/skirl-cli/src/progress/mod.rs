//! What is shown of a run: a live table in a terminal, plain lines in a pipe, JSON for machines.

mod in_place;
mod json_lines;
mod live_table;
mod plain_lines;
mod row;
mod table;

pub(crate) use in_place::InPlace;
pub(crate) use json_lines::JsonLines;
pub(crate) use live_table::{LiveTable, block};
pub(crate) use plain_lines::PlainLines;
pub(crate) use row::{Cell, Start, cells};
pub(crate) use table::{columns, overview, terminal_width};

use skirl::report::TrainResult;

/// Shows the results of a run as they come.
pub(crate) trait Progress {
    /// Called after every iteration.
    fn result(&mut self, result: &TrainResult);

    /// Called once, when the run has ended, well or not.
    fn finish(&mut self);
}
