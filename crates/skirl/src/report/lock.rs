//! One process per run directory.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::ReportError;

/// Who holds a lock, as written into the lock file for people to read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LockOwner {
    /// Process id.
    pub pid: u32,
    /// Host name.
    pub host: String,
}

/// A lock file held while this value lives.
///
/// The lock is the operating system's advisory lock on the open file, so it ends with its process however that ends, and
/// a reused process id cannot confuse it. Where a file system has no locks, the process id written in the file decides.
/// The file itself stays (empty after an orderly end): to remove it would let two processes hold two files of one name.
#[derive(Debug)]
pub struct RunLock {
    file: File,
    taken_over: Option<LockOwner>,
}

impl RunLock {
    /// Takes the lock of the run in `directory`, or says who holds it. The lock of a dead process is taken over.
    pub fn acquire(directory: &Path) -> Result<Self, ReportError> {
        let path = directory.join(Self::FILE_NAME);
        let file = OpenOptions::new().create(true).truncate(false).read(true).write(true).open(&path);
        let mut file = file.map_err(ReportError::io("open", &path))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(locked(directory, read_owner(&mut file))),
            // The file system has no locks.
            Err(TryLockError::Error(_)) => {
                if let Some(owner) = read_owner(&mut file).filter(is_alive) {
                    return Err(locked(directory, Some(owner)));
                }
            }
        }
        // An orderly end leaves an empty file.
        let taken_over = read_owner(&mut file);
        write_owner(&mut file).map_err(ReportError::io("write", &path))?;
        Ok(Self { file, taken_over })
    }

    /// Who held the lock before and ended without giving it back: killed, or the machine stopped.
    pub fn taken_over(&self) -> Option<&LockOwner> {
        self.taken_over.as_ref()
    }

    /// Name of the lock file.
    pub const FILE_NAME: &str = ".run.lock";

    /// The owner named in the lock file of a run, alive or not; `None` after an orderly end.
    pub fn owner(directory: &Path) -> Option<LockOwner> {
        read_owner(&mut File::open(directory.join(Self::FILE_NAME)).ok()?)
    }

    /// The process that writes into the run now, as far as its id tells; the lock is not touched. One on another host
    /// counts as alive.
    pub fn holder(directory: &Path) -> Option<LockOwner> {
        Self::owner(directory).filter(is_alive)
    }
}

impl Drop for RunLock {
    fn drop(&mut self) {
        // Best effort: the operating system unlocks the file when it is closed in any case.
        let _ = self.file.set_len(0);
        let _ = self.file.unlock();
    }
}

fn locked(directory: &Path, owner: Option<LockOwner>) -> ReportError {
    let owner = owner.unwrap_or(LockOwner { pid: 0, host: "unknown".into() });
    ReportError::Locked { path: directory.to_path_buf(), pid: owner.pid, host: owner.host }
}

fn read_owner(file: &mut File) -> Option<LockOwner> {
    let mut text = String::new();
    file.rewind().ok()?;
    file.take(4096).read_to_string(&mut text).ok()?;
    serde_json::from_str(&text).ok()
}

fn write_owner(file: &mut File) -> std::io::Result<()> {
    let owner = LockOwner { pid: std::process::id(), host: host_name() };
    file.set_len(0)?;
    file.rewind()?;
    file.write_all(serde_json::to_string(&owner)?.as_bytes())?;
    file.sync_all()
}

/// Whether the process may still run. One on another host counts as alive: nothing here can tell.
fn is_alive(owner: &LockOwner) -> bool {
    if owner.host != host_name() || !Path::new("/proc/self").exists() {
        return true;
    }
    owner.pid != std::process::id() && PathBuf::from(format!("/proc/{}", owner.pid)).exists()
}

/// The host's name, as far as the standard library and the environment can tell.
fn host_name() -> String {
    let from_kernel = std::fs::read_to_string("/proc/sys/kernel/hostname").ok();
    let name =
        from_kernel.or_else(|| std::env::var("HOSTNAME").ok()).or_else(|| std::env::var("COMPUTERNAME").ok());
    name.map(|name| name.trim().to_string())
        .filter(|name| !name.is_empty())
        .unwrap_or_else(|| "localhost".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_runs_in_one_directory_are_refused() {
        let directory = tempfile::tempdir().unwrap();
        let lock = RunLock::acquire(directory.path()).unwrap();
        let message = RunLock::acquire(directory.path()).unwrap_err().to_string();
        assert!(message.contains(&format!("process {}", std::process::id())), "{message}");
        drop(lock);
        assert_eq!(RunLock::owner(directory.path()), None);
        drop(RunLock::acquire(directory.path()).unwrap());
    }

    #[test]
    fn the_lock_of_a_dead_process_is_taken_over() {
        let directory = tempfile::tempdir().unwrap();
        let stale = LockOwner { pid: u32::MAX, host: host_name() };
        assert!(!is_alive(&stale));
        std::fs::write(directory.path().join(RunLock::FILE_NAME), serde_json::to_string(&stale).unwrap())
            .unwrap();
        assert_eq!(RunLock::owner(directory.path()), Some(stale));
        assert_eq!(RunLock::holder(directory.path()), None);
        let lock = RunLock::acquire(directory.path()).unwrap();
        assert_eq!(lock.taken_over().map(|owner| owner.pid), Some(u32::MAX));
        assert_eq!(RunLock::owner(directory.path()).unwrap().pid, std::process::id());
        drop(lock);
        assert_eq!(RunLock::acquire(directory.path()).unwrap().taken_over(), None);
    }

    #[test]
    fn an_unreadable_lock_file_is_taken_over() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join(RunLock::FILE_NAME), [0xff, 0xfe]).unwrap();
        drop(RunLock::acquire(directory.path()).unwrap());
    }

    #[test]
    fn a_process_on_another_host_counts_as_alive() {
        let elsewhere = LockOwner { pid: 1, host: "elsewhere".into() };
        assert!(is_alive(&elsewhere));
        let directory = tempfile::tempdir().unwrap();
        let text = serde_json::to_string(&elsewhere).unwrap();
        std::fs::write(directory.path().join(RunLock::FILE_NAME), text).unwrap();
        assert_eq!(RunLock::holder(directory.path()), Some(elsewhere));
    }
}
