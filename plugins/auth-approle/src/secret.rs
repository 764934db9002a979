//! Secret ids as they are stored, in the shape of Go's methods: what is known of one under the
//! digests of its role's name and its own, and under its accessor's digest where that is.
//!
//! The secret id itself is nowhere. The accessor is written first and removed first: a secret id
//! without its accessor counts for nothing and is tidied up.

use std::{collections::BTreeMap, time::Duration};

use boltwork_sdk::{
    Result, StorageExt,
    credential::{nanoseconds, null_as_default},
    logical::Storage,
};
use serde::{Deserialize, Serialize};

use crate::{digest::Salted, moment::Moment};

/// Prefixes of secret ids and of accessors that other clusters have too.
const REPLICATED: (&str, &str) = ("secret_id/", "accessor/");

/// The same for those that stay in this cluster.
const LOCAL: (&str, &str) = ("secret_id_local/", "accessor_local/");

/// Prefixes of what is not replicated.
pub const LOCAL_PREFIXES: [&str; 2] = [LOCAL.0, LOCAL.1];

/// Both kinds: first the prefix of the secret ids, then the accessors'.
pub const KINDS: [(&str, &str); 2] = [REPLICATED, LOCAL];

/// What is known of a secret id.
#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Secret {
    /// Its other name, with which it can be looked up and destroyed, not used.
    pub secret_id_accessor: String,
    /// Uses that are left; 0 is no limit.
    pub secret_id_num_uses: i64,
    /// The life it was given; without end if zero.
    #[serde(with = "nanoseconds")]
    pub secret_id_ttl: Duration,
    /// When it was made.
    pub creation_time: Moment,
    /// When it ends; never if not set.
    pub expiration_time: Moment,
    /// When it was used last, if uses are counted.
    pub last_updated_time: Moment,
    /// What its logins say of themselves.
    #[serde(deserialize_with = "null_as_default")]
    pub metadata: BTreeMap<String, String>,
    /// Blocks that its logins must come from; none is anywhere.
    #[serde(deserialize_with = "null_as_default")]
    pub cidr_list: Vec<String>,
    /// Blocks that the tokens are bound to, instead of the role's.
    #[serde(rename = "token_cidr_list", deserialize_with = "null_as_default")]
    pub token_bound_cidrs: Vec<String>,
    /// Old name of `secret_id_num_uses`.
    #[serde(rename = "SecretIDNumUses", skip_serializing)]
    pub old_num_uses: i64,
}

/// What stands under an accessor.
#[derive(Serialize, Deserialize)]
pub struct Accessor {
    /// Digest of its secret id.
    pub secret_id_hmac: String,
}

impl Secret {
    /// Whether its time is over.
    pub fn is_over(&self, now: Moment) -> bool {
        self.expiration_time.is_set() && now >= self.expiration_time
    }

    fn raised(mut self) -> Self {
        let old = std::mem::take(&mut self.old_num_uses);
        if old != 0 && (self.secret_id_num_uses == 0 || old < self.secret_id_num_uses) {
            self.secret_id_num_uses = old;
        }
        self
    }
}

/// Where the secret ids of a role are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shelf {
    /// `secret_id/<digest of the role's name>/`, or the same under the local prefix.
    folder: String,
}

impl Shelf {
    /// The prefix for the secret ids of a role.
    pub fn prefix(local: bool) -> &'static str {
        if local { LOCAL.0 } else { REPLICATED.0 }
    }

    /// From a prefix and the digest of a role's name.
    pub fn new(prefix: &str, role: &str) -> Self {
        Self { folder: format!("{prefix}{role}/") }
    }

    /// Whether it stays in this cluster.
    pub fn is_local(&self) -> bool {
        self.folder.starts_with(LOCAL.0)
    }

    /// The prefix of all of them.
    pub fn folder(&self) -> &str {
        &self.folder
    }

    fn key(&self, digest: &str) -> String {
        format!("{}{digest}", self.folder)
    }

    fn accessor_key(&self, salt: &Salted, accessor: &str) -> String {
        let prefix = if self.is_local() { LOCAL.1 } else { REPLICATED.1 };
        format!("{prefix}{}", salt.digest(accessor))
    }

    /// What is known of a secret id.
    pub async fn load(&self, storage: &dyn Storage, digest: &str) -> Result<Option<Secret>> {
        let secret: Option<Secret> = storage.load(self.key(digest)).await?;
        Ok(secret.map(Secret::raised))
    }

    /// What stands under an accessor.
    pub async fn accessor(
        &self,
        storage: &dyn Storage,
        salt: &Salted,
        accessor: &str,
    ) -> Result<Option<Accessor>> {
        storage.load(self.accessor_key(salt, accessor)).await
    }

    /// Stores a new secret id with its accessor.
    pub async fn add(
        &self,
        storage: &dyn Storage,
        salt: &Salted,
        digest: &str,
        secret: &Secret,
    ) -> Result<()> {
        let accessor = Accessor { secret_id_hmac: digest.to_owned() };
        storage.save(self.accessor_key(salt, &secret.secret_id_accessor), &accessor).await?;
        self.update(storage, digest, secret).await
    }

    /// Stores a change.
    pub async fn update(&self, storage: &dyn Storage, digest: &str, secret: &Secret) -> Result<()> {
        storage.save(self.key(digest), secret).await
    }

    /// Removes a secret id and its accessor.
    pub async fn remove(
        &self,
        storage: &dyn Storage,
        salt: &Salted,
        digest: &str,
        secret: &Secret,
    ) -> Result<()> {
        if !secret.secret_id_accessor.is_empty() {
            storage.delete(&self.accessor_key(salt, &secret.secret_id_accessor)).await?;
        }
        Ok(storage.delete(&self.key(digest)).await?)
    }
}
