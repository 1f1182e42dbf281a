//! Errors of result files and run directories.

use std::path::{Path, PathBuf};

/// What can go wrong while writing results. Every message names the path and the remedy.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// The operating system refused an operation.
    #[error("could not {action} `{}`: {source}. {}", .path.display(), remedy(source))]
    Io {
        /// What was attempted, as a verb ("write").
        action: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// The cause.
        source: std::io::Error,
    },
    /// A new run would mix its files with those of another one.
    #[error(
        "`{}` already holds a run (found `{found}`). Choose another directory, or continue that run with `--resume {}`",
        .path.display(), .path.display()
    )]
    AlreadyARun {
        /// The directory.
        path: PathBuf,
        /// The entry that gives the run away.
        found: String,
    },
    /// A run was to be continued, but there is none.
    #[error("`{}` is not a run directory: expected `config.json` in it. Give the directory that `skirl train` printed", .path.display())]
    NotARun {
        /// The directory.
        path: PathBuf,
    },
    /// A checkpoint was given where its run was meant.
    #[error(
        "`{}` is a checkpoint of the run `{}`, which goes on from its newest one only. Resume `{}`",
        .path.display(), .run.display(), .run.display()
    )]
    NotARunButCheckpoint {
        /// The checkpoint.
        path: PathBuf,
        /// The directory of its run.
        run: PathBuf,
    },
    /// Another live process writes into the directory.
    #[error(
        "`{}` is in use by process {pid} on host `{host}`. Stop that run first, or choose another directory; if that \
         process is gone for certain, remove `.run.lock` there",
        .path.display()
    )]
    Locked {
        /// The directory.
        path: PathBuf,
        /// Process id of the owner (0 when its lock file could not be read).
        pid: u32,
        /// Host of the owner.
        host: String,
    },
    /// The file is there but is not what its name says.
    #[error("`{}` is not a file of this run: expected {expected}, found {found}. Move it away and start again", .path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What should be there.
        expected: String,
        /// What is there.
        found: String,
    },
}

/// What to do about an error of the operating system.
pub(crate) fn remedy(error: &std::io::Error) -> &'static str {
    use std::io::ErrorKind as Kind;
    match error.kind() {
        Kind::StorageFull | Kind::QuotaExceeded => "Free some space there, or write somewhere else",
        Kind::PermissionDenied | Kind::ReadOnlyFilesystem => "Check that you may read and write there",
        Kind::NotFound => "Check that the path is right and that nothing removed it meanwhile",
        Kind::AlreadyExists | Kind::NotADirectory | Kind::IsADirectory => {
            "Something else of that name is in the way: move it, or choose another path"
        }
        _ => "Check that the disk is not full and works, and that you may read and write there",
    }
}

/// A number of bytes for people.
pub(crate) fn in_units(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
    let mut amount = bytes as f64 / 1024.0;
    let mut unit = UNITS[0];
    for next in &UNITS[1..] {
        if amount < 1024.0 {
            break;
        }
        (amount, unit) = (amount / 1024.0, next);
    }
    format!("{amount:.1} {unit}")
}

impl ReportError {
    /// Wraps an I/O error with the attempted action and the path.
    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_path_buf();
        move |source| Self::Io { action, path, source }
    }
}
