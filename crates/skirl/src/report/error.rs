//! Errors of result files and run directories.

use std::path::{Path, PathBuf};

/// What can go wrong while writing results. Every message names the path and the remedy.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// The operating system refused an operation.
    #[error("could not {action} `{}`: {source}. Check that the disk is not full and that you may write there", .path.display())]
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
    /// Another live process writes into the directory.
    #[error(
        "`{}` is in use by process {pid} on host `{host}`. Stop that run first, or choose another directory",
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

impl ReportError {
    /// Wraps an I/O error with the attempted action and the path.
    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_path_buf();
        move |source| Self::Io { action, path, source }
    }
}
