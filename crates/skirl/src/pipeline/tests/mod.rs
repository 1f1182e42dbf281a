//! Tests of the pipeline, one file per promise.

mod access;
mod checks;
mod di_engine_defects;
mod halves;
mod overhead;
mod policies;
mod state;
mod stops;
mod toys;
mod wrappers;
