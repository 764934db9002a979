//! Tokens whose time has come are revoked by a task that sleeps until the next one is due.
//!
//! A token's end does not depend on it: every use compares the time. The task frees what the token
//! held.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Arc, Weak},
    time::Duration,
};

use boltwork_logical::Error;
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::{
    Digest, TokenStore,
    entry::{REVOCATION_PENDING, now},
};

/// How long to wait after a revocation failed.
pub const RETRY: u64 = 10;

/// Longest sleep, so that a change of the clock is noticed.
const NAP: u64 = 60;

/// When tokens end.
#[derive(Default)]
pub struct Expiry {
    due: Mutex<Due>,
    changed: Notify,
}

#[derive(Default)]
struct Due {
    by_time: BTreeSet<(u64, Digest)>,
    by_token: HashMap<Digest, u64>,
}

impl Expiry {
    /// Sets when a token ends; 0 is never.
    pub fn schedule(&self, digest: Digest, at: u64) {
        let mut due = self.due.lock();
        if let Some(old) = due.by_token.remove(&digest) {
            due.by_time.remove(&(old, digest));
        }
        if at == 0 {
            return;
        }
        due.by_token.insert(digest, at);
        due.by_time.insert((at, digest));
        if due.by_time.first() == Some(&(at, digest)) {
            self.changed.notify_one();
        }
    }

    /// The token is gone.
    pub fn forget(&self, digest: &Digest) {
        self.schedule(*digest, 0);
    }

    fn next(&self) -> Option<(u64, Digest)> {
        self.due.lock().by_time.first().copied()
    }
}

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
                Some((at, _)) => (at - now()).min(NAP),
                None => NAP,
            };
            Self::nap(this, wait).await;
        }
    }

    /// Sleeps without keeping the store alive for long.
    async fn nap(this: Arc<Self>, seconds: u64) {
        let nap = Duration::from_secs(seconds.max(1));
        let _ =
            tokio::time::timeout(nap.min(Duration::from_secs(5)), this.expiry.changed.notified())
                .await;
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
