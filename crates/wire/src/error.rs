//! Errors on the wire: eleven numbers (wire spec 2.11), one exhaustive match each way.
//!
//! Left out: gRPC's own status codes, which tell of transport and not of a backend's answer.

use boltwork_logical::{DataError, Error};

use crate::pb::ProtoError;

const PLAIN: u32 = 0;
const USER: u32 = 1;
const INTERNAL: u32 = 2;
const CODED: u32 = 3;
const BAD_REQUEST: u32 = 4;
const UNSUPPORTED_OPERATION: u32 = 5;
const UNSUPPORTED_PATH: u32 = 6;
const INVALID_REQUEST: u32 = 7;
const PERMISSION_DENIED: u32 = 8;
const NEEDS_APPROVAL: u32 = 9;
const UNRECOVERABLE: u32 = 10;

/// A message of the peer's that cannot be understood. Never quotes a value: it may be a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WireError {
    /// A field holds what it must not.
    #[error("malformed message: {field}: {why}")]
    Field {
        /// The message and its field, as in the protocol: `Auth.bound_cidrs`.
        field: &'static str,
        /// What is wrong with it.
        why: String,
    },
    /// A field that must be there is not.
    #[error("malformed message: {0} is missing")]
    Missing(&'static str),
    /// An operation that we do not know.
    #[error("unsupported operation {0:?}")]
    Operation(String),
}

impl WireError {
    pub(crate) fn field(field: &'static str, why: impl ToString) -> Self {
        Self::Field { field, why: why.to_string() }
    }

    pub(crate) fn data(field: &'static str) -> impl FnOnce(DataError) -> Self {
        move |why| Self::field(field, why)
    }
}

/// The peer is at fault, not the caller.
impl From<WireError> for Error {
    fn from(error: WireError) -> Self {
        match error {
            WireError::Operation(_) => Self::UnsupportedOperation,
            other => Self::Internal(other.to_string()),
        }
    }
}

/// An error as a plugin (or the server) sends it. Kinds that the protocol does not have go as
/// coded errors with the HTTP status that they stand for, or as plain text.
pub fn error_to_wire(error: &Error) -> ProtoError {
    let (err_type, err_code) = match error {
        Error::Invalid(_) => (BAD_REQUEST, 0),
        Error::InvalidRequest => (INVALID_REQUEST, 0),
        Error::Denied => (PERMISSION_DENIED, 0),
        Error::UnsupportedPath => (UNSUPPORTED_PATH, 0),
        Error::UnsupportedOperation => (UNSUPPORTED_OPERATION, 0),
        Error::Coded { status, .. } => (CODED, i64::from(*status)),
        Error::Sealed | Error::Unavailable(_) => (CODED, 503),
        Error::Conflict(_) => (CODED, 409),
        Error::Internal(_) => (PLAIN, 0),
        Error::User(_) => (USER, 0),
        Error::Unrecoverable => (UNRECOVERABLE, 0),
        Error::NeedsApproval => (NEEDS_APPROVAL, 0),
        // A kind that was added to the nouns and not yet here: its text is right in any case.
        _ => (PLAIN, 0),
    };
    ProtoError { err_type, err_msg: error.to_string(), err_code }
}

/// An error as it was meant. A number that we do not know is an error all the same: Go's reader
/// takes it for success, which would turn a failure into an empty answer.
pub fn error_from_wire(error: ProtoError) -> Error {
    let ProtoError { err_type, err_msg, err_code } = error;
    match err_type {
        PLAIN | INTERNAL => Error::Internal(said(err_msg)),
        USER => Error::User(said(err_msg)),
        CODED => match u16::try_from(err_code) {
            Ok(status @ 100..=599) => Error::Coded { status, message: err_msg },
            _ => Error::Internal(said(err_msg)),
        },
        BAD_REQUEST => Error::Invalid(said(err_msg)),
        UNSUPPORTED_OPERATION => Error::UnsupportedOperation,
        UNSUPPORTED_PATH => Error::UnsupportedPath,
        INVALID_REQUEST => Error::InvalidRequest,
        PERMISSION_DENIED => Error::Denied,
        NEEDS_APPROVAL => Error::NeedsApproval,
        UNRECOVERABLE => Error::Unrecoverable,
        unknown => Error::Internal(format!(
            "the plugin sent an error of kind {unknown}, which this server does not know: {}",
            said(err_msg)
        )),
    }
}

fn said(text: String) -> String {
    if text.is_empty() { "an error without a text".to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn coded(status: u16, message: &str) -> Error {
        Error::Coded { status, message: message.to_owned() }
    }

    #[test]
    fn every_kind_crosses_the_wire_and_keeps_its_meaning() {
        let text = || "because".to_owned();
        for (sent, received) in [
            (Error::Invalid(text()), Error::Invalid(text())),
            (Error::InvalidRequest, Error::InvalidRequest),
            (Error::Denied, Error::Denied),
            (Error::UnsupportedPath, Error::UnsupportedPath),
            (Error::UnsupportedOperation, Error::UnsupportedOperation),
            (coded(418, "tea"), coded(418, "tea")),
            (Error::Sealed, coded(503, "Vault is sealed")),
            (Error::Unavailable(text()), coded(503, "because")),
            (Error::Conflict(text()), coded(409, "because")),
            (Error::Internal(text()), Error::Internal(text())),
            (Error::User(text()), Error::User(text())),
            (Error::Unrecoverable, Error::Unrecoverable),
            (Error::NeedsApproval, Error::NeedsApproval),
        ] {
            let wire = error_to_wire(&sent);
            assert!(wire.err_type <= 10, "Go reads higher numbers as success");
            assert_eq!(error_from_wire(wire), received);
        }
    }

    #[test]
    fn every_number_of_the_protocol_is_read() {
        let read = |err_type, err_code| {
            error_from_wire(ProtoError { err_type, err_msg: "m".into(), err_code })
        };
        assert_eq!(read(0, 0), Error::Internal("m".into()));
        assert_eq!(read(1, 0), Error::User("m".into()));
        assert_eq!(read(2, 0), Error::Internal("m".into()));
        assert_eq!(read(3, 429), coded(429, "m"));
        assert_eq!(read(4, 0), Error::Invalid("m".into()));
        assert_eq!(read(5, 0), Error::UnsupportedOperation);
        assert_eq!(read(6, 0), Error::UnsupportedPath);
        assert_eq!(read(7, 0), Error::InvalidRequest);
        assert_eq!(read(8, 0), Error::Denied);
        assert_eq!(read(9, 0), Error::NeedsApproval);
        assert_eq!(read(10, 0), Error::Unrecoverable);
    }

    #[test]
    fn a_kind_that_nobody_knows_is_an_error_and_never_success() {
        for err_type in [11, 12, u32::MAX] {
            let error =
                error_from_wire(ProtoError { err_type, err_msg: "lost?".into(), err_code: 0 });
            assert!(matches!(&error, Error::Internal(text) if text.contains("lost?")), "{error}");
        }
    }

    #[test]
    fn a_status_that_is_none_is_not_passed_on() {
        for err_code in [0, -1, 99, 600, 65_736, i64::MAX, i64::MIN] {
            let error = ProtoError { err_type: 3, err_msg: "m".into(), err_code };
            assert_eq!(error_from_wire(error), Error::Internal("m".into()), "{err_code}");
        }
    }
}
