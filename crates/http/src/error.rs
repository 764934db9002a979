//! Why a listener could not be opened.

use std::path::PathBuf;

/// A listener that cannot be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ListenerError {
    /// The address cannot be bound.
    #[error("cannot listen on {address}: {source}{}", hint(source))]
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

/// What to look for, where the system's answer suggests it.
fn hint(source: &std::io::Error) -> &'static str {
    match source.kind() {
        std::io::ErrorKind::AddrInUse => ". Is another server running there?",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_server_is_suspected_only_where_the_address_is_taken() {
        let bind = |kind| {
            let source = std::io::Error::from(kind);
            ListenerError::Bind { address: "here:1".into(), source }.to_string()
        };
        assert!(bind(std::io::ErrorKind::AddrInUse).ends_with("Is another server running there?"));
        assert!(!bind(std::io::ErrorKind::InvalidInput).contains("another server"));
    }
}
