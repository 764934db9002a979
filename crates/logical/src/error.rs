//! Errors at the joint, sorted by who is at fault.
//!
//! Which HTTP status or wire code an error becomes is decided at the borders (`http`, `wire`), each
//! with one exhaustive match; nothing here knows numbers, except where a backend chose one itself.

use crate::{DataError, Reply, StorageError};

/// Why a backend, or the server on the way to it, refused or failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The caller's input is wrong; the text says how and is for the caller.
    #[error("{0}")]
    Invalid(String),
    /// The protocol's bare `invalid request`.
    #[error("invalid request")]
    InvalidRequest,
    /// Not allowed.
    #[error("permission denied")]
    Denied,
    /// There is no such path in this backend.
    #[error("unsupported path")]
    UnsupportedPath,
    /// The path exists, the operation on it does not.
    #[error("unsupported operation")]
    UnsupportedOperation,
    /// The backend named the status itself.
    #[error("{message}")]
    Coded {
        /// HTTP status.
        status: u16,
        /// Text for the caller.
        message: String,
    },
    /// The server is sealed.
    #[error("Vault is sealed")]
    Sealed,
    /// What should serve the request cannot at the moment (plugin down, storage full): the text
    /// says what, why, and what to do.
    #[error("{0}")]
    Unavailable(String),
    /// Another write came between; the request may be tried again.
    #[error("{0}")]
    Conflict(String),
    /// Something went wrong that is not the caller's fault.
    #[error("{0}")]
    Internal(String),
    /// A user-visible failure that is not a refusal (the protocol's kind 1: status 500 with text).
    #[error("{0}")]
    User(String),
    /// A revocation can never succeed.
    #[error("unrecoverable error")]
    Unrecoverable,
    /// The protocol's `request needs further approval`.
    #[error("request needs further approval")]
    NeedsApproval,
}

impl Error {
    /// The caller's input is wrong.
    pub fn invalid(text: impl Into<String>) -> Self {
        Self::Invalid(text.into())
    }

    /// Something failed that is not the caller's fault.
    pub fn internal(text: impl Into<String>) -> Self {
        Self::Internal(text.into())
    }

    /// What should serve the request cannot at the moment.
    pub fn unavailable(text: impl Into<String>) -> Self {
        Self::Unavailable(text.into())
    }
}

impl From<StorageError> for Error {
    fn from(error: StorageError) -> Self {
        match error {
            StorageError::Sealed => Self::Sealed,
            StorageError::Conflict(text) => Self::Conflict(text),
            StorageError::InvalidKey(text) => Self::Invalid(text),
            other => Self::Internal(other.to_string()),
        }
    }
}

impl From<DataError> for Error {
    fn from(error: DataError) -> Self {
        Self::Invalid(error.to_string())
    }
}

/// An error, and the reply that may come with it: plugins may send both, and both are handed on
/// (wire spec 2.6).
#[derive(Debug, Clone)]
pub struct Failure {
    /// What went wrong.
    pub error: Error,
    /// What the backend said beside it.
    pub reply: Option<Box<Reply>>,
}

impl<E: Into<Error>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self { error: error.into(), reply: None }
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.error.fmt(f)
    }
}
