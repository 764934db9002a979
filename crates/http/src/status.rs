//! From an error to an HTTP status: the one place that knows.

use boltwork_logical::Error;
use http::StatusCode;

/// The status and the texts of an error. An empty list is Vault's way to say just "not found".
pub fn of(error: &Error) -> (StatusCode, Vec<String>) {
    let status = match error {
        Error::Invalid(_) | Error::InvalidRequest => StatusCode::BAD_REQUEST,
        Error::Denied => StatusCode::FORBIDDEN,
        Error::UnsupportedPath => StatusCode::NOT_FOUND,
        Error::UnsupportedOperation => StatusCode::METHOD_NOT_ALLOWED,
        Error::Sealed => StatusCode::SERVICE_UNAVAILABLE,
        Error::Conflict(_) => StatusCode::CONFLICT,
        Error::Coded { status, .. } => {
            StatusCode::from_u16(*status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
        }
        // 503 would tell clients that the server is sealed.
        Error::Unavailable(_)
        | Error::Internal(_)
        | Error::User(_)
        | Error::Unrecoverable
        | Error::NeedsApproval => StatusCode::INTERNAL_SERVER_ERROR,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    };
    let text = match error {
        // Vault's framework wraps these two; scripts look for the words inside.
        Error::UnsupportedPath | Error::UnsupportedOperation => {
            format!("1 error occurred:\n\t* {error}\n\n")
        }
        _ => error.to_string(),
    };
    (status, vec![text])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_fault_has_its_status() {
        for (error, status) in [
            (Error::invalid("x"), 400),
            (Error::Denied, 403),
            (Error::UnsupportedPath, 404),
            (Error::UnsupportedOperation, 405),
            (Error::Sealed, 503),
            (Error::unavailable("x"), 500),
            (Error::Coded { status: 409, message: "x".into() }, 409),
            (Error::Coded { status: 7, message: "x".into() }, 500),
        ] {
            assert_eq!(of(&error).0.as_u16(), status, "{error:?}");
        }
    }
}
