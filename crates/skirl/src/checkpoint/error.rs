//! Errors of checkpoints.

use std::path::{Path, PathBuf};

/// Why a checkpoint cannot be written or read. Every message names the file (and tensor), what was expected, what was
/// found, and what to do.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    /// The operating system refused an operation.
    #[error("could not {action} `{}`: {source}. {}", .path.display(), crate::report::remedy(source))]
    Io {
        /// What was attempted, as a verb.
        action: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// The cause.
        source: std::io::Error,
    },
    /// The disk has too little room; nothing was written.
    #[error(
        "a checkpoint needs {} in `{}`, but only {} are free. Free some space there, or keep fewer checkpoints \
         (checkpointing.num_to_keep)",
        crate::report::in_units(*.needed), .path.display(), crate::report::in_units(*.free)
    )]
    NoSpace {
        /// The directory of the checkpoints.
        path: PathBuf,
        /// Bytes that the checkpoint takes.
        needed: u64,
        /// Bytes that are free.
        free: u64,
    },
    /// There is no checkpoint.
    #[error("no checkpoint at `{}`: {found}. Give a run directory, its `checkpoints/`, or one `step-…` directory in it", .path.display())]
    NotFound {
        /// Where it was looked for.
        path: PathBuf,
        /// What is there.
        found: String,
    },
    /// A save would replace something that is not a checkpoint.
    #[error("`{}` exists and is not a checkpoint (no manifest.json in it), so it is not replaced. Choose another path or remove it", .path.display())]
    WouldReplace {
        /// The path.
        path: PathBuf,
    },
    /// The format is another one.
    #[error(
        "`{}` has checkpoint format {found}, written by skirl {written_by}; this is skirl {}, which reads format {}. \
         Load it with the version that wrote it",
        .path.display(), env!("CARGO_PKG_VERSION"), super::FORMAT_VERSION
    )]
    UnknownVersion {
        /// The manifest.
        path: PathBuf,
        /// Its format version.
        found: String,
        /// The skirl version that wrote it.
        written_by: String,
    },
    /// A file is not as it was written.
    #[error("`{}` is damaged: expected {expected}, found {found}. Use another checkpoint of the run", .file.display())]
    Damaged {
        /// The file.
        file: PathBuf,
        /// What the manifest says.
        expected: String,
        /// What is there.
        found: String,
    },
    /// A name in a manifest or a snapshot is not a plain relative path.
    #[error("`{}` names the path `{path}`, which {reason}. Names must be plain relative paths below the checkpoint; do not trust this file", .manifest.display())]
    IllegalPath {
        /// The manifest.
        manifest: PathBuf,
        /// The name, escaped.
        path: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A size is beyond what is read.
    #[error("`{}`: {what} is {found}, the limit is {limit}. If it is meant to be that large, it needs to be split", .file.display())]
    TooLarge {
        /// The file.
        file: PathBuf,
        /// What is too large.
        what: &'static str,
        /// Its size.
        found: u64,
        /// The limit.
        limit: u64,
    },
    /// A tensor holds NaN or an infinity.
    #[error(
        "`{}`: tensor `{tensor}` holds {found} at index {index}, expected finite numbers. \
         The run had diverged: use an earlier checkpoint, or load without the check to inspect it",
        .file.display()
    )]
    NonFinite {
        /// The file.
        file: PathBuf,
        /// The tensor.
        tensor: String,
        /// Position in the flattened tensor.
        index: usize,
        /// The value.
        found: f64,
    },
    /// The checkpoint lacks a file.
    #[error(
        "the checkpoint has no `{file}`; it has {available}. It was written by another algorithm or version, or is one component only"
    )]
    MissingFile {
        /// Path inside the checkpoint.
        file: String,
        /// The files it has.
        available: String,
    },
    /// A file lacks a tensor.
    #[error(
        "`{file}` has no tensor `{tensor}`; it has {available}. The model configuration differs from the one that was saved"
    )]
    MissingTensor {
        /// Path inside the checkpoint.
        file: String,
        /// The tensor.
        tensor: String,
        /// The tensors it has.
        available: String,
    },
    /// A tensor has another type or shape.
    #[error(
        "`{file}`: tensor `{tensor}` should be {expected}, but is {found}. The model configuration differs from the one that was saved"
    )]
    WrongTensor {
        /// Path inside the checkpoint.
        file: String,
        /// The tensor.
        tensor: String,
        /// Type and shape wanted.
        expected: String,
        /// Type and shape stored.
        found: String,
    },
    /// A file is of the other kind, or its JSON is not as it should be.
    #[error(
        "`{file}`: expected {expected}, found {found}. The checkpoint was written by another algorithm or version"
    )]
    WrongContent {
        /// Path inside the checkpoint.
        file: String,
        /// What is wanted.
        expected: String,
        /// What is stored.
        found: String,
    },
    /// The checkpoint belongs to another algorithm.
    #[error(
        "this is a {found} checkpoint, and it was to be loaded into {expected}. Use `--run={found}`, or load only its module directory"
    )]
    WrongAlgorithm {
        /// The algorithm at hand.
        expected: String,
        /// The algorithm that was saved.
        found: String,
    },
    /// The checkpoint belongs to other spaces.
    #[error(
        "the {which} of module `{module}` differs: the environment has {expected}, the checkpoint was trained with {found}. Use the environment it was trained on"
    )]
    WrongSpaces {
        /// The module.
        module: String,
        /// "observation space" or "action space".
        which: &'static str,
        /// The space at hand, as JSON.
        expected: String,
        /// The saved space, as JSON.
        found: String,
    },
    /// The snapshot cannot be written.
    #[error("cannot save `{file}`: {reason}")]
    BadSnapshot {
        /// Path inside the checkpoint.
        file: String,
        /// What is wrong and what to do.
        reason: String,
    },
    /// No checkpoint of a run is sound.
    #[error("no usable checkpoint in `{}`:\n  {}\nRestore one from a backup, or start a new run", .path.display(), .failures.join("\n  "))]
    NoneUsable {
        /// The directory of checkpoints.
        path: PathBuf,
        /// One message for each that was tried.
        failures: Vec<String>,
    },
}

impl CheckpointError {
    /// Whether the disk is to blame, so that a later save of the same run may succeed.
    pub(crate) fn may_pass(&self) -> bool {
        matches!(self, Self::Io { .. } | Self::NoSpace { .. } | Self::Damaged { .. })
    }

    /// Wraps an I/O error with the attempted action and the path.
    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_path_buf();
        move |source| Self::Io { action, path, source }
    }
}
