//! Where results go: one file per sink, each continued by a resumed run without a doubled or a missing iteration.

mod append_file;
mod csv;
mod jsonl;
mod log;
mod tensorboard;
mod tfrecord;

use std::fmt::Debug;

use super::{ReportError, TrainResult};

pub(super) use append_file::replace_file;

pub use self::csv::CsvSink;
pub use jsonl::JsonlSink;
pub(crate) use log::Log;
pub use tensorboard::TensorBoardSink;

/// Key that numbers the results of a run.
pub const ITERATION_KEY: &str = "training_iteration";
/// Key of the x-axis: environment steps since the run began.
pub const STEPS_KEY: &str = "num_env_steps_sampled_lifetime";

/// Takes the result of every iteration. Our own three and a user's own go through this same door.
pub trait Sink: Debug + Send {
    /// Writes one result. After an error the file is as before the call, so that a run may go on and try the next one.
    fn write(&mut self, result: &TrainResult) -> Result<(), ReportError>;

    /// Forces what was written to the disk.
    fn flush(&mut self) -> Result<(), ReportError>;

    /// Flushes; nothing is written after that.
    fn close(&mut self) -> Result<(), ReportError> {
        self.flush()
    }
}

/// The iteration that a resumed run starts from: everything later is cut off the files, as it will be written again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ResumePoint {
    /// `training_iteration` of the checkpoint.
    pub training_iteration: u64,
    /// `num_env_steps_sampled_lifetime` of the checkpoint; 0 where results have no such key.
    pub env_steps: u64,
}

impl ResumePoint {
    /// A new run: whatever the files hold is cut off.
    pub const START: Self = Self { training_iteration: 0, env_steps: 0 };

    /// Place on the x-axis: environment steps, or the iteration where results have none (training from files).
    fn last_step(self) -> u64 {
        if self.env_steps == 0 { self.training_iteration } else { self.env_steps }
    }
}
