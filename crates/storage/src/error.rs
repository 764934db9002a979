//! What can go wrong with bytes at rest, by who is at fault. Leaves out values: an error never quotes one.

use std::path::PathBuf;

/// Why storage refused or failed. Cloneable, because one failed commit answers every caller waiting on it.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The caller: a key that no engine accepts.
    #[error("invalid storage key {key:?}: {reason}")]
    InvalidKey {
        /// The key, shortened.
        key: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The caller: more bytes than may be stored at once.
    #[error("{what} is too large to store: {len} bytes, at most {max} are allowed")]
    TooLarge {
        /// What is too large.
        what: String,
        /// Its size in bytes.
        len: usize,
        /// The limit in bytes.
        max: usize,
    },
    /// Another writer: a check of the batch no longer holds. Nothing was written; read again and retry.
    #[error("storage changed since it was read; nothing was written")]
    Conflict,
    /// The machine: no space left. Nothing of the batch was written.
    #[error(
        "storage is full: cannot write to {}: {detail}; nothing was written, free space and retry",
        path.display()
    )]
    Full {
        /// The file that cannot grow.
        path: PathBuf,
        /// The system's words.
        detail: String,
    },
    /// Another process holds the file.
    #[error("cannot open storage {}: it is in use by {holder}; stop it first, or use another path", path.display())]
    Locked {
        /// The file wanted.
        path: PathBuf,
        /// Who has it, as far as known.
        holder: String,
    },
    /// The file is damaged, or is something else.
    #[error("storage {} cannot be used: {detail}; restore it from a backup, or use another path", path.display())]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// What was found.
        detail: String,
    },
    /// The operator: the place cannot be used as it is (permissions, not a directory).
    #[error("cannot open storage {}: {reason}", path.display())]
    Unusable {
        /// The file or directory.
        path: PathBuf,
        /// What is wrong, and what to do.
        reason: String,
    },
    /// The machine: reading or writing failed.
    #[error("storage {} failed: {detail}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's words.
        detail: String,
    },
    /// The engine was closed, or its thread is gone.
    #[error("storage is closed")]
    Closed,
}
