//! Tokens whose time has come are revoked by a task that sleeps until the next one is due.
//!
//! A token's end does not depend on it: every use compares the time. The task frees what the token
//! held.

use std::{sync::Weak, time::Duration};

use boltwork_logical::Error;

use super::{
    Digest, TokenStore,
    entry::{REVOCATION_PENDING, now},
};
use crate::due::Due;

/// How long to wait after a revocation failed.
pub const RETRY: u64 = 10;

/// Longest sleep in seconds, so that a change of the clock is noticed.
pub const NAP: u64 = 5;

/// When tokens end.
pub type Expiry = Due<Digest>;

impl TokenStore {
    /// Revokes tokens as they end, until the store is dropped.
    pub async fn run_expiry(store: Weak<Self>) {
        loop {
            let Some(this) = store.upgrade() else { return };
            let wait = match this.expiry.next() {
                Some((at, digest)) if at <= now() => {
                    this.end_if_due(digest).await;
                    continue;
                }
                Some((at, _)) => at.saturating_sub(now()),
                None => NAP,
            };
            // Short, so that a sealed server's store is not kept alive for long.
            this.expiry.sleep(Duration::from_secs(wait.clamp(1, NAP))).await;
        }
    }

    /// Revokes a token whose time has come. Its entry has the last word: it may have been renewed
    /// since.
    async fn end_if_due(&self, digest: Digest) {
        let due = match self.load(&digest).await {
            Ok(Some(entry)) if entry.is_alive(now()) => {
                return self.expiry.schedule(digest, entry.life.expire_time);
            }
            Ok(_) => self.revoke_tree(&digest).await,
            Err(error) => Err(error),
        };
        if let Err(error) = due {
            tracing::warn!(%error, "an ended token could not be removed; trying again");
            self.expiry.schedule(digest, now() + RETRY);
        }
    }

    /// Reads all tokens once after unsealing: schedules their ends, and those revocations that a
    /// crash interrupted for now. A token that cannot be read is reported and left.
    pub async fn recover(&self) -> Result<(), Error> {
        let mut after = String::new();
        loop {
            let page = self.storage.list_page("id/", &after, Some(500)).await?;
            let Some(last) = page.last() else { return Ok(()) };
            after.clone_from(last);
            for digest in page.iter().filter_map(|key| Digest::parse(key)) {
                match self.load(&digest).await {
                    Ok(Some(entry)) if entry.num_uses == REVOCATION_PENDING => {
                        self.expiry.schedule(digest, now());
                    }
                    Ok(Some(entry)) => self.expiry.schedule(digest, entry.life.expire_time),
                    Ok(None) => {}
                    Err(Error::Sealed) => return Err(Error::Sealed),
                    Err(error) => tracing::error!(%error, "a stored token cannot be read"),
                }
            }
        }
    }
}
