//! The few file-system operations that a checkpoint needs, as a trait, so that tests can cut power between any two of
//! them or fail any one of them.

use std::fs::{File, OpenOptions};
use std::io::{Error, ErrorKind, Read, Result, Write};
use std::path::{Path, PathBuf};
use std::thread::ScopedJoinHandle;

/// What is at a path; links are not followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Nothing.
    Absent,
    /// A regular file of this length.
    File(u64),
    /// A directory.
    Directory,
    /// A link, device or anything else.
    Other,
}

/// Operations on files and directories.
pub(super) trait Fs {
    /// Creates a directory and its parents.
    fn create_dir_all(&self, path: &Path) -> Result<()>;
    /// Creates a file, which must not exist, with this content. Not yet durable.
    fn write_new(&self, path: &Path, bytes: &[u8]) -> Result<()>;
    /// Makes a file's content durable.
    fn sync_file(&self, path: &Path) -> Result<()>;
    /// Makes the entries of a directory durable.
    fn sync_dir(&self, path: &Path) -> Result<()>;
    /// Makes all these files and directories durable, in any order. The error comes with its path.
    fn sync_all(&self, files: &[PathBuf], directories: &[PathBuf]) -> std::result::Result<(), SyncError>;
    /// Gives a file or directory another name, replacing a file of that name.
    fn rename(&self, from: &Path, to: &Path) -> Result<()>;
    /// Removes a directory with all it holds.
    fn remove_dir_all(&self, path: &Path) -> Result<()>;
    /// Removes a file.
    fn remove_file(&self, path: &Path) -> Result<()>;
    /// Content of a file; an error when it is longer than `max_len` bytes.
    fn read(&self, path: &Path, max_len: u64) -> Result<Vec<u8>>;
    /// Names in a directory, sorted; names that are not UTF-8 are left out.
    fn list_dir(&self, path: &Path) -> Result<Vec<String>>;
    /// What is at a path.
    fn kind(&self, path: &Path) -> Result<Kind>;
    /// Bytes that may still be written below a directory; `None` where the system does not tell.
    fn free_space(&self, path: &Path) -> Result<Option<u64>>;
}

/// What could not be synced, and why.
pub(super) type SyncError = (PathBuf, Error);

/// Syncs files, then directories, one after the other.
pub(super) fn sync_in_turn(
    fs: &impl Fs,
    files: &[PathBuf],
    directories: &[PathBuf],
) -> std::result::Result<(), SyncError> {
    for path in files {
        fs.sync_file(path).map_err(|error| (path.clone(), error))?;
    }
    for path in directories {
        fs.sync_dir(path).map_err(|error| (path.clone(), error))?;
    }
    Ok(())
}

/// Most threads that sync one checkpoint. They wait for the disk, not for a core.
const MAX_SYNC_THREADS: usize = 8;

/// The real file system.
#[derive(Debug, Clone, Copy)]
pub(super) struct RealFs;

impl Fs for RealFs {
    fn create_dir_all(&self, path: &Path) -> Result<()> {
        std::fs::create_dir_all(path)
    }

    fn write_new(&self, path: &Path, bytes: &[u8]) -> Result<()> {
        OpenOptions::new().write(true).create_new(true).open(path)?.write_all(bytes)
    }

    fn sync_file(&self, path: &Path) -> Result<()> {
        OpenOptions::new().write(true).open(path)?.sync_all()
    }

    #[cfg(unix)]
    fn sync_dir(&self, path: &Path) -> Result<()> {
        File::open(path)?.sync_all()
    }

    /// At once from several threads: the file system then commits many with one write to its journal.
    fn sync_all(&self, files: &[PathBuf], directories: &[PathBuf]) -> std::result::Result<(), SyncError> {
        let num_threads = files.len().clamp(1, MAX_SYNC_THREADS);
        let share = |paths: &[PathBuf], thread: usize| -> Vec<PathBuf> {
            paths.iter().skip(thread).step_by(num_threads).cloned().collect()
        };
        std::thread::scope(|scope| {
            let threads: Vec<_> = (0..num_threads)
                .map(|thread| (share(files, thread), share(directories, thread)))
                .map(|(files, directories)| scope.spawn(move || sync_in_turn(&RealFs, &files, &directories)))
                .collect();
            // A thread that could not finish has synced nothing that may be relied on.
            let joined = |thread: ScopedJoinHandle<'_, _>| {
                thread
                    .join()
                    .unwrap_or_else(|_| Err((PathBuf::from("?"), Error::other("a thread ended early"))))
            };
            threads.into_iter().map(joined).fold(Ok(()), std::result::Result::and)
        })
    }

    /// Other systems order directory entries themselves and cannot open a directory to sync it.
    #[cfg(not(unix))]
    fn sync_dir(&self, _path: &Path) -> Result<()> {
        Ok(())
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<()> {
        std::fs::rename(from, to)
    }

    fn remove_dir_all(&self, path: &Path) -> Result<()> {
        std::fs::remove_dir_all(path)
    }

    fn remove_file(&self, path: &Path) -> Result<()> {
        std::fs::remove_file(path)
    }

    fn read(&self, path: &Path, max_len: u64) -> Result<Vec<u8>> {
        let file = File::open(path)?;
        let len = file.metadata()?.len();
        if len > max_len {
            return Err(Error::new(ErrorKind::InvalidData, format!("{len} bytes, the limit is {max_len}")));
        }
        let mut bytes = Vec::new();
        bytes.try_reserve_exact(len as usize).map_err(|_| Error::from(ErrorKind::OutOfMemory))?;
        file.take(len).read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    fn list_dir(&self, path: &Path) -> Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in std::fs::read_dir(path)? {
            names.extend(entry?.file_name().into_string());
        }
        names.sort();
        Ok(names)
    }

    #[cfg(unix)]
    fn free_space(&self, path: &Path) -> Result<Option<u64>> {
        let disk = rustix::fs::statvfs(path)?;
        Ok(Some(disk.f_bavail.saturating_mul(disk.f_frsize)))
    }

    #[cfg(not(unix))]
    fn free_space(&self, _path: &Path) -> Result<Option<u64>> {
        Ok(None)
    }

    fn kind(&self, path: &Path) -> Result<Kind> {
        match std::fs::symlink_metadata(path) {
            Ok(metadata) if metadata.is_file() => Ok(Kind::File(metadata.len())),
            Ok(metadata) if metadata.is_dir() => Ok(Kind::Directory),
            Ok(_) => Ok(Kind::Other),
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
                Ok(Kind::Absent)
            }
            Err(error) => Err(error),
        }
    }
}
