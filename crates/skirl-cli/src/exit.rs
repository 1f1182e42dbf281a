//! Exit codes, and which error has which.

use std::fmt::Display;
use std::process::ExitCode;

use skirl::Error;
use skirl::config::ConfigErrors;

/// How the process ends. The numbers are a contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExitStatus {
    /// 0: done.
    Success,
    /// 1: the run failed.
    Failed,
    /// 2: wrong usage or configuration; nothing was started.
    Usage,
    /// 3: a checkpoint could not be read or written.
    Checkpoint,
    /// 130: interrupted; the state was saved, unless a second signal ended the process at once.
    Interrupted,
}

impl ExitStatus {
    /// The number.
    pub fn code(self) -> u8 {
        match self {
            Self::Success => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::Checkpoint => 3,
            Self::Interrupted => 130,
        }
    }
}

impl From<ExitStatus> for ExitCode {
    fn from(status: ExitStatus) -> Self {
        Self::from(status.code())
    }
}

/// Why a command ends without success.
#[derive(Debug)]
pub struct Failure {
    /// Its exit code.
    pub status: ExitStatus,
    /// What to tell the user.
    pub message: String,
}

impl Failure {
    pub(crate) fn usage(message: impl Display) -> Self {
        Self { status: ExitStatus::Usage, message: message.to_string() }
    }

    /// An error met before the first step: what can be mended by another command line is a usage error.
    pub(crate) fn at_start(error: &Error) -> Self {
        let status = match error {
            Error::Checkpoint(_) | Error::RunnerState { .. } => ExitStatus::Checkpoint,
            Error::Internal(_) | Error::Env { .. } | Error::NonFinite { .. } => ExitStatus::Failed,
            _ => ExitStatus::Usage,
        };
        Self { status, message: error.to_string() }
    }

    /// An error met while a checkpoint is put into an algorithm: what does not fit is the checkpoint's fault.
    pub(crate) fn on_restore(error: &Error) -> Self {
        match error {
            Error::Mismatch { .. } | Error::Nn(_) => {
                Self { status: ExitStatus::Checkpoint, message: error.to_string() }
            }
            _ => Self::at_start(error),
        }
    }

    /// An error met while running.
    pub(crate) fn while_running(error: &Error) -> Self {
        let status = match error.cause() {
            Error::Checkpoint(_) => ExitStatus::Checkpoint,
            Error::NotDrawable { .. } => ExitStatus::Usage,
            Error::Stopped { .. } => ExitStatus::Interrupted,
            _ => ExitStatus::Failed,
        };
        Self { status, message: error.to_string() }
    }
}

impl From<ConfigErrors> for Failure {
    fn from(errors: ConfigErrors) -> Self {
        Self::usage(errors)
    }
}
