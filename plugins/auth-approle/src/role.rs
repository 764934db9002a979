//! A role as it is stored, in the shape of Go's methods: under `role/<name>`, and beside it, under
//! `role_id/<digest of the role id>`, the name again.

use std::time::Duration;

use boltwork_sdk::{
    Result, StorageExt,
    credential::{TokenParams, nanoseconds, null_as_default},
    logical::{Error, Storage},
};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{
    digest::{self, Salted},
    secret::Shelf,
};

/// Where roles are.
pub const PREFIX: &str = "role/";

/// What is known of a role.
#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Role {
    /// Its name; part of the key, not of the value.
    #[serde(skip)]
    pub name: String,
    /// What tokens its logins give.
    #[serde(flatten)]
    pub token: TokenParams,
    /// Who the role is, at logins.
    pub role_id: String,
    /// Key of the digests of its secret ids.
    hmac_key: String,
    /// `policies`, if they were set under that name.
    #[serde(deserialize_with = "null_as_default")]
    pub policies: Vec<String>,
    /// Uses of a secret id; 0 is no limit.
    pub secret_id_num_uses: i64,
    /// Life of a secret id; without end if zero.
    #[serde(with = "nanoseconds")]
    pub secret_id_ttl: Duration,
    /// Whether logins need a secret id.
    pub bind_secret_id: bool,
    /// Blocks of addresses that logins must come from; none is anywhere.
    #[serde(deserialize_with = "null_as_default")]
    pub secret_id_bound_cidrs: Vec<String>,
    /// `period`, if it was set under that name.
    #[serde(with = "nanoseconds")]
    pub period: Duration,
    /// Whether the name counts in lower case; not for roles from before Vault 0.10.
    lower_case_role_name: bool,
    /// Prefix of its secret ids in storage.
    secret_id_prefix: String,
    /// Old names of `secret_id_bound_cidrs`, only ever read.
    #[serde(skip_serializing)]
    bound_cidr_list: String,
    #[serde(skip_serializing, deserialize_with = "null_as_default")]
    bound_cidr_list_list: Vec<String>,
}

/// What stands under a role id.
#[derive(Serialize, Deserialize)]
struct RoleName {
    name: String,
}

impl Role {
    /// A new role. It has no role id yet.
    pub fn new(name: &str, local_secret_ids: bool) -> Self {
        Self {
            name: name.to_lowercase(),
            hmac_key: Uuid::new_v4().to_string(),
            lower_case_role_name: true,
            bind_secret_id: true,
            secret_id_prefix: Shelf::prefix(local_secret_ids).to_owned(),
            ..Self::default()
        }
    }

    /// Reads a role. The name must have been [checked](check_name).
    pub async fn load(storage: &dyn Storage, name: &str) -> Result<Option<Self>> {
        let role: Option<Self> = storage.load(key(name)).await?;
        Ok(role.map(|role| role.raised(name)))
    }

    /// The name of the role with this role id.
    pub async fn name_of(storage: &dyn Storage, salt: &Salted, id: &str) -> Result<Option<String>> {
        let found: Option<RoleName> = storage.load(salt.role_id_key(id)).await?;
        Ok(found.map(|found| found.name))
    }

    /// Stores a role and, if its role id is another than `before`, the way from there to its name.
    pub async fn save(&self, storage: &dyn Storage, salt: &Salted, before: &str) -> Result<()> {
        if !self.is_constrained() {
            // Vault's status for it is 500.
            return Err(Error::internal("at least one constraint should be enabled on the role"));
        }
        let named = Self::name_of(storage, salt, &self.role_id).await?;
        if named.is_some_and(|name| name != self.name) {
            return Err(Error::internal("role_id already in use"));
        }
        if before != self.role_id && !before.is_empty() {
            storage.delete(&salt.role_id_key(before)).await?;
        }
        storage.save(key(&self.name), self).await?;
        let name = RoleName { name: self.name.clone() };
        storage.save(salt.role_id_key(&self.role_id), &name).await
    }

    /// Removes a role and the way from its role id; its secret ids are of no use from then on.
    pub async fn remove(&self, storage: &dyn Storage, salt: &Salted) -> Result<()> {
        storage.delete(&salt.role_id_key(&self.role_id)).await?;
        Ok(storage.delete(&key(&self.name)).await?)
    }

    /// Whether anything keeps strangers out.
    pub fn is_constrained(&self) -> bool {
        self.bind_secret_id
            || !self.secret_id_bound_cidrs.is_empty()
            || !self.token.token_bound_cidrs.is_empty()
    }

    /// Where its secret ids are.
    pub fn shelf(&self) -> Result<Shelf> {
        let digest = digest::hmac(&self.hmac_key, &self.name, "role_name")?;
        Ok(Shelf::new(&self.secret_id_prefix, &digest))
    }

    /// The digest under which one of its secret ids is kept.
    pub fn digest(&self, secret_id: &str) -> Result<String> {
        digest::hmac(&self.hmac_key, secret_id, "secret_id")
    }

    /// Roles from older versions have some settings under other names.
    fn raised(mut self, name: &str) -> Self {
        if !self.bound_cidr_list.is_empty() {
            let blocks = std::mem::take(&mut self.bound_cidr_list).to_lowercase();
            let blocks = blocks.split(',').map(str::trim).filter(|block| !block.is_empty());
            self.secret_id_bound_cidrs = blocks.map(str::to_owned).collect();
        }
        if !self.bound_cidr_list_list.is_empty() {
            self.secret_id_bound_cidrs = std::mem::take(&mut self.bound_cidr_list_list);
        }
        if self.secret_id_prefix.is_empty() {
            Shelf::prefix(false).clone_into(&mut self.secret_id_prefix);
        }
        if self.token.token_period.is_zero() {
            self.token.token_period = self.period;
        }
        if self.token.token_policies.is_empty() {
            self.token.token_policies.clone_from(&self.policies);
        }
        self.name = if self.lower_case_role_name { name.to_lowercase() } else { name.to_owned() };
        self
    }
}

/// Where a role is. The case of its name never counts there.
fn key(name: &str) -> String {
    format!("{PREFIX}{}", name.to_lowercase())
}

/// Refuses what is no name of a role: letters, digits and `_`, inside also `-` and `.`. Under any other
/// there is no path, as in Vault.
pub fn check_name(name: &str) -> Result<()> {
    let word = |c: u8| c.is_ascii_alphanumeric() || c == b'_';
    let bytes = name.as_bytes();
    let ends = [bytes.first(), bytes.last()].iter().all(|end| end.is_some_and(|&c| word(c)));
    if !ends || !bytes.iter().all(|&c| word(c) || c == b'-' || c == b'.') {
        return Err(Error::UnsupportedPath);
    }
    if bytes.len() > digest::MAX_BYTES {
        let max = digest::MAX_BYTES;
        return Err(Error::invalid(format!("role_name is longer than maximum of {max} bytes")));
    }
    Ok(())
}
