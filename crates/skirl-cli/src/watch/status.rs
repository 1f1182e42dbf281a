//! Whether anybody trains a run, and how it ended if not.

use std::path::Path;

use skirl::config::{StopCriteria, StopReason};
use skirl::report::{LockOwner, RunLock, TrainResult};

/// What goes on in a run's directory.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Status {
    /// No run is there yet.
    Waiting,
    /// A process writes to it.
    Running(LockOwner),
    /// A stop criterion was met.
    Finished(StopReason),
    /// It ended in order before a criterion was met: interrupted, or failed.
    Stopped,
    /// Its process is gone without an orderly end.
    Died(LockOwner),
}

/// Who holds a run's lock, or has left it without an orderly end.
#[derive(Debug)]
pub(crate) struct Lock {
    holder: Option<LockOwner>,
    left_by: Option<LockOwner>,
}

impl Lock {
    pub(crate) fn read(directory: &Path) -> Self {
        Self { holder: RunLock::holder(directory), left_by: RunLock::owner(directory) }
    }
}

impl Status {
    /// From the lock, as it was before the last result was read: then nothing was written after the result of a run that
    /// has ended. A run that saves its last checkpoint runs, though its last result is there.
    pub(crate) fn of(directory: &Path, lock: Lock, stop: &StopCriteria, last: Option<&TrainResult>) -> Self {
        if let Some(owner) = lock.holder {
            return Self::Running(owner);
        }
        if let Some(reason) = last.and_then(|last| stop.reached(|metric| last.get(metric))) {
            return Self::Finished(reason);
        }
        match lock.left_by {
            Some(owner) => Self::Died(owner),
            None if directory.join("config.json").is_file() => Self::Stopped,
            None => Self::Waiting,
        }
    }

    /// Whether nothing more comes unless somebody resumes the run.
    pub(crate) fn has_ended(&self) -> bool {
        matches!(self, Self::Finished(_) | Self::Stopped | Self::Died(_))
    }

    /// One word, for tables and machines.
    pub(crate) fn word(&self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Running(_) => "running",
            Self::Finished(_) => "finished",
            Self::Stopped => "stopped",
            Self::Died(_) => "died",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lock_and_the_last_result_tell_how_a_run_is() {
        let directory = tempfile::tempdir().expect("directory");
        let path = directory.path();
        let mut stop = StopCriteria::default();
        stop.set("training_iteration", 3.0);
        let mut last = TrainResult::new();
        last.set("training_iteration", 2_u64);
        let word = |last: &TrainResult| Status::of(path, Lock::read(path), &stop, Some(last)).word();
        assert_eq!(word(&last), "waiting");
        std::fs::write(path.join("config.json"), "{}").expect("written");
        assert_eq!(word(&last), "stopped");
        let lock = |pid: u32, host: &str| {
            let text = format!("{{\"pid\":{pid},\"host\":\"{host}\"}}");
            std::fs::write(path.join(RunLock::FILE_NAME), text).expect("written");
        };
        lock(1, "elsewhere");
        assert_eq!(word(&last), "running");
        // The host's own name, as a lock that is taken writes it.
        drop(std::fs::remove_file(path.join(RunLock::FILE_NAME)));
        let host = {
            let _lock = RunLock::acquire(path).expect("free");
            RunLock::owner(path).expect("named").host
        };
        lock(u32::MAX, &host);
        if Path::new("/proc/self").exists() {
            assert_eq!(word(&last), "died");
        }
        last.set("training_iteration", 3_u64);
        drop(std::fs::remove_file(path.join(RunLock::FILE_NAME)));
        assert_eq!(word(&last), "finished");
        assert!(Status::of(path, Lock::read(path), &stop, Some(&last)).has_ended());
    }
}
