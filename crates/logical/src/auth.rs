//! The outcome of a login: who the caller turned out to be, and what token that deserves.

use std::{collections::BTreeMap, time::Duration};

use serde::{Deserialize, Serialize};

use crate::{Data, Lease, SecretText};

/// A login's result. A backend fills what it knows; the core makes the token.
#[derive(Debug, Clone, Default)]
pub struct Auth {
    /// TTLs and whether the token may be renewed.
    pub lease: Lease,
    /// What the backend wants back at renewal. Never shown to a client.
    pub internal: Data,
    /// Name for humans; becomes part of the token's display name.
    pub display_name: String,
    /// Policies that the login gives.
    pub policies: Vec<String>,
    /// Shown in the reply and the audit log.
    pub metadata: BTreeMap<String, String>,
    /// The token; set by the core (or by a renewal).
    pub client_token: SecretText,
    /// The token's accessor; set by the core.
    pub accessor: String,
    /// Who the caller is to the identity store.
    pub alias: Option<Alias>,
    /// Groups of the caller in the backend's own world.
    pub group_aliases: Vec<Alias>,
    /// The kind of token wanted, and its limits.
    pub token: TokenWish,
}

/// Limits that a login puts on its token.
#[derive(Debug, Clone, Default)]
pub struct TokenWish {
    /// Kind of token.
    pub token_type: TokenType,
    /// Renewals set the TTL to this; zero means not periodic.
    pub period: Duration,
    /// Uses before the token is spent; 0 is no limit.
    pub num_uses: i64,
    /// Hard end of the token's life; zero means the mount's.
    pub explicit_max_ttl: Duration,
    /// Addresses the token may be used from (IP, CIDR or unix path).
    pub bound_cidrs: Vec<String>,
    /// Do not add the policy `default`.
    pub no_default_policy: bool,
    /// Set by the core: policies of the token itself.
    pub token_policies: Vec<String>,
    /// Set by the core: policies by way of the identity.
    pub identity_policies: Vec<String>,
    /// Set by the core: the entity.
    pub entity_id: String,
    /// Set by the core: the token has no parent.
    pub orphan: bool,
}

/// Kind of a token. The numbers are the protocol's (wire spec 2.8).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[repr(u8)]
pub enum TokenType {
    /// Whatever the mount says.
    #[default]
    Default = 0,
    /// Stored, renewable, revocable.
    Service = 1,
    /// Encrypted and self-contained.
    Batch = 2,
    /// Service unless the backend insists on batch.
    DefaultService = 3,
    /// Batch unless the backend insists on service.
    DefaultBatch = 4,
}

impl TokenType {
    /// Reads the protocol's number; unknown numbers are `Default`.
    pub const fn from_number(number: u32) -> Self {
        match number {
            1 => Self::Service,
            2 => Self::Batch,
            3 => Self::DefaultService,
            4 => Self::DefaultBatch,
            _ => Self::Default,
        }
    }
}

/// One name of an entity at one auth mount.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alias {
    /// Type of the auth mount.
    pub mount_type: String,
    /// Accessor of the auth mount; the core overwrites what a backend says.
    pub mount_accessor: String,
    /// The name.
    pub name: String,
    /// Facts about the name.
    pub metadata: BTreeMap<String, String>,
    /// Id of the alias.
    pub id: String,
    /// Namespace.
    pub namespace_id: String,
    /// Facts an operator added.
    pub custom_metadata: BTreeMap<String, String>,
    /// Not replicated.
    pub local: bool,
}
