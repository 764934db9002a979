//! Batch tokens: an entry that is not stored but handed out, encrypted by the barrier.
//!
//! They cost no storage, and can be neither renewed nor revoked: one ends at its time, or with its
//! parent. They have no accessor, no cubbyhole and no count of uses.

use std::sync::Arc;

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use boltwork_logical::{Error, SecretText};
use zeroize::Zeroizing;

use super::{Digest, TokenEntry, TokenStore, now};

/// What batch tokens begin with.
const PREFIX: &str = "hvb.";

/// What they began with before Vault 1.10, and begin with in OpenBao.
const OLD_PREFIX: &str = "b.";

/// Longest text that is looked at as a batch token, in bytes.
const LONGEST: usize = 64 * 1024;

/// Whether a text can only be a batch token.
pub fn is_batch(token: &str) -> bool {
    inside(token).is_some()
}

fn inside(token: &str) -> Option<&str> {
    token.strip_prefix(PREFIX).or_else(|| token.strip_prefix(OLD_PREFIX))
}

impl TokenStore {
    /// The token that holds an entry.
    pub(super) async fn make_batch(
        &self,
        entry: TokenEntry,
    ) -> Result<(SecretText, Arc<TokenEntry>), Error> {
        if !self.has_living_parent(&entry).await? {
            return Err(Error::Denied);
        }
        let json = serde_json::to_vec(&entry).map(Zeroizing::new);
        let json = json.map_err(|_| Error::internal("a token could not be written as JSON"))?;
        let sealed = self.barrier.encrypt_apart(&json).map_err(unusable)?;
        let text = Zeroizing::new(format!("{PREFIX}{}", BASE64_URL_SAFE_NO_PAD.encode(sealed)));
        if text.len() > LONGEST {
            return Err(Error::invalid(format!(
                "a batch token holds its own metadata, and this one would be longer than {LONGEST} \
                 bytes: give it less"
            )));
        }
        Ok((SecretText::new(text.as_str()), Arc::new(entry)))
    }

    /// The entry inside a batch token, if the token is genuine and neither it nor its parent has
    /// ended.
    pub(super) async fn living_batch(&self, token: &str) -> Result<Option<TokenEntry>, Error> {
        let Some(entry) = self.open_batch(token)? else { return Ok(None) };
        let alive = entry.is_batch() && entry.is_alive(now());
        Ok(match alive && self.has_living_parent(&entry).await? {
            true => Some(entry),
            false => None,
        })
    }

    fn open_batch(&self, token: &str) -> Result<Option<TokenEntry>, Error> {
        let Some(text) = inside(token).filter(|text| text.len() <= LONGEST) else {
            return Ok(None);
        };
        let Ok(sealed) = BASE64_URL_SAFE_NO_PAD.decode(text) else { return Ok(None) };
        match self.barrier.decrypt_apart(sealed) {
            Ok(json) => Ok(serde_json::from_slice(&json).ok()),
            Err(boltwork_barrier::Error::Sealed) => Err(Error::Sealed),
            // Somebody's guess.
            Err(_) => Ok(None),
        }
    }

    /// Whether the token that an entry depends on is there; an orphan depends on none.
    pub async fn has_living_parent(&self, entry: &TokenEntry) -> Result<bool, Error> {
        if entry.is_orphan() {
            return Ok(true);
        }
        match Digest::parse(&entry.parent) {
            Some(parent) => Ok(self.lookup(&parent).await?.is_some()),
            None => Ok(false),
        }
    }
}

fn unusable(error: boltwork_barrier::Error) -> Error {
    match error {
        boltwork_barrier::Error::Sealed => Error::Sealed,
        error => Error::internal(format!("a batch token could not be encrypted: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_begins_like_one_is_taken_for_a_batch_token() {
        for (token, batch) in
            [("hvb.AAAA", true), ("b.AAAA", true), ("hvs.AAAA", false), ("hvb", false), ("", false)]
        {
            assert_eq!(is_batch(token), batch, "{token}");
        }
    }
}
