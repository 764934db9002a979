//! What is recorded: borrowed views, filled by the core from what it has at hand. Leaves out any copy of it.
//!
//! Texts that are unknown are empty, and are then left out of the line.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use boltwork_logical::{Auth, Data, Headers, Operation, Reply, TokenType, WrapInfo};

/// One request, or one answer together with its request.
#[derive(Clone, Copy, Default)]
pub struct Record<'a> {
    /// The caller, once known.
    pub auth: Option<AuthView<'a>>,
    /// What was asked.
    pub request: RequestView<'a>,
    /// What was answered; not looked at when a request is recorded.
    pub reply: ReplyView<'a>,
    /// Why it was refused or failed.
    pub error: Option<&'a str>,
    /// Keys of the request's data whose values are written in the clear (a mount's tuning).
    pub plain_request_keys: &'a [String],
    /// Keys of the answer's data whose values are written in the clear (a mount's tuning).
    pub plain_reply_keys: &'a [String],
}

/// A token and what is known of it: the caller's, or the one that a login gave.
#[derive(Clone, Copy, Default)]
pub struct AuthView<'a> {
    /// The token; always digested unless the device logs raw.
    pub client_token: &'a str,
    /// Its accessor; digested unless the device says otherwise.
    pub accessor: &'a str,
    /// Name for humans.
    pub display_name: &'a str,
    /// All policies that apply.
    pub policies: &'a [String],
    /// Those of the token itself.
    pub token_policies: &'a [String],
    /// Those by way of the identity.
    pub identity_policies: &'a [String],
    /// The token was made without the policy `default`.
    pub no_default_policy: bool,
    /// What the decision was, if one was made.
    pub policy_results: Option<PolicyResults<'a>>,
    /// Facts that the login found.
    pub metadata: Option<&'a BTreeMap<String, String>>,
    /// The entity.
    pub entity_id: &'a str,
    /// The entity was made by this login.
    pub entity_created: bool,
    /// Uses that the token was given; 0 is no limit.
    pub num_uses: i64,
    /// Uses that are left; 0 is no limit.
    pub remaining_uses: i64,
    /// Kind of token.
    pub token_type: TokenType,
    /// Its time to live.
    pub token_ttl: Duration,
    /// When it was made.
    pub token_issued: Option<SystemTime>,
}

/// What the policies decided.
#[derive(Clone, Copy, Default)]
pub struct PolicyResults<'a> {
    /// Whether it was allowed.
    pub allowed: bool,
    /// By which policies.
    pub granting: &'a [GrantingPolicy<'a>],
}

/// A policy that allowed the request.
#[derive(Clone, Copy, Default)]
pub struct GrantingPolicy<'a> {
    /// Its name; empty for the allowance of paths that need no token.
    pub name: &'a str,
    /// Its kind: `acl`, or empty.
    pub kind: &'a str,
}

/// The mount that a request went to.
#[derive(Clone, Copy, Default)]
pub struct MountView<'a> {
    /// Path with a final slash.
    pub point: &'a str,
    /// Name of the plugin.
    pub kind: &'a str,
    /// Accessor.
    pub accessor: &'a str,
    /// `secret` or `auth`.
    pub class: &'a str,
    /// Version that runs.
    pub running_version: &'a str,
    /// Digest of the program that runs, in hex; empty for a built-in.
    pub running_sha256: &'a str,
    /// A process of its own.
    pub external: bool,
}

/// A request header that is audited.
#[derive(Clone, Copy, Default)]
pub struct AuditedHeader<'a> {
    /// Its name; written in lower case.
    pub name: &'a str,
    /// Its values.
    pub values: &'a [String],
    /// Whether values are digested.
    pub digested: bool,
}

/// What was asked.
#[derive(Clone, Copy, Default)]
pub struct RequestView<'a> {
    /// Id, the same in the answer.
    pub id: &'a str,
    /// The operation, once classified.
    pub operation: Option<Operation>,
    /// Where it went; empty when no mount was found.
    pub mount: MountView<'a>,
    /// The token that was sent.
    pub client_token: &'a str,
    /// Its accessor.
    pub client_token_accessor: &'a str,
    /// The whole path, without a leading slash.
    pub path: &'a str,
    /// The payload.
    pub data: Option<&'a Data>,
    /// The caller asked to override soft-mandatory policies.
    pub policy_override: bool,
    /// Address of the client, without port.
    pub remote_addr: &'a str,
    /// Port of the client.
    pub remote_port: u16,
    /// How long a wrapping token is to live, if asked for.
    pub wrap_ttl: Option<Duration>,
    /// The headers that the operator wants audited.
    pub headers: &'a [AuditedHeader<'a>],
    /// Serial number of the client's certificate, in decimal.
    pub client_certificate_serial: &'a str,
}

/// What was answered.
#[derive(Clone, Copy, Default)]
pub struct ReplyView<'a> {
    /// The login that succeeded.
    pub auth: Option<AuthView<'a>>,
    /// Lease of the secret that was given.
    pub lease_id: &'a str,
    /// The payload.
    pub data: Option<&'a Data>,
    /// Things the caller was told.
    pub warnings: &'a [String],
    /// Where the client was sent instead.
    pub redirect: &'a str,
    /// The wrapping token that replaced the answer.
    pub wrap: Option<&'a WrapInfo>,
    /// Headers that the backend set.
    pub headers: Option<&'a Headers>,
}

impl<'a> AuthView<'a> {
    /// The view of a login's result.
    #[must_use]
    pub fn of(auth: &'a Auth) -> Self {
        Self {
            client_token: auth.client_token.expose(),
            accessor: &auth.accessor,
            display_name: &auth.display_name,
            policies: &auth.policies,
            token_policies: &auth.token.token_policies,
            identity_policies: &auth.token.identity_policies,
            no_default_policy: auth.token.no_default_policy,
            metadata: Some(&auth.metadata),
            entity_id: &auth.token.entity_id,
            num_uses: auth.token.num_uses,
            token_type: auth.token.token_type,
            token_ttl: auth.lease.ttl,
            token_issued: auth.lease.issued,
            ..Self::default()
        }
    }
}

impl<'a> ReplyView<'a> {
    /// The view of a backend's reply.
    #[must_use]
    pub fn of(reply: &'a Reply) -> Self {
        Self {
            auth: reply.auth.as_deref().map(AuthView::of),
            lease_id: reply.secret.as_ref().map_or("", |secret| &secret.lease_id),
            data: Some(&reply.data),
            warnings: &reply.warnings,
            redirect: &reply.redirect,
            wrap: reply.wrap.as_deref(),
            headers: Some(&reply.headers),
        }
    }
}
