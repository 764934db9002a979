//! Tidying: secret ids whose time is over, and what interrupted work left behind.
//!
//! Once a minute, or when asked. Nothing depends on it: expired secret ids are refused at logins
//! anyway. A run takes as long as it takes, one at a time, and holds up nobody but logins with the
//! secret id that it looks at.

use std::{
    collections::HashSet,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use boltwork_sdk::{
    Reply, Request, Result, StorageExt,
    logical::{Storage, SystemView},
};
use serde_json::{Value, json};
use tokio::{
    sync::Mutex,
    task::{AbortHandle, JoinHandle},
};

use crate::{
    Approle, Shared,
    digest::Salted,
    moment::Moment,
    secret::{Accessor, KINDS, Secret, Shelf},
    status,
};

/// Where notes of deleted roles are: a [`Shelf`] each, that has to be cleared.
pub const GONE: &str = "gone/";

/// Bits of the replication state (wire spec 2.10).
const PERFORMANCE_SECONDARY: u32 = 1 << 6;
const RECOVERY_SECONDARY: u32 = 1 << 9;
const PERFORMANCE_STANDBY: u32 = 1 << 14;

/// Keys that are listed at a time.
const PAGE: usize = 500;

/// Whether a run is under way, and how to end it.
#[derive(Default)]
pub struct Tidying {
    busy: AtomicBool,
    task: Mutex<Option<AbortHandle>>,
}

impl Tidying {
    /// Ends a run that is under way, at the next thing that it waits for.
    pub async fn stop(&self) {
        if let Some(task) = self.task.lock().await.take() {
            task.abort();
        }
    }
}

/// Says that the run is over, also when it was cut short.
struct Busy(Arc<Shared>);

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.tidying.busy.store(false, Ordering::Release);
    }
}

impl Approle {
    pub(crate) async fn tidy(&self, req: Request) -> Result<Reply> {
        if self.start(&req).await.is_none() {
            return Ok(Reply::empty().warning("Tidy operation already in progress."));
        }
        let text = "Tidy operation successfully started. Any information from the operation will \
                    be printed to the server's logs.";
        status::reply(&req, 202, &Value::Null, &json!([text]))
    }

    /// The same once a minute, on the server that may write. The run goes on if this request is
    /// given up.
    pub(crate) async fn every_minute(&self, req: Request) -> Result<Reply> {
        if may_write(&*req.system).await
            && let Some(task) = self.start(&req).await
        {
            // It has logged what went wrong; all that can come back is that it was stopped.
            let _ = task.await;
        }
        Ok(Reply::empty())
    }

    /// Starts a run, unless one is under way.
    async fn start(&self, req: &Request) -> Option<JoinHandle<()>> {
        let shared = &self.shared;
        if shared.tidying.busy.swap(true, Ordering::AcqRel) {
            return None;
        }
        let busy = Busy(Arc::clone(shared));
        let storage = Arc::clone(&req.storage);
        let task = tokio::spawn(async move {
            if let Err(error) = busy.0.tidy(&*storage).await {
                tracing::error!(%error, "tidying secret ids stopped; it is tried again in a minute");
            }
        });
        *shared.tidying.task.lock().await = Some(task.abort_handle());
        Some(task)
    }
}

/// Whether this server is the one that changes the mount's storage.
pub async fn may_write(system: &dyn SystemView) -> bool {
    let state = system.replication_state().await.0;
    let secondary = state & PERFORMANCE_SECONDARY != 0;
    let reads = state & (PERFORMANCE_STANDBY | RECOVERY_SECONDARY) != 0;
    !reads && (!secondary || system.local_mount().await)
}

impl Shared {
    async fn tidy(&self, storage: &dyn Storage) -> Result<()> {
        let salt = &self.salt.get(storage).await?;
        for note in storage.list(GONE).await? {
            let note = format!("{GONE}{note}");
            if let Some(shelf) = storage.load::<Shelf>(&note).await? {
                self.clear(storage, salt, &note, &shelf).await?;
            }
        }
        for (secrets, accessors) in KINDS {
            self.tidy_kind(storage, salt, secrets, accessors).await?;
        }
        Ok(())
    }

