//! Environments around environments.

mod time_limit;

pub use time_limit::{MultiTimeLimit, TimeLimit};
