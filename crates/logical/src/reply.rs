//! What a backend answers.
//!
//! How an answer becomes an HTTP response is the room `http`'s business; how it crosses to or from
//! a plugin process is `wire`'s.

use std::time::{Duration, SystemTime};

use crate::{Auth, Data, Headers, SecretText};

/// An answer. `Option<Reply>` at the joint: no reply at all is 204 for a write and 404 for a read.
#[derive(Debug, Clone, Default)]
pub struct Reply {
    /// The payload; a reply with `null` data is not the same as no reply.
    pub data: Data,
    /// The lease that the data comes with.
    pub secret: Option<Box<Secret>>,
    /// The login that succeeded.
    pub auth: Option<Box<Auth>>,
    /// Things the caller should know.
    pub warnings: Vec<String>,
    /// Send the client elsewhere (HTTP 307).
    pub redirect: String,
    /// Headers for the client, as far as the mount allows them.
    pub headers: Headers,
    /// Set when the reply was wrapped.
    pub wrap: Option<Box<WrapInfo>>,
}

/// A leased secret.
#[derive(Debug, Clone, Default)]
pub struct Secret {
    /// How long it is good for.
    pub lease: Lease,
    /// What the backend wants back at renewal and revocation. Never shown to a client.
    pub internal: Data,
    /// Set by the core.
    pub lease_id: String,
}

/// Times of a lease. Zero means "the mount's default".
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Lease {
    /// Time to live.
    pub ttl: Duration,
    /// Longest life with renewals.
    pub max_ttl: Duration,
    /// Whether it can be renewed.
    pub renewable: bool,
    /// How much more the client asked for at renewal.
    pub increment: Duration,
    /// When it was issued; `None` is Go's zero time.
    pub issued: Option<SystemTime>,
}

/// A reply that was put into a wrapping token.
#[derive(Debug, Clone, Default)]
pub struct WrapInfo {
    /// Life of the wrapping token.
    pub ttl: Duration,
    /// The token.
    pub token: SecretText,
    /// Its accessor.
    pub accessor: String,
    /// When it was made; `None` is Go's zero time.
    pub created: Option<SystemTime>,
    /// Path of the wrapped request.
    pub creation_path: String,
    /// Accessor of the token inside, if a login was wrapped.
    pub wrapped_accessor: String,
    /// Entity of the token inside.
    pub wrapped_entity_id: String,
    /// `""` or `jwt`.
    pub format: String,
    /// Seal-wrap the stored reply.
    pub seal_wrap: bool,
}

impl Reply {
    /// A reply with this payload.
    pub fn data(data: Data) -> Self {
        Self { data, ..Self::default() }
    }

    /// The error text, if this is what Vault calls an error response: `data` with the key `error`
    /// alone, or with `data` beside it (wire spec 2.8).
    pub fn error_text(&self) -> Option<String> {
        if !self.data.mentions("\"error\"") {
            return None;
        }
        let fields = self.data.fields().ok()?;
        let error = fields.get("error").filter(|e| !e.is_null())?;
        let alone = fields.len() == 1
            || (fields.len() == 2 && fields.get("data").is_some_and(|d| !d.is_null()));
        if !alone {
            return None;
        }
        Some(error.as_str().map_or_else(|| error.to_string(), str::to_owned))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(json: &str) -> Reply {
        Reply::data(Data::parse(json.into()).unwrap())
    }

    #[test]
    fn an_error_response_has_error_alone_or_with_data() {
        assert_eq!(reply(r#"{"error":"no"}"#).error_text().as_deref(), Some("no"));
        assert_eq!(reply(r#"{"error":"no","data":{"a":1}}"#).error_text().as_deref(), Some("no"));
        assert_eq!(reply(r#"{"error":"no","other":1}"#).error_text(), None);
        assert_eq!(reply(r#"{"x":{"error":"no"}}"#).error_text(), None);
        assert_eq!(reply(r#"{}"#).error_text(), None);
    }
}
