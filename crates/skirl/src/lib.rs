//! The skirl engine.

pub mod checkpoint;
pub mod report;
