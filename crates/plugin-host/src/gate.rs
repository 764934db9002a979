//! The mount's storage during setup: to be read, not to be written (wire spec 2.5).
//!
//! A backend that wrote while it is being made would write again at every start and on every node.
//! A plugin of protocol 3 or 4 may, as in Vault: it is set up by the first request, long after the mount
//! was made, and such plugins do write then (to note that they have upgraded their data, for one).
//!
//! Once setup is done the gate costs a write one relaxed load, and a read nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use boltwork_logical::{BoxFuture, Entry, Storage, StorageError, Transaction};

use crate::protocol::Protocol;

/// Opens a [`Gated`] storage; dropped without that, it stays shut.
#[derive(Debug, Clone, Default)]
pub(crate) struct SetupGate(Arc<AtomicBool>);

impl SetupGate {
    /// The gate of a plugin that is spoken to over this protocol.
    pub fn of(protocol: Protocol) -> Self {
        Self(Arc::new(AtomicBool::new(protocol == Protocol::Unwrap)))
    }

    /// Storage behind this gate.
    pub fn guard(&self, inner: Arc<dyn Storage>) -> Arc<dyn Storage> {
        Arc::new(Gated { inner, open: self.0.clone() })
    }

    /// From now on the storage may be written.
    pub fn open(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

struct Gated {
    inner: Arc<dyn Storage>,
    open: Arc<AtomicBool>,
}

impl Gated {
    fn shut(&self) -> bool {
        !self.open.load(Ordering::Relaxed)
    }
}

fn refused<'a, T: Send + 'a>() -> BoxFuture<'a, Result<T, StorageError>> {
    Box::pin(std::future::ready(Err(StorageError::during_setup())))
}

impl Storage for Gated {
    fn get<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Option<Entry>, StorageError>> {
        self.inner.get(key)
    }

    fn put(&self, entry: Entry) -> BoxFuture<'_, Result<(), StorageError>> {
        if self.shut() { refused() } else { self.inner.put(entry) }
    }

    fn delete<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<(), StorageError>> {
        if self.shut() { refused() } else { self.inner.delete(key) }
    }

    fn list_page<'a>(
        &'a self,
        prefix: &'a str,
        after: &'a str,
        limit: Option<usize>,
    ) -> BoxFuture<'a, Result<Vec<String>, StorageError>> {
        self.inner.list_page(prefix, after, limit)
    }

    fn list<'a>(&'a self, prefix: &'a str) -> BoxFuture<'a, Result<Vec<String>, StorageError>> {
        self.inner.list(prefix)
    }

    fn begin(&self, read_only: bool) -> BoxFuture<'_, Result<Box<dyn Transaction>, StorageError>> {
        if !read_only && self.shut() { refused() } else { self.inner.begin(read_only) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::MemoryStorage;

    #[tokio::test]
    async fn during_setup_storage_is_read_and_not_written() {
        let inner = Arc::new(MemoryStorage::default());
        inner.put(Entry::new("a", "1")).await.unwrap();
        let gate = SetupGate::default();
        let storage = gate.guard(inner);
        assert!(storage.get("a").await.unwrap().is_some());
        assert_eq!(storage.list("").await.unwrap(), ["a"]);
        let refused = Err(StorageError::during_setup());
        assert_eq!(storage.put(Entry::new("b", "2")).await, refused);
        assert_eq!(storage.delete("a").await, refused);
        assert_eq!(storage.begin(false).await.err(), Some(StorageError::during_setup()));
        gate.open();
        storage.put(Entry::new("b", "2")).await.unwrap();
        storage.delete("a").await.unwrap();
        assert_eq!(storage.list("").await.unwrap(), ["b"]);
    }
}
