//! One file per command.

pub(crate) mod config;
pub(crate) mod evaluate;
pub(crate) mod explain;
pub(crate) mod listings;
pub(crate) mod train;
