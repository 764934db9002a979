//! What comes in and what goes out: a client's request as the door decoded it, and its outcome.
//!
//! These are not what a backend sees; see `boltwork_logical::Request` for that.

use std::sync::Arc;

use boltwork_logical::{
    Connection, Data, Error, Failure, Headers, Operation, Reply, SecretText, WrapRequest,
};

/// A client's request.
pub struct Inbound {
    /// Id, made by the door.
    pub id: Arc<str>,
    /// What is asked. A write is an `Update`; whether it creates is found out here.
    pub operation: Operation,
    /// Path without `/v1/`.
    pub path: String,
    /// The token, if one was sent.
    pub token: SecretText,
    /// The payload: the body, or the query of a request without one.
    pub data: Data,
    /// All headers, Go-canonical.
    pub headers: Headers,
    /// Where it came from.
    pub connection: Option<Arc<Connection>>,
    /// Wrapping asked for.
    pub wrap: Option<WrapRequest>,
    /// Override soft-mandatory policies.
    pub policy_override: bool,
}

impl Inbound {
    /// The wrapping that a client asks for, in text: a duration (zero is none) and a format.
    ///
    /// # Errors
    /// The duration cannot be read.
    pub fn wrap_request(ttl: &str, format: &str) -> Result<Option<WrapRequest>, Error> {
        let ttl: boltwork_framework::Ttl =
            ttl.parse().map_err(|e| Error::invalid(format!("the wrapping TTL is {e}")))?;
        Ok((!ttl.is_zero()).then(|| WrapRequest { ttl: ttl.0, format: format.to_owned() }))
    }
}

/// What became of a request.
pub struct Outcome {
    /// The request's id.
    pub id: Arc<str>,
    /// What was done; a write may have turned out to be a `Create`.
    pub operation: Operation,
    /// Name of the plugin that answered; empty if none did.
    pub mount_type: String,
    /// The answer.
    pub result: Result<Option<Reply>, Failure>,
}
