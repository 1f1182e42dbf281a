//! One file per command.

pub(crate) mod completions;
pub(crate) mod config;
pub(crate) mod evaluate;
pub(crate) mod example;
pub(crate) mod explain;
pub(crate) mod listings;
pub(crate) mod man;
pub(crate) mod train;
pub(crate) mod watch;
