//! What can go wrong at the barrier, by who is at fault. Leaves out values and keys: an error names the path only.

use boltwork_logical::StorageError;

/// Why the barrier refused or failed.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// There is no key in memory. The text is the one that clients match.
    #[error("Vault is sealed")]
    Sealed,
    /// There is a keyring already.
    #[error("Vault is already initialized")]
    AlreadyInitialized,
    /// There is no keyring yet.
    #[error("Vault is not initialized")]
    NotInitialized,
    /// The key does not open the keyring.
    #[error("unseal failed, invalid key")]
    WrongKey,
    /// A share that cannot be one.
    #[error("{0}")]
    InvalidShare(String),
    /// A configuration that cannot be.
    #[error("invalid seal configuration: {0}")]
    InvalidConfig(String),
    /// A key that storage does not accept, or that belongs to the barrier.
    #[error("{0}")]
    InvalidKey(String),
    /// Writing through something that only reads.
    #[error("{0}")]
    ReadOnly(String),
    /// Another write came between; nothing was written.
    #[error(
        "transaction commit failed: storage changed since it was read; nothing was written, try again"
    )]
    Conflict,
    /// A transaction grew beyond its bound.
    #[error("transaction is too large: more than {max} bytes read and written; use several")]
    TransactionTooLarge {
        /// The bound in bytes.
        max: usize,
    },
    /// An entry that does not decrypt.
    #[error("cannot read the entry at {path:?}: {reason}")]
    Damaged {
        /// Where it lies.
        path: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Storage failed.
    #[error(transparent)]
    Storage(boltwork_storage::Error),
    /// The cryptographic library refused; not expected to happen.
    #[error("cryptography failed: {0}")]
    Crypto(&'static str),
}

impl Error {
    pub(crate) fn damaged(path: &str, reason: impl Into<String>) -> Self {
        Self::Damaged { path: path.to_owned(), reason: reason.into() }
    }
}

impl From<boltwork_storage::Error> for Error {
    fn from(error: boltwork_storage::Error) -> Self {
        match error {
            boltwork_storage::Error::Conflict => Self::Conflict,
            boltwork_storage::Error::InvalidKey { .. } => Self::InvalidKey(error.to_string()),
            other => Self::Storage(other),
        }
    }
}

impl From<Error> for StorageError {
    fn from(error: Error) -> Self {
        match error {
            Error::Sealed => Self::Sealed,
            Error::InvalidKey(text) => Self::InvalidKey(text),
            Error::ReadOnly(text) => Self::ReadOnly(text),
            Error::Conflict => Self::Conflict(error.to_string()),
            other => Self::Failed(other.to_string()),
        }
    }
}
