//! The skirl engine.

pub mod config;
