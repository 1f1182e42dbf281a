//! Environment runners in processes of their own.
//!
//! The process that trains starts one worker for each environment runner. Weights and rollouts go through memory that both
//! have mapped ([`memory`], [`layout`]); everything else through a socket, as numbered frames ([`frame`]) of JSON with bytes
//! beside it ([`message`]). Nothing that a worker sends is executed: numbers are checked for their bounds, texts are shown.
//!
//! [`shard::RemoteRange`] is the range of environments as the engine sees it; it starts, watches, and replaces its
//! [`process`]. [`worker::serve`] is the other end. On systems without sockets between processes nothing of this is there,
//! and environments are stepped in the process that trains.
#![cfg(unix)]

pub mod death;
pub mod frame;
pub mod handover;
pub mod launch;
pub mod layout;
pub mod memory;
pub mod message;
pub mod output;
pub mod process;
mod recovery;
mod rollout;
mod round;
pub mod rows;
pub mod shard;
pub mod spread;
pub mod tables;
pub mod watched;
pub mod worker;

pub use launch::{Launch, launch};
pub use process::WorkerCommand;
