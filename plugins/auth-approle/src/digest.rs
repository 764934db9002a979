//! Names under which secrets are kept: digests, so that nobody who sees the storage, or a list of
//! its keys, can log in with what is there.
//!
//! * secret ids and names of roles: HMAC-SHA-256 under the role's own key;
//! * role ids and accessors: SHA-256 over the mount's salt and the id.
//!
//! Both are as HashiCorp's and OpenBao's methods make them.

use std::sync::Arc;

use aws_lc_rs::{digest, hmac};
use boltwork_sdk::{
    Result,
    logical::{Entry, Error, Storage},
};
use tokio::sync::RwLock;
use uuid::Uuid;

/// Where a mount's salt is.
pub const SALT: &str = "salt";

/// Bytes that an HMAC is made of, at most; so long may names of roles and secret ids be.
pub const MAX_BYTES: usize = 4096;

/// The HMAC of a value in hex. `what` names the value in errors.
pub fn hmac(key: &str, value: &str, what: &str) -> Result<String> {
    let failed = |why: &str| Error::internal(format!("failed to create HMAC of {what}: {why}"));
    if key.is_empty() {
        return Err(failed("invalid HMAC key"));
    }
    if value.len() > MAX_BYTES {
        return Err(failed(&format!("value is longer than maximum of {MAX_BYTES} bytes")));
    }
    let key = hmac::Key::new(hmac::HMAC_SHA256, key.as_bytes());
    Ok(hex::encode(hmac::sign(&key, value.as_bytes())))
}

/// A mount's salt, read once and made when there is none yet.
#[derive(Default)]
pub struct Salt(RwLock<Option<Salted>>);

impl Salt {
    /// The salt, from memory or storage.
    pub async fn get(&self, storage: &dyn Storage) -> Result<Salted> {
        if let Some(salt) = &*self.0.read().await {
            return Ok(salt.clone());
        }
        let mut cached = self.0.write().await;
        if let Some(salt) = &*cached {
            return Ok(salt.clone());
        }
        let stored = storage.get(SALT).await?.filter(|entry| !entry.value.is_empty());
        let salt = match stored {
            Some(entry) => std::str::from_utf8(&entry.value)
                .map_err(|_| Error::internal("the mount's stored salt is not text"))?
                .to_owned(),
            None => {
                let salt = Uuid::new_v4().to_string();
                storage.put(Entry::new(SALT, salt.as_bytes())).await?;
                salt
            }
        };
        Ok(cached.insert(Salted(salt.into())).clone())
    }

    /// Forgets it, because storage changed.
    pub async fn forget(&self) {
        *self.0.write().await = None;
    }
}

/// A mount's salt.
#[derive(Clone)]
pub struct Salted(Arc<str>);

impl Salted {
    /// The salted digest of an id, in hex.
    pub fn digest(&self, id: &str) -> String {
        let mut context = digest::Context::new(&digest::SHA256);
        context.update(self.0.as_bytes());
        context.update(id.as_bytes());
        hex::encode(context.finish())
    }

    /// Where the role of this role id is named.
    pub fn role_id_key(&self, role_id: &str) -> String {
        format!("role_id/{}", self.digest(role_id))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_are_those_of_gos_method() {
        let made = hmac("key", "The quick brown fox jumps over the lazy dog", "x").unwrap();
        assert_eq!(made, "f7bc83f430538424b13298e6aa6fb143ef4d59a14946175997479dbc2d1a3cd8");
        let salted = Salted("ab".into()).digest("c");
        assert_eq!(salted, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }

    #[test]
    fn values_without_bound_are_not_digested() {
        let refused = hmac("key", &"x".repeat(4097), "secret_id").unwrap_err().to_string();
        assert!(refused.ends_with("secret_id: value is longer than maximum of 4096 bytes"));
        assert!(hmac("", "x", "secret_id").is_err());
    }
}
