//! Memory in which ranges in processes of their own leave the observations of a rollout.

use super::shard::RemoteShard;
use crate::contract::Observations;
use crate::error::Error;

/// One table for all ranges of a runner: between [`open`](Self::open) and [`close`](Self::close) each range writes its
/// own rows to it, in the order (step, environment) of the joined table, so that nothing is copied together afterwards.
pub trait SharedTable: Send {
    /// Prepares a table that nobody uses for a rollout of `steps` steps. Called while no range is at work. Where there is none
    /// to be had, ranges keep their rows, which are copied then.
    ///
    /// # Errors
    /// Too little memory.
    fn open(&mut self, steps: usize) -> Result<(), Error>;

    /// The observations of the rollout, once all ranges have delivered it; `None` where they have kept them. Not called after
    /// a rollout that failed: its table is opened again.
    fn close(&mut self) -> Option<Observations>;
}

/// Environments in processes of their own.
pub struct RemoteEnvironments {
    /// Contiguous ranges, in order.
    pub shards: Vec<Box<dyn RemoteShard>>,
    /// Where they leave their observations.
    pub table: Box<dyn SharedTable>,
}

impl std::fmt::Debug for RemoteEnvironments {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RemoteEnvironments").field("shards", &self.shards.len()).finish_non_exhaustive()
    }
}
