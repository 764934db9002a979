//! A user as it is stored: under `user/<name>`, in the shape of Go's methods.

use std::time::Duration;

use boltwork_sdk::{
    Base64, Result, StorageExt,
    credential::{BoundAddress, TokenParams, nanoseconds, null_as_default},
    logical::{Error, Storage},
};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

/// Where users are.
pub const PREFIX: &str = "user/";

/// What is known of a user. Beside the settings of its tokens, the ones that were set under an old
/// name are kept under that name too, because they are shown there.
#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct User {
    /// What tokens its logins give.
    #[serde(flatten)]
    pub token: TokenParams,
    /// The password's bcrypt hash.
    #[serde(rename = "PasswordHash")]
    hash: Option<Base64>,
    /// `policies`
    #[serde(rename = "Policies", deserialize_with = "null_as_default")]
    pub policies: Vec<String>,
    /// `ttl`
    #[serde(rename = "TTL", with = "nanoseconds")]
    pub ttl: Duration,
    /// `max_ttl`
    #[serde(rename = "MaxTTL", with = "nanoseconds")]
    pub max_ttl: Duration,
    /// `bound_cidrs`
    #[serde(rename = "BoundCIDRs", deserialize_with = "null_as_default")]
    pub bound_cidrs: Vec<BoundAddress>,
}

impl User {
    /// Reads a user. The name must have been [read](name).
    pub async fn load(storage: &dyn Storage, name: &str) -> Result<Option<Self>> {
        let user: Option<Self> = storage.load(format!("{PREFIX}{name}")).await?;
        Ok(user.map(Self::raised))
    }

    /// Stores a user.
    pub async fn save(&self, storage: &dyn Storage, name: &str) -> Result<()> {
        storage.save(format!("{PREFIX}{name}"), self).await
    }

    /// The password's hash, if it has one.
    pub fn hash(&self) -> Option<Zeroizing<String>> {
        let bytes = self.hash.as_ref().filter(|hash| !hash.is_empty())?;
        std::str::from_utf8(bytes).ok().map(|text| Zeroizing::new(text.to_owned()))
    }

    /// Sets the password's hash.
    pub fn set_hash(&mut self, hash: &str) {
        self.hash = Some(Base64(Zeroizing::new(hash.as_bytes().to_vec())));
    }

    /// Users written before Vault 1.2 only have the old names.
    fn raised(mut self) -> Self {
        let token = &mut self.token;
        if token.token_ttl.is_zero() {
            token.token_ttl = self.ttl;
        }
        if token.token_max_ttl.is_zero() {
            token.token_max_ttl = self.max_ttl;
        }
        if token.token_policies.is_empty() {
            token.token_policies.clone_from(&self.policies);
        }
        if token.token_bound_cidrs.is_empty() {
            token.token_bound_cidrs.clone_from(&self.bound_cidrs);
        }
        self
    }
}

/// Reads a user's name: letters, digits and `_`, inside also `-` and `.`, in lower case. Under any
/// other there is no path, as in Vault.
pub fn name(text: &str) -> Result<String> {
    let word = |c: u8| c.is_ascii_alphanumeric() || c == b'_';
    let bytes = text.as_bytes();
    let ends = [bytes.first(), bytes.last()].iter().all(|end| end.is_some_and(|&c| word(c)));
    if ends && bytes.iter().all(|&c| word(c) || c == b'-' || c == b'.') {
        return Ok(text.to_ascii_lowercase());
    }
    Err(Error::UnsupportedPath)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_words_in_lower_case() {
        for (text, wanted) in [
            ("Bob", Some("bob")),
            ("a", Some("a")),
            ("a-b.c_1", Some("a-b.c_1")),
            ("-a", None),
            ("a.", None),
            ("a@b", None),
            ("ä", None),
            ("", None),
        ] {
            assert_eq!(name(text).ok().as_deref(), wanted, "{text:?}");
        }
    }
}
