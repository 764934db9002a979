//! A token as it is stored.
//!
//! The token itself is not: entries stand under a keyed digest of it, so that a dump of decrypted
//! storage holds no usable token. Field names are Vault's; `expire_time` and `last_renewal_time`
//! are ours (Vault keeps them in a lease).

use std::{
    collections::BTreeMap,
    net::IpAddr,
    time::{SystemTime, UNIX_EPOCH},
};

use boltwork_logical::Alias;
use serde::{Deserialize, Serialize};

use super::cidr::cidr_contains;

/// Marks a token whose revocation has begun: it is worth nothing any more.
pub const REVOCATION_PENDING: i64 = -3;

/// What is known of a token.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct TokenEntry {
    /// Name of the token that is not a secret.
    pub accessor: String,
    /// Digest of the parent token; empty for an orphan.
    pub parent: String,
    /// Sorted, without duplicates.
    pub policies: Vec<String>,
    /// Where it was made.
    pub path: String,
    /// Facts given at creation.
    pub meta: Option<BTreeMap<String, String>>,
    /// For humans.
    pub display_name: String,
    /// Uses left; 0 is no limit, [`REVOCATION_PENDING`] is the end.
    pub num_uses: i64,
    /// Seconds since 1970.
    pub creation_time: i64,
    /// The whole of its times, in seconds.
    #[serde(flatten)]
    pub life: Life,
    /// Role it was made with.
    pub role: String,
    /// Entity.
    pub entity_id: String,
    /// Networks it may be used from.
    pub bound_cidrs: Vec<String>,
    /// Service or batch.
    #[serde(rename = "type")]
    pub kind: TokenKind,
    /// What the auth method wants to know again when it is renewed; `None` if it came from none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub login: Option<Box<Login>>,
}

/// Where a token is kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TokenKind {
    /// In storage: it can be renewed and revoked, and has a cubbyhole.
    #[default]
    Service,
    /// In itself, encrypted: whoever holds it holds all of it, and only time ends it.
    Batch,
}

impl TokenKind {
    /// Its name in the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Service => "service",
            Self::Batch => "batch",
        }
    }
}

/// A login, as its auth method is asked about it at renewal.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Login {
    /// The backend's internal data, as JSON text.
    pub internal: String,
    /// Longest life that the backend set, in seconds; 0 is the mount's.
    pub max_ttl: u64,
    /// Whether the policy `default` was left out.
    pub no_default_policy: bool,
    /// Who logged in.
    pub alias: Option<Alias>,
    /// Groups of whoever logged in, in the backend's own world.
    pub group_aliases: Vec<Alias>,
}

/// The internal data may be secret.
impl std::fmt::Debug for Login {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Login").field("max_ttl", &self.max_ttl).finish_non_exhaustive()
    }
}

/// How long a token lives: times in seconds, 0 for none, and uses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Life {
    /// TTL given at creation or last renewal.
    pub ttl: u64,
    /// TTL at creation, for display.
    pub creation_ttl: u64,
    /// Hard end after creation.
    pub explicit_max_ttl: u64,
    /// Renewals set the TTL to this.
    pub period: u64,
    /// When it ends; 0 is never. Seconds since 1970.
    pub expire_time: u64,
    /// Last renewal; 0 is never. Seconds since 1970.
    pub last_renewal_time: u64,
    /// May be renewed.
    pub renewable: bool,
    /// Uses that it had at first; 0 is no limit.
    pub uses: i64,
}

impl TokenEntry {
    /// Whether it is kept in itself.
    pub fn is_batch(&self) -> bool {
        self.kind == TokenKind::Batch
    }

    /// Whether it has no parent.
    pub fn is_orphan(&self) -> bool {
        self.parent.is_empty()
    }

    /// Whether it can still be used at this moment, its remaining uses aside.
    pub fn is_alive(&self, now: u64) -> bool {
        self.num_uses != REVOCATION_PENDING
            && (self.life.expire_time == 0 || now < self.life.expire_time)
    }

    /// Whether it may be used from an address, which is asked for only where that matters. An
    /// unknown one lies in no network.
    pub fn admits(&self, from: impl FnOnce() -> Option<IpAddr>) -> bool {
        self.bound_cidrs.is_empty()
            || from().is_some_and(|address| {
                self.bound_cidrs.iter().any(|cidr| cidr_contains(cidr, address))
            })
    }

    /// Seconds left; 0 for a token that does not expire.
    pub fn remaining(&self, now: u64) -> u64 {
        self.life.expire_time.saturating_sub(now)
    }
}

/// Seconds since 1970.
pub fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs())
}

/// Policy names as they are kept: lower case, without blanks, sorted, each once.
pub fn sanitized_policies<'a>(
    names: impl IntoIterator<Item = &'a String>,
    add_default: bool,
) -> Vec<String> {
    let mut clean: Vec<String> =
        names.into_iter().map(|p| p.trim().to_lowercase()).filter(|p| !p.is_empty()).collect();
    if clean.iter().any(|p| p == "root") {
        return vec!["root".to_owned()];
    }
    if add_default {
        clean.push("default".to_owned());
    }
    clean.sort();
    clean.dedup();
    clean
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_under_revocation_is_dead() {
        let mut entry = TokenEntry::default();
        assert!(entry.is_alive(1));
        entry.num_uses = REVOCATION_PENDING;
        assert!(!entry.is_alive(1));
        entry.num_uses = 0;
        entry.life.expire_time = 10;
        assert!(entry.is_alive(9));
        assert!(!entry.is_alive(10));
    }
}
