//! Write-ahead entries: what to undo if the engine dies half-way through something that touches
//! another system.
//!
//! Write one before the outside world is changed, remove it after the result is stored. Entries
//! that stay are given to [`Routes::rollback`](crate::Routes::rollback). The form in storage is that of
//! Vault's engines.

use std::{
    future::Future,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use boltwork_logical::{Data, Entry, Error, Storage};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::{Result, StorageExt};

/// Where the entries are, relative to the mount.
pub(crate) const PREFIX: &str = "wal/";

/// Write-ahead entries in a storage.
pub trait Wal: Storage {
    /// Writes an entry, and returns the id under which it is [settled](Self::settle).
    fn begin_work<T: Serialize + Sync>(
        &self,
        kind: &str,
        data: &T,
    ) -> impl Future<Output = Result<String>> + Send {
        async move {
            let id = uuid::Uuid::new_v4().to_string();
            let age = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            let stored = Written { kind, data, created_at: age.as_secs() };
            self.save(format!("{PREFIX}{id}"), &stored).await?;
            Ok(id)
        }
    }

    /// The work is done (or undone): removes the entry.
    fn settle(&self, id: &str) -> impl Future<Output = Result<()>> + Send {
        let key = format!("{PREFIX}{id}");
        async move { Ok(self.delete(&key).await?) }
    }
}

impl<S: Storage + ?Sized> Wal for S {}

#[derive(Serialize)]
struct Written<'a, T> {
    #[serde(rename = "type")]
    kind: &'a str,
    data: &'a T,
    created_at: u64,
}

#[derive(Deserialize)]
struct Stored<'a> {
    #[serde(rename = "type")]
    kind: String,
    #[serde(borrow)]
    data: &'a RawValue,
    created_at: u64,
}

/// An entry as read back.
pub(crate) struct WalEntry {
    pub kind: String,
    pub data: Data,
    created: SystemTime,
}

impl WalEntry {
    /// Reads an entry; the text does not stand in the error.
    pub fn read(entry: &Entry) -> Result<Self> {
        let unreadable =
            || Error::internal(format!("the write-ahead entry {:?} cannot be read", entry.key));
        let stored: Stored<'_> = serde_json::from_slice(&entry.value).map_err(|_| unreadable())?;
        let data = Data::parse(stored.data.get().into()).map_err(|_| unreadable())?;
        let created = UNIX_EPOCH.checked_add(Duration::from_secs(stored.created_at));
        Ok(Self { kind: stored.kind, data, created: created.ok_or_else(unreadable)? })
    }

    /// Whether it is at least this old.
    pub fn older_than(&self, age: Duration) -> bool {
        self.created.elapsed().is_ok_and(|elapsed| elapsed >= age)
    }
}
