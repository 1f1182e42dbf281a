//! What a run tells the world: one nested result per iteration, and the files it is written to.
//!
//! ```text
//! metrics ─▶ TrainResult ─▶ sinks: progress.csv, result.jsonl, TensorBoard events
//!                                  └── all inside one RunDirectory, locked by one process
//! ```

mod error;
mod lock;
pub mod metrics;
mod result;
mod run_directory;
pub mod sink;

pub use error::ReportError;
pub(crate) use error::{in_units, remedy};
pub use lock::{LockOwner, RunLock};
pub use result::{Metric, TrainResult};
pub use run_directory::RunDirectory;
pub use sink::{CsvSink, JsonlSink, ResumePoint, Sink, TensorBoardSink};
