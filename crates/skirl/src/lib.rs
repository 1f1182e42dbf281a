//! The skirl engine: reinforcement learning from a configuration to results.
//!
//! The modules are rooms, in the order in which data walks through them; a room uses only rooms before it and
//! [`contract`]. The map with its reasons is `docs/architecture.md`.
//!
//! ```text
//! config ─▶ plan ─▶ collect ─▶ estimate ─▶ learn ─▶ publish ─▶ report
//!                      ▲                               │
//!                      └────── weights, version n ◀────┘
//! ```

pub mod callbacks;
pub mod config;
pub mod contract;
pub mod error;
pub mod pipeline;
pub mod workers;

pub mod plan;

pub mod publish;

pub mod collect;
pub mod estimate;
pub mod evaluate;
pub mod film;
pub mod learn;

pub mod checkpoint;
pub mod report;

pub mod algo;
pub mod algorithm;
#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub mod fuzzing;
pub mod run;

pub use algorithm::Algorithm;
pub use error::Error;
