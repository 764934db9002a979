//! A lease as it is stored.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use boltwork_logical::{Data, Lease, Secret};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// What is known of a lease. Times are in seconds since 1970, lengths in seconds.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct LeaseEntry {
    /// Path of the request that gave the secret, a slash, and a random part.
    pub lease_id: String,
    /// Path of the request that gave the secret.
    pub path: String,
    /// Digest of the token with which it ends: the one that it was given to, or that one's parent if
    /// it is a batch token. Empty if there is none.
    pub token_digest: String,
    /// What was given.
    pub data: Box<RawValue>,
    /// What the backend wants back to renew or revoke it.
    pub internal: Box<RawValue>,
    /// Longest life that the backend set; 0 is the mount's.
    pub max_ttl: u64,
    /// May be renewed.
    pub renewable: bool,
    /// TTL given at issue or last renewal.
    pub ttl: u64,
    /// When it was given.
    pub issue_time: u64,
    /// When it ends.
    pub expire_time: u64,
    /// Last renewal; 0 is never.
    pub last_renewal_time: u64,
    /// When the batch token ends that it was given to, which no renewal outlives; 0 if it was given
    /// to another.
    #[serde(default)]
    pub token_end: u64,
    /// Why it can never be taken back; empty while there is hope.
    #[serde(default)]
    pub revoke_error: String,
}

impl LeaseEntry {
    /// Whether nobody tries to take it back any more.
    pub fn is_irrevocable(&self) -> bool {
        !self.revoke_error.is_empty()
    }

    /// The secret as its backend is to see it.
    pub fn secret(&self, increment: u64) -> Secret {
        Secret {
            lease: Lease {
                ttl: Duration::from_secs(self.ttl),
                max_ttl: Duration::from_secs(self.max_ttl),
                renewable: self.renewable,
                increment: Duration::from_secs(increment),
                issued: Some(self.issued()),
            },
            internal: data_of(&self.internal),
            lease_id: self.lease_id.clone(),
        }
    }

    /// What was given.
    pub fn given(&self) -> Data {
        data_of(&self.data)
    }

    fn issued(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(self.issue_time)
    }
}

/// Stored JSON is valid; anything else could not have been read.
fn data_of(raw: &RawValue) -> Data {
    Data::parse(raw.get().as_bytes().to_vec()).unwrap_or_default()
}

/// Data as it is stored.
pub fn raw_of(data: &Data) -> Option<Box<RawValue>> {
    RawValue::from_string(data.as_str().to_owned()).ok()
}
