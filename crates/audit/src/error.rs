//! What can go wrong with auditing, by who is at fault. Leaves out what was to be recorded.

use std::path::PathBuf;

/// Why a record was not written, or a device not opened.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The operator: an option that cannot be.
    #[error("{0}")]
    InvalidOption(String),
    /// No device took the record. The request must not go on, the answer must not go out.
    #[error("no audit backend succeeded in logging the {0}")]
    NoneAccepted(&'static str),
    /// The file cannot be opened or written.
    #[error("cannot write audit file {}: {reason}; free space or fix its permissions", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The system's words.
        reason: String,
    },
    /// A record that cannot be written as JSON; not expected to happen.
    #[error("an audit record cannot be encoded")]
    Encoding,
    /// The device was closed.
    #[error("the audit device is closed")]
    Closed,
}
