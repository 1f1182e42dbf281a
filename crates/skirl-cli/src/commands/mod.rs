//! One file per command.

pub(crate) mod config;
pub(crate) mod evaluate;
pub(crate) mod explain;
pub(crate) mod listings;
#[cfg(feature = "plot")]
pub(crate) mod plot;
#[cfg(feature = "plot")]
pub(crate) mod render;
pub(crate) mod train;
