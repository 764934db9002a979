//! What can go wrong, by who is at fault, in the words that scripts written for Vault look for.
//!
//! No variant carries the request's body, its headers or its token.

use std::fmt;

/// A failed call.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The client was configured with something it cannot use: an address, a certificate, a header.
    #[error("{0}")]
    Config(String),
    /// The server could not be reached, or the conversation broke off.
    #[error("{verb} \"{url}\": {reason}")]
    Transport {
        /// The method in Go's spelling (`Get`), as scripts know it.
        verb: String,
        /// What was asked for.
        url: String,
        /// Why it failed.
        reason: String,
        /// Whether the request never left, so that repeating it is safe whatever it was.
        unsent: bool,
    },
    /// The server answered with an error.
    #[error(transparent)]
    Api(#[from] ApiError),
    /// The server answered with something that is not the JSON this API promises.
    #[error("the server's answer could not be read: {0}")]
    Decode(String),
    /// The server's answer is longer than the configured bound.
    #[error(
        "the server's answer is longer than {limit} bytes; raise the client's limit or ask for less"
    )]
    TooLarge {
        /// The bound, in bytes.
        limit: usize,
    },
}

impl Error {
    /// The HTTP status, if the server gave one.
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Api(error) => Some(error.status),
            _ => None,
        }
    }
}

/// An error the server itself reported.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiError {
    /// HTTP method as sent.
    pub method: String,
    /// URL as asked for; it holds no secret.
    pub url: String,
    /// HTTP status.
    pub status: u16,
    /// The messages of the answer's `errors`, or the body itself if `raw`.
    pub messages: Vec<String>,
    /// The answer was not the usual envelope; `messages` holds its text.
    pub raw: bool,
    /// Namespace the server reported, empty for the root.
    pub namespace: String,
}

impl std::error::Error for ApiError {}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = if self.raw { "Raw Message" } else { "Errors" };
        f.write_str("Error making API request.\n\n")?;
        if !self.namespace.is_empty() && self.namespace != "root/" {
            writeln!(f, "Namespace: {}", self.namespace)?;
        }
        write!(f, "URL: {} {}\nCode: {}. {kind}:\n\n", self.method, self.url, self.status)?;
        for message in &self.messages {
            if !self.raw {
                f.write_str("* ")?;
            }
            f.write_str(message)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_api_error_reads_as_vault_prints_it() {
        let error = ApiError {
            method: "GET".into(),
            url: "http://127.0.0.1:8200/v1/secret/foo".into(),
            status: 403,
            messages: vec!["permission denied".into()],
            raw: false,
            namespace: String::new(),
        };
        let expected = "Error making API request.\n\nURL: GET http://127.0.0.1:8200/v1/secret/foo\n\
                        Code: 403. Errors:\n\n* permission denied";
        assert_eq!(error.to_string(), expected);
    }
}
