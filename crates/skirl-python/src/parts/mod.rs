//! The engine's parts for training loops of one's own.

mod batch;
mod episodes;
mod estimators;
mod runner;

pub(crate) use estimators::{discounted_returns, gae, vtrace};
pub(crate) use runner::NativeEnvRunner;
