//! Why a listener could not be opened.

use std::path::PathBuf;

/// A listener that cannot be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ListenerError {
    /// The address cannot be bound.
    #[error("cannot listen on {address}: {source}. Is another server running there?")]
    Bind {
        /// The address as configured.
        address: String,
        /// Why.
        source: std::io::Error,
    },
    /// A certificate or key file cannot be read.
    #[error("cannot read the {what} {path:?}: {reason}")]
    File {
        /// `certificate`, `key`, `client CA`.
        what: &'static str,
        /// Where.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// The files were read, but cannot be used.
    #[error("cannot use the certificate {path:?}: {reason}")]
    Tls {
        /// The certificate.
        path: PathBuf,
        /// Why.
        reason: String,
    },
}
