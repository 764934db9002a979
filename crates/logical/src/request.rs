//! A request as a backend sees it: built fresh by the core for one backend, holding only what that
//! backend may know.
//!
//! What a client sent is another type, in the core. A client's token never stands here: `Caller`
//! carries a salted digest of it.

use std::{any::Any, collections::BTreeMap, sync::Arc, time::Duration};

use crate::{Auth, Connection, Data, Operation, Secret, Storage};

/// HTTP-like headers: Go-canonical names (`X-My-Header`), several values each.
pub type Headers = BTreeMap<String, Vec<String>>;

/// One request to one backend.
#[derive(Clone)]
pub struct Request {
    /// The request's id, the same in the audit log and in the reply.
    pub id: Arc<str>,
    /// What is asked.
    pub operation: Operation,
    /// The path below the mount, without a leading slash.
    pub path: String,
    /// The payload.
    pub data: Data,
    /// The mount's own storage, and no other.
    pub storage: Arc<dyn Storage>,
    /// The mount that the request came through.
    pub mount: Arc<MountFacts>,
    /// Who asks.
    pub caller: Caller,
    /// The headers that the mount lets through; mostly none.
    pub headers: Headers,
    /// The lease to renew or revoke, with what the backend remembered in it.
    pub secret: Option<Box<Secret>>,
    /// The login to renew.
    pub auth: Option<Box<Auth>>,
    /// Where the request came from.
    pub connection: Option<Arc<Connection>>,
    /// The wrapping that the caller asked for.
    pub wrap: Option<WrapRequest>,
}

/// The caller's request to have the reply wrapped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WrapRequest {
    /// How long the wrapping token lives.
    pub ttl: Duration,
    /// `""`, or `jwt`.
    pub format: String,
}

/// What a backend may know of its own mount.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MountFacts {
    /// Full path, ending in `/`: `secret/`, `auth/github/`.
    pub point: String,
    /// The plugin's name.
    pub kind: String,
    /// `kv_0123abcd`, `auth_approle_0123abcd`.
    pub accessor: String,
}

/// What a backend may know of the caller.
#[derive(Clone, Default)]
pub struct Caller {
    /// Hex SHA-1 of mount UUID and token (wire spec 2.12): equal for equal tokens at one mount,
    /// useless anywhere else. Empty without a token.
    pub token_digest: String,
    /// The token's accessor.
    pub accessor: Arc<str>,
    /// The token's display name.
    pub display_name: Arc<str>,
    /// The entity, if any.
    pub entity_id: Arc<str>,
    /// The path needs no token, and none was looked at.
    pub unauthenticated: bool,
    /// The caller asked to override soft-mandatory policies.
    pub policy_override: bool,
    /// The core's own record of the caller, for the backends inside the core and for no other:
    /// always `None` for a plugin, built in or external.
    pub session: Option<Arc<dyn Any + Send + Sync>>,
}

impl Request {
    /// A request with nothing but an operation, a path and storage: for calls that the server makes
    /// on its own account (existence checks in tests, rollbacks, help).
    pub fn new(operation: Operation, path: impl Into<String>, storage: Arc<dyn Storage>) -> Self {
        Self {
            id: "".into(),
            operation,
            path: path.into(),
            data: Data::null(),
            storage,
            mount: Arc::default(),
            caller: Caller::default(),
            headers: Headers::new(),
            secret: None,
            auth: None,
            connection: None,
            wrap: None,
        }
    }
}
