//! A token as it is stored.
//!
//! The token itself is not: entries stand under a keyed digest of it, so that a dump of decrypted
//! storage holds no usable token. Field names are Vault's; `expire_time` and `last_renewal_time`
//! are ours (Vault keeps them in a lease).

use std::{
    collections::BTreeMap,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use serde::{Deserialize, Serialize};

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
}

/// Times of a token, in seconds; 0 means none.
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
}

impl TokenEntry {
    /// Whether it has no parent.
    pub fn is_orphan(&self) -> bool {
        self.parent.is_empty()
    }

    /// Whether it can still be used at this moment, its remaining uses aside.
    pub fn is_alive(&self, now: u64) -> bool {
        self.num_uses != REVOCATION_PENDING
            && (self.life.expire_time == 0 || now < self.life.expire_time)
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

/// The TTL that a token gets: what is asked, within what the mount and the token allow.
/// `asked` zero means the default. Returns seconds, and a warning if it was cut.
pub fn cap_ttl(
    asked: u64,
    default: Duration,
    max: Duration,
    explicit_max: u64,
) -> (u64, Option<String>) {
    let ttl = if asked == 0 { default.as_secs() } else { asked };
    let mut limit = max.as_secs();
    if explicit_max > 0 {
        limit = limit.min(explicit_max);
    }
    if limit > 0 && ttl > limit {
        let warning = format!(
            "TTL of \"{}\" exceeded the effective max_ttl of \"{}\"; TTL value is capped accordingly",
            go_duration(ttl),
            go_duration(limit)
        );
        return (limit, Some(warning));
    }
    (ttl, None)
}

/// Seconds as Go prints a duration: `1h0m0s`.
pub fn go_duration(seconds: u64) -> String {
    let (h, m, s) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    match (h, m) {
        (0, 0) => format!("{s}s"),
        (0, _) => format!("{m}m{s}s"),
        _ => format!("{h}h{m}m{s}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ttl_beyond_the_limit_is_cut_and_said() {
        let (ttl, warning) = cap_ttl(7200, Duration::from_secs(60), Duration::from_secs(3600), 0);
        assert_eq!(ttl, 3600);
        assert!(warning.unwrap().contains("2h0m0s"));
        assert_eq!(cap_ttl(0, Duration::from_secs(60), Duration::from_secs(3600), 0), (60, None));
        assert_eq!(cap_ttl(50, Duration::from_secs(60), Duration::from_secs(3600), 40).0, 40);
    }

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
