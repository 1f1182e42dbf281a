//! The skirl engine.

pub mod report;
