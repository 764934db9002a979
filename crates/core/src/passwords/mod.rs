//! Password policies: what the passwords that the server makes must look like.
//!
//! Stored as Vault stores them, below `sys/password_policy/`. A policy is read from storage for
//! every password: passwords are made now and then, and each of them goes to another system.

mod generate;
mod policy;

use std::sync::Arc;

use boltwork_logical::{Entry, Error, Storage};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

pub use policy::PasswordPolicy;

/// Longest text of a password policy, in bytes.
const MAX_TEXT: usize = 1 << 16;

/// Most folders that a list of names looks into.
const MAX_FOLDERS: usize = 10_000;

/// The store of password policies.
pub struct PasswordPolicies {
    /// `sys/password_policy/`.
    storage: Arc<dyn Storage>,
}

/// A stored policy, in Vault's form.
#[derive(Serialize, Deserialize)]
struct Stored {
    policy: String,
}

impl PasswordPolicies {
    /// Policies kept under `storage` (`sys/password_policy/`).
    pub fn new(storage: Arc<dyn Storage>) -> Self {
        Self { storage }
    }

    /// Stores a policy after checking it. `Err` within is what is wrong with the text, for the
    /// caller.
    pub async fn put(&self, name: &str, text: &str) -> Result<Result<(), String>, Error> {
        if text.len() > MAX_TEXT {
            return Ok(Err(format!("a password policy may have at most {MAX_TEXT} bytes")));
        }
        if let Err(fault) = PasswordPolicy::parse(text).and_then(|p| p.check_possible()) {
            return Ok(Err(fault));
        }
        let stored = Stored { policy: text.to_owned() };
        let value = serde_json::to_vec(&stored).map_err(|e| Error::internal(e.to_string()))?;
        self.storage.put(Entry::new(name, value)).await?;
        Ok(Ok(()))
    }

    /// The text of a policy; `None` if there is none.
    pub async fn text(&self, name: &str) -> Result<Option<String>, Error> {
        let Some(entry) = self.storage.get(name).await? else { return Ok(None) };
        let stored: Stored = serde_json::from_slice(&entry.value).map_err(|_| {
            Error::internal(format!("stored password policy {name:?} is not valid JSON"))
        })?;
        Ok(Some(stored.policy))
    }

    /// Removes a policy; no error if there is none.
    pub async fn delete(&self, name: &str) -> Result<(), Error> {
        Ok(self.storage.delete(name).await?)
    }

    /// Names of all policies; one may hold slashes. Those of a folder stand together, sorted, those
    /// of the folders in it after them, as in Vault.
    pub async fn list(&self) -> Result<Vec<String>, Error> {
        let mut names = Vec::new();
        let mut folders = vec![String::new()];
        let mut looked = 0;
        while let Some(folder) = folders.pop() {
            looked += 1;
            if looked > MAX_FOLDERS {
                return Err(Error::internal("there are too many folders of password policies"));
            }
            for key in self.storage.list(&folder).await? {
                let whole = format!("{folder}{key}");
                if key.ends_with('/') { folders.push(whole) } else { names.push(whole) }
            }
        }
        Ok(names)
    }

    /// A password that a policy allows; for backends and plugins.
    pub async fn generate(&self, name: &str) -> Result<Zeroizing<String>, Error> {
        if name.is_empty() {
            return Err(Error::invalid("missing password policy name"));
        }
        let text =
            self.text(name).await?.ok_or_else(|| Error::invalid("no password policy found"))?;
        let policy = PasswordPolicy::parse(&text)
            .map_err(|e| Error::internal(format!("stored password policy is invalid: {e}")))?;
        policy.generate().await.map_err(|e| Error::internal(e.to_string()))
    }
}
