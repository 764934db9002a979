//! From version 1 to version 2: the secrets of version 1 become first versions.
//!
//! Nothing is noted down about how far an upgrade has come. What stands outside the prefix of
//! version 2 has still to be upgraded, and each secret is moved on its own, so an upgrade that was
//! cut short goes on where it was.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use boltwork_sdk::{
    Result,
    logical::{Error, Setup, Storage, StorageError},
};
use tokio::sync::Notify;

use crate::{
    store::{Change, Key, Store, raw},
    v2::lists::{folder, scan},
};

/// How long a request waits for an upgrade: most are over at once.
const PATIENCE: Duration = Duration::from_millis(15);

/// Pauses between attempts, where storage cannot be written (a standby, whose active node does the
/// upgrade) or fails.
const PAUSES: [Duration; 4] = [
    Duration::from_millis(50),
    Duration::from_millis(200),
    Duration::from_secs(1),
    Duration::from_secs(5),
];

/// Lets requests through once there is nothing to upgrade.
#[derive(Default)]
pub struct Gate {
    closed: AtomicBool,
    opened: Notify,
}

impl Gate {
    /// A gate that is open, or waits for an upgrade.
    pub fn new(closed: bool) -> Self {
        Self { closed: AtomicBool::new(closed), opened: Notify::new() }
    }

    /// Whether an upgrade is due or under way.
    pub fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    fn open(&self) {
        self.closed.store(false, Ordering::Release);
        self.opened.notify_waiters();
    }

    /// Waits a moment for an upgrade that is under way, and refuses if it takes longer.
    pub async fn pass(&self) -> Result<()> {
        if !self.is_closed() {
            return Ok(());
        }
        let opened = self.opened.notified();
        if self.is_closed() && tokio::time::timeout(PATIENCE, opened).await.is_err() {
            return Err(Error::invalid(
                "Upgrading from non-versioned to versioned data. This backend will be unavailable \
                 for a brief period and will resume service shortly.",
            ));
        }
        Ok(())
    }
}

/// Looks at a mount's storage before it is used: is there anything of version 1?
///
/// Refuses a mount that holds data of the version 2 of HashiCorp's or OpenBao's engine, whose
/// layout is another: it would look empty, and be written over.
pub async fn needed(setup: &Setup, store: &Store) -> Result<bool> {
    let storage = &*setup.storage;
    let names = match storage.list_page("", "", Some(2)).await {
        Ok(names) => names,
        // A server that only asks what this plugin is gives it no storage.
        Err(StorageError::Missing(_)) => return Ok(false),
        Err(error) => return Err(error.into()),
    };
    if !names.is_empty() {
        let inside = storage.list(store.root()).await?;
        if inside.iter().any(|name| matches!(name.as_str(), "policy/" | "upgrading" | "versions/"))
        {
            return Err(Error::unavailable(format!(
                "the storage of the mount {:?} holds versioned data of HashiCorp's or OpenBao's kv \
                 engine, which this engine cannot read; mount it with the plugin that wrote it, \
                 and copy the secrets to a new mount of this one",
                setup.mount_point
            )));
        }
    }
    Ok(names.iter().any(|name| name != store.root()))
}

/// Upgrades what there is, then opens the gate. Tries until it succeeds.
pub async fn run(store: Arc<Store>, gate: Arc<Gate>, storage: Arc<dyn Storage>) {
    let mut pauses = PAUSES.into_iter();
    let mut pause = PAUSES[0];
    loop {
        match everything(&store, &*storage).await {
            Ok(count) => {
                tracing::info!(secrets = count, "kv: the upgrade to versioned data is complete");
                return gate.open();
            }
            Err(error) => {
                tracing::warn!(%error, "kv: the upgrade to versioned data will be tried again");
            }
        }
        pause = pauses.next().unwrap_or(pause);
        tokio::time::sleep(pause).await;
    }
}

async fn everything(store: &Store, storage: &dyn Storage) -> Result<u64> {
    let mut count = 0;
    for name in storage.list("").await? {
        if name == store.root() {
            continue;
        }
        let paths = match name.ends_with('/') {
            true => scan(storage, &folder(&name)).await?,
            false => vec![String::new()],
        };
        for path in paths {
            one(store, storage, &format!("{name}{path}")).await?;
            count += 1;
        }
    }
    Ok(count)
}

/// Makes one secret a version. An entry that is a version already, because an upgrade was cut short
/// between the two writes, is only removed.
async fn one(store: &Store, storage: &dyn Storage, path: &str) -> Result<()> {
    let Some(old) = storage.get(path).await? else { return Ok(()) };
    let text = std::str::from_utf8(&old.value).ok().filter(|text| raw(text).is_ok());
    let Some(text) = text else {
        return Err(Error::internal(format!(
            "the entry {path:?} is no secret of version 1: it is not JSON. Remove it, or set the \
             mount's option version back to 1"
        )));
    };
    let now = store.now();
    let settings = store.settings(storage).await?;
    store
        .change(storage, path, |key| {
            let key = key.unwrap_or_else(|| Key::new(now));
            if key.data.as_ref().is_some_and(|data| data.expose() == text.trim()) {
                return Ok((Change::Keep, ()));
            }
            Ok((Change::Save(key.with_version(text.into(), now, &settings)), ()))
        })
        .await?;
    Ok(storage.delete(path).await?)
}
