//! Storage of one request, with the entry that the server sent along (`Paths.read_ahead` in
//! `backend.proto`).
//!
//! It is handed out once: whoever asks again, because something has changed meanwhile, gets what is
//! stored. Nothing is kept beyond the request, so nothing can become stale. That there is no entry is
//! never sent, so an engine that moves its data finds what it moved.

use std::sync::Arc;

use boltwork_logical::{BoxFuture, Entry, Storage, StorageError, Transaction};
use boltwork_wire::{entry_from_wire, pb};
use parking_lot::Mutex;

type Done<T> = Result<T, StorageError>;

/// A request's storage.
pub(crate) struct AheadStorage {
    inner: Arc<dyn Storage>,
    sent: Mutex<Option<Entry>>,
}

impl AheadStorage {
    /// The storage, with what was sent along if something was.
    pub fn over(inner: Arc<dyn Storage>, sent: Option<pb::StorageEntry>) -> Arc<dyn Storage> {
        let Some(sent) = sent else { return inner };
        Arc::new(Self { inner, sent: Mutex::new(Some(entry_from_wire(sent))) })
    }

    fn take(&self, key: &str) -> Option<Entry> {
        self.sent.lock().take_if(|sent| sent.key == key)
    }

    /// Before a change: nobody is to read what was there before it.
    fn forget(&self) {
        *self.sent.lock() = None;
    }
}

impl Storage for AheadStorage {
    fn get<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Done<Option<Entry>>> {
        self.inner.get(key)
    }

    fn get_ahead<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Done<Option<Entry>>> {
        match self.take(key) {
            Some(entry) => Box::pin(std::future::ready(Ok(Some(entry)))),
            None => self.inner.get(key),
        }
    }

    fn put(&self, entry: Entry) -> BoxFuture<'_, Done<()>> {
        self.forget();
        self.inner.put(entry)
    }

    fn delete<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Done<()>> {
        self.forget();
        self.inner.delete(key)
    }

    fn list_page<'a>(
        &'a self,
        prefix: &'a str,
        after: &'a str,
        limit: Option<usize>,
    ) -> BoxFuture<'a, Done<Vec<String>>> {
        self.inner.list_page(prefix, after, limit)
    }

    fn list<'a>(&'a self, prefix: &'a str) -> BoxFuture<'a, Done<Vec<String>>> {
        self.inner.list(prefix)
    }

    fn begin(&self, read_only: bool) -> BoxFuture<'_, Done<Box<dyn Transaction>>> {
        if !read_only {
            self.forget();
        }
        self.inner.begin(read_only)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Knows one entry, and counts nothing: an answer shows by its value where it came from.
    struct Stored;

    impl Storage for Stored {
        fn get<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Done<Option<Entry>>> {
            Box::pin(async move { Ok(Some(Entry::new(key, "stored"))) })
        }
        fn put(&self, _: Entry) -> BoxFuture<'_, Done<()>> {
            Box::pin(async { Ok(()) })
        }
        fn delete<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Done<()>> {
            Box::pin(async { Ok(()) })
        }
        fn list_page<'a>(
            &'a self,
            _: &'a str,
            _: &'a str,
            _: Option<usize>,
        ) -> BoxFuture<'a, Done<Vec<String>>> {
            Box::pin(async { Ok(Vec::new()) })
        }
        fn begin(&self, _: bool) -> BoxFuture<'_, Done<Box<dyn Transaction>>> {
            Box::pin(async { Err(StorageError::NoTransactions) })
        }
    }

    fn sent() -> Arc<dyn Storage> {
        let sent = pb::StorageEntry { key: "k".into(), value: "sent".into(), seal_wrap: false };
        AheadStorage::over(Arc::new(Stored), Some(sent))
    }

    async fn text(found: BoxFuture<'_, Done<Option<Entry>>>) -> String {
        let entry = found.await.unwrap().unwrap();
        String::from_utf8(entry.value.to_vec()).unwrap()
    }

    #[tokio::test]
    async fn what_was_sent_along_is_handed_out_once_and_only_to_who_may_have_it() {
        let storage = sent();
        assert_eq!(text(storage.get("k")).await, "stored");
        assert_eq!(text(storage.get_ahead("other")).await, "stored");
        assert_eq!(text(storage.get_ahead("k")).await, "sent");
        assert_eq!(text(storage.get_ahead("k")).await, "stored");
    }

    #[tokio::test]
    async fn after_a_change_what_was_sent_along_is_worth_nothing() {
        let storage = sent();
        storage.put(Entry::new("k", "new")).await.unwrap();
        assert_eq!(text(storage.get_ahead("k")).await, "stored");
        let storage = sent();
        storage.delete("x").await.unwrap();
        assert_eq!(text(storage.get_ahead("k")).await, "stored");
        let storage = sent();
        assert!(storage.begin(false).await.is_err());
        assert_eq!(text(storage.get_ahead("k")).await, "stored");
    }
}
