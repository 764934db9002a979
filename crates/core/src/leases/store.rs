//! Storing leases and finding them again.
//!
//! Storage below `sys/expire/`: `id/<lease id>` the entry, `token/<digest>/<name>` the lease ids of
//! a token, where a name is the random part of a lease id.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, OnceLock, Weak, atomic::AtomicBool},
    time::Duration,
};

use boltwork_logical::{Entry, Error, Storage};
use parking_lot::Mutex;
use rand::distr::{Alphanumeric, SampleString};

use super::{LeaseEntry, entry::raw_of};
use crate::{
    active::Active,
    due::Due,
    metrics::Counter,
    tokens::{Digest, now},
};

/// Length of the random part of a lease id: 143 bits.
const NAME: usize = 24;

/// Leases of an unsealed server.
pub struct Leases {
    storage: Arc<dyn Storage>,
    pub(super) due: Due<String>,
    /// Failed revocations so far.
    pub(super) failures: Mutex<HashMap<String, u32>>,
    /// One change of a lease at a time.
    busy: Mutex<HashMap<String, Arc<tokio::sync::Mutex<()>>>>,
    /// Leases that nobody tries to take back any more.
    pub(super) irrevocable: Mutex<HashSet<String>>,
    /// Leases taken back since the store was opened, and attempts that failed.
    pub taken_back: Counter,
    pub not_taken_back: Counter,
    pub(super) tidying: AtomicBool,
    server: OnceLock<Weak<Active>>,
}

/// A lease to be kept.
pub struct NewLease<'a> {
    /// Path of the request.
    pub path: &'a str,
    /// The token with which it ends; `None` if there is none.
    pub token: Option<Digest>,
    /// When the batch token ends that it is given to; 0 for another.
    pub token_end: u64,
    /// What is given.
    pub data: &'a boltwork_logical::Data,
    /// The backend's side of it.
    pub secret: &'a boltwork_logical::Secret,
    /// Seconds, within all limits.
    pub ttl: u64,
}

impl Leases {
    /// Leases kept under `storage` (`sys/expire/`).
    pub fn new(storage: Arc<dyn Storage>) -> Self {
        Self {
            storage,
            due: Due::default(),
            failures: Mutex::default(),
            busy: Mutex::default(),
            irrevocable: Mutex::default(),
            taken_back: Counter::default(),
            not_taken_back: Counter::default(),
            tidying: AtomicBool::new(false),
            server: OnceLock::new(),
        }
    }

    /// Makes the whole server known. Once, before any lease is kept.
    pub fn belong_to(&self, server: Weak<Active>) {
        // A second call would be the same server.
        let _ = self.server.set(server);
    }

    pub(super) fn server(&self) -> Result<Arc<Active>, Error> {
        self.server.get().and_then(Weak::upgrade).ok_or(Error::Sealed)
    }

    /// Runs `work` while nobody else works on this lease.
    pub(super) async fn alone<T>(&self, id: &str, work: impl Future<Output = T>) -> T {
        let lock = Arc::clone(self.busy.lock().entry(id.to_owned()).or_default());
        let guard = lock.lock().await;
        let outcome = work.await;
        drop(guard);
        let mut busy = self.busy.lock();
        // Ours and the map's own: nobody waits.
        if Arc::strong_count(&lock) == 2 {
            busy.remove(id);
        }
        outcome
    }

    /// Keeps a lease. When this returns it is on disk, and will be revoked at its time.
    pub async fn keep(&self, new: NewLease<'_>) -> Result<LeaseEntry, Error> {
        let name = Alphanumeric.sample_string(&mut rand::rng(), NAME);
        let path = new.path.trim_end_matches('/');
        let unwritable = || Error::internal("a lease could not be written as JSON");
        let issued = now();
        let entry = LeaseEntry {
            lease_id: format!("{path}/{name}"),
            path: path.to_owned(),
            token_digest: new.token.map(|token| token.to_string()).unwrap_or_default(),
            data: raw_of(new.data).ok_or_else(unwritable)?,
            internal: raw_of(&new.secret.internal).ok_or_else(unwritable)?,
            max_ttl: new.secret.lease.max_ttl.as_secs(),
            renewable: new.secret.lease.renewable,
            ttl: new.ttl,
            issue_time: issued,
            expire_time: issued.saturating_add(new.ttl),
            last_renewal_time: 0,
            token_end: new.token_end,
            revoke_error: String::new(),
        };
        let tx = self.storage.begin(false).await?;
        tx.put(stored(&entry)?).await?;
        if !entry.token_digest.is_empty() {
            tx.put(Entry::new(index_key(&entry), entry.lease_id.as_bytes())).await?;
        }
        tx.commit().await?;
        self.due.schedule(entry.lease_id.clone(), entry.expire_time);
        Ok(entry)
    }

