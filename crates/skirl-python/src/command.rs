//! What belongs to the process: the `skirl` command, and closing everything at its end.

use std::ffi::OsString;

use pyo3::prelude::*;

use crate::held;

/// Closes every algorithm of the process. Python calls it before it ends.
#[pyfunction]
pub(crate) fn close_all(py: Python<'_>) {
    held::close_all(py);
}

/// Runs the `skirl` command with these arguments, the program's name first; its exit code.
#[pyfunction]
pub(crate) fn run_command(py: Python<'_>, args: Vec<OsString>) -> u8 {
    py.detach(|| skirl_cli::status_from(args).code())
}
