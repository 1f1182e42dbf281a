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

impl Status {
    /// Looks at the lock first: a run that saves its last checkpoint has its last result already.
    pub(crate) fn of(directory: &Path, stop: &StopCriteria, last: Option<&TrainResult>) -> Self {
        if let Some(owner) = RunLock::holder(directory) {
            return Self::Running(owner);
        }
        if let Some(reason) = last.and_then(|last| stop.reached(|metric| last.get(metric))) {
            return Self::Finished(reason);
        }
        match RunLock::owner(directory) {
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
        let word = |last: &TrainResult| Status::of(path, &stop, Some(last)).word();
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
        assert!(Status::of(path, &stop, Some(&last)).has_ended());
    }
}