    /// A lease; `None` if there is none of this id.
    pub async fn get(&self, id: &str) -> Result<Option<LeaseEntry>, Error> {
        if id.is_empty() || id.ends_with('/') {
            return Ok(None);
        }
        let Some(entry) = self.storage.get(&format!("id/{id}")).await? else { return Ok(None) };
        serde_json::from_slice(&entry.value)
            .map(Some)
            .map_err(|_| Error::internal(format!("the stored lease {id:?} is not valid JSON")))
    }

    pub(super) async fn save(&self, entry: &LeaseEntry) -> Result<(), Error> {
        self.storage.put(stored(entry)?).await.map_err(Into::into)
    }

    pub(super) async fn remove(&self, entry: &LeaseEntry) -> Result<(), Error> {
        let tx = self.storage.begin(false).await?;
        tx.delete(&format!("id/{}", entry.lease_id)).await?;
        if !entry.token_digest.is_empty() {
            tx.delete(&index_key(entry)).await?;
        }
        tx.commit().await?;
        self.due.forget(&entry.lease_id);
        self.failures.lock().remove(&entry.lease_id);
        self.irrevocable.lock().remove(&entry.lease_id);
        Ok(())
    }

    /// Names directly below a prefix: random parts, and folders with a slash.
    pub async fn names(&self, prefix: &str) -> Result<Vec<String>, Error> {
        Ok(self.storage.list(&format!("id/{}", folder(prefix))).await?)
    }

    /// Ids of all leases below a prefix, or the one of exactly this id.
    pub async fn ids(&self, prefix: &str) -> Result<Vec<String>, Error> {
        let mut ids = Vec::new();
        if !prefix.ends_with('/') && self.get(prefix).await?.is_some() {
            ids.push(prefix.to_owned());
        }
        let mut folders = vec![folder(prefix)];
        while let Some(below) = folders.pop() {
            for name in self.storage.list(&format!("id/{below}")).await? {
                let id = format!("{below}{name}");
                match name.ends_with('/') {
                    true => folders.push(id),
                    false => ids.push(id),
                }
            }
        }
        Ok(ids)
    }

    /// Ends all leases of a token that is being removed: they are due from now on. They are stored
    /// as such, so a crash does not spare them.
    pub async fn end_with_token(&self, token: &Digest) -> Result<(), Error> {
        let prefix = format!("token/{token}/");
        loop {
            let page = self.storage.list_page(&prefix, "", Some(100)).await?;
            if page.is_empty() {
                return Ok(());
            }
            for name in page {
                let key = format!("{prefix}{name}");
                if let Some(entry) = self.storage.get(&key).await?
                    && let Ok(id) = std::str::from_utf8(&entry.value)
                {
                    self.end(id).await?;
                }
                self.storage.delete(&key).await?;
            }
        }
    }

    /// Makes a lease due now. No error if there is none.
    pub async fn end(&self, id: &str) -> Result<(), Error> {
        self.alone(id, async {
            let Some(mut entry) = self.get(id).await? else { return Ok(()) };
            entry.expire_time = entry.expire_time.min(now());
            entry.renewable = false;
            self.save(&entry).await?;
            if !entry.is_irrevocable() {
                self.due.schedule(entry.lease_id, now());
            }
            Ok(())
        })
        .await
    }

    /// Reads all leases once after unsealing and schedules their ends.
    pub async fn recover(&self) -> Result<(), Error> {
        for id in self.ids("").await? {
            match self.get(&id).await {
                Ok(Some(entry)) if !entry.is_irrevocable() => {
                    self.due.schedule(id, entry.expire_time.max(1));
                }
                Ok(Some(entry)) => {
                    self.irrevocable.lock().insert(entry.lease_id);
                }
                Ok(None) => {}
                Err(Error::Sealed) => return Err(Error::Sealed),
                Err(error) => tracing::error!(%error, "a stored lease cannot be read"),
            }
        }
        Ok(())
    }

    /// How many leases are to be taken back some time.
    pub fn pending(&self) -> u64 {
        self.due.len() as u64
    }

    /// How many leases nobody tries to take back any more.
    pub fn given_up(&self) -> u64 {
        self.irrevocable.lock().len() as u64
    }

    /// Sleeps until something is due, but not for long.
    pub(super) async fn nap(&self) {
        let wait = match self.due.next() {
            Some((at, _)) => at.saturating_sub(now()).clamp(1, 5),
            None => 5,
        };
        self.due.sleep(Duration::from_secs(wait)).await;
    }
}

fn folder(prefix: &str) -> String {
    match prefix.trim_end_matches('/') {
        "" => String::new(),
        below => format!("{below}/"),
    }
}

fn stored(entry: &LeaseEntry) -> Result<Entry, Error> {
    serde_json::to_vec(entry)
        .map(|json| Entry::new(format!("id/{}", entry.lease_id), json))
        .map_err(|_| Error::internal("a lease could not be written as JSON"))
}

fn index_key(entry: &LeaseEntry) -> String {
    let name = entry.lease_id.rsplit('/').next().unwrap_or_default();
    format!("token/{}/{name}", entry.token_digest)
}
