//! The skirl engine.