    /// Removes all secret ids of a role that is gone, and then the note that says so.
    pub(crate) async fn clear(
        &self,
        storage: &dyn Storage,
        salt: &Salted,
        note: &str,
        shelf: &Shelf,
    ) -> Result<()> {
        let mut pages = Pages::of(shelf.folder());
        while let Some(digests) = pages.next(storage).await? {
            for digest in &digests {
                let _secret = self.secrets.alone(digest).await;
                if let Some(secret) = shelf.load(storage, digest).await? {
                    shelf.remove(storage, salt, digest, &secret).await?;
                }
            }
        }
        Ok(storage.delete(note).await?)
    }

    async fn tidy_kind(
        &self,
        storage: &dyn Storage,
        salt: &Salted,
        secrets: &str,
        accessors: &str,
    ) -> Result<()> {
        // Accessors made from here on are not looked at.
        let mut stray = HashSet::new();
        let mut pages = Pages::of(accessors);
        while let Some(digests) = pages.next(storage).await? {
            stray.extend(digests);
        }
        let mut shelves = Vec::new();
        let mut roles = Pages::of(secrets);
        while let Some(folders) = roles.next(storage).await? {
            let folders = folders.iter().filter_map(|folder| folder.strip_suffix('/'));
            shelves.extend(folders.map(|role| Shelf::new(secrets, role)));
        }
        for shelf in &shelves {
            let mut pages = Pages::of(shelf.folder());
            while let Some(digests) = pages.next(storage).await? {
                for digest in &digests {
                    if let Some(secret) = self.tidy_secret(storage, salt, shelf, digest).await? {
                        stray.remove(&salt.digest(&secret.secret_id_accessor));
                    }
                }
            }
        }
        for accessor in stray {
            self.tidy_accessor(storage, &format!("{accessors}{accessor}"), &shelves).await?;
        }
        Ok(())
    }

    /// Removes a secret id if its time is over or it has no accessor; the secret id if it stays.
    async fn tidy_secret(
        &self,
        storage: &dyn Storage,
        salt: &Salted,
        shelf: &Shelf,
        digest: &str,
    ) -> Result<Option<Secret>> {
        let _secret = self.secrets.alone(digest).await;
        let Some(secret) = shelf.load(storage, digest).await? else { return Ok(None) };
        let accessor = shelf.accessor(storage, salt, &secret.secret_id_accessor).await?;
        if accessor.is_some() && !secret.is_over(Moment::now(self.clock)) {
            return Ok(Some(secret));
        }
        shelf.remove(storage, salt, digest, &secret).await?;
        Ok(None)
    }

    /// Removes an accessor that no secret id has. Who makes a secret id has its turn from before the
    /// accessor is written, so there is none that is only half made.
    async fn tidy_accessor(
        &self,
        storage: &dyn Storage,
        key: &str,
        shelves: &[Shelf],
    ) -> Result<()> {
        let Some(accessor) = storage.load::<Accessor>(key).await? else { return Ok(()) };
        let digest = &accessor.secret_id_hmac;
        let _secret = self.secrets.alone(digest).await;
        for shelf in shelves {
            if shelf.load(storage, digest).await?.is_some() {
                return Ok(());
            }
        }
        Ok(storage.delete(key).await?)
    }
}

/// The names below a prefix, page by page.
struct Pages<'a> {
    prefix: &'a str,
    after: Option<String>,
}

impl<'a> Pages<'a> {
    fn of(prefix: &'a str) -> Self {
        Self { prefix, after: Some(String::new()) }
    }

    /// The next page; none after the last.
    async fn next(&mut self, storage: &dyn Storage) -> Result<Option<Vec<String>>> {
        let Some(after) = self.after.take() else { return Ok(None) };
        let page = storage.list_page(self.prefix, &after, Some(PAGE)).await?;
        self.after = page.last().cloned();
        Ok(self.after.is_some().then_some(page))
    }
}
