//! The skirl engine.

pub mod pipeline;
