//! Storage in memory for tests, with optimistic transactions. Shared by the unit tests and the
//! integration tests of this crate.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use boltwork_logical::{
    BoxFuture, Data, Entry, Error, PluginServer, SecretText, Storage, StorageError, Transaction,
};

type Map = BTreeMap<String, Vec<u8>>;

/// A mount's storage in memory.
#[derive(Clone, Default)]
pub struct MemoryStorage(Arc<Mutex<(Map, u64)>>, Arc<AtomicU64>);

impl MemoryStorage {
    /// The `n`th put or delete from now fails, and changes nothing; 0 takes that back. Those in
    /// transactions do not count.
    #[allow(dead_code, reason = "not every test uses it")]
    pub fn fail_nth_write(&self, n: u64) {
        self.1.store(n, Ordering::SeqCst);
    }

    fn write(&self, change: impl FnOnce(&mut Map)) -> BoxFuture<'_, Result<(), StorageError>> {
        let step = |n: u64| n.checked_sub(1);
        if self.1.fetch_update(Ordering::SeqCst, Ordering::SeqCst, step) == Ok(1) {
            let failed = StorageError::Failed("the test says that this cannot be written".into());
            return Box::pin(std::future::ready(Err(failed)));
        }
        self.change(change);
        done(())
    }

    fn change(&self, change: impl FnOnce(&mut Map)) {
        let mut state = self.0.lock().expect("no test panics with this lock");
        change(&mut state.0);
        state.1 += 1;
    }

    fn snapshot(&self) -> (Map, u64) {
        self.0.lock().expect("no test panics with this lock").clone()
    }
}

fn find(map: &Map, key: &str) -> Option<Entry> {
    map.get(key).map(|value| Entry::new(key, value.clone()))
}

fn children(map: &Map, prefix: &str, after: &str, limit: Option<usize>) -> Vec<String> {
    let mut found: Vec<String> = map
        .keys()
        .filter_map(|key| key.strip_prefix(prefix))
        .map(|rest| match rest.split_once('/') {
            Some((folder, _)) => format!("{folder}/"),
            None => rest.to_owned(),
        })
        .filter(|child| child.as_str() > after)
        .collect();
    found.sort();
    found.dedup();
    found.truncate(limit.unwrap_or(usize::MAX));
    found
}

fn done<'a, T: Send + 'a>(value: T) -> BoxFuture<'a, Result<T, StorageError>> {
    Box::pin(std::future::ready(Ok(value)))
}

impl Storage for MemoryStorage {
    fn get<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Option<Entry>, StorageError>> {
        done(find(&self.snapshot().0, key))
    }
    fn put(&self, entry: Entry) -> BoxFuture<'_, Result<(), StorageError>> {
        self.write(|map| drop(map.insert(entry.key, entry.value.to_vec())))
    }
    fn delete<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<(), StorageError>> {
        self.write(|map| drop(map.remove(key)))
    }
    fn list_page<'a>(
        &'a self,
        prefix: &'a str,
        after: &'a str,
        limit: Option<usize>,
    ) -> BoxFuture<'a, Result<Vec<String>, StorageError>> {
        done(children(&self.snapshot().0, prefix, after, limit))
    }
    fn begin(&self, read_only: bool) -> BoxFuture<'_, Result<Box<dyn Transaction>, StorageError>> {
        let (map, at) = self.snapshot();
        let own = MemoryStorage(Arc::new(Mutex::new((map, 0))), Arc::default());
        done(Box::new(MemoryTransaction { base: self.clone(), own, at, read_only }))
    }
}

struct MemoryTransaction {
    base: MemoryStorage,
    own: MemoryStorage,
    at: u64,
    read_only: bool,
}

impl Storage for MemoryTransaction {
    fn get<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Option<Entry>, StorageError>> {
        self.own.get(key)
    }
    fn put(&self, entry: Entry) -> BoxFuture<'_, Result<(), StorageError>> {
        if self.read_only {
            let refused = StorageError::ReadOnly("the transaction is read-only".into());
            return Box::pin(std::future::ready(Err(refused)));
        }
        self.own.put(entry)
    }
    fn delete<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<(), StorageError>> {
        self.own.delete(key)
    }
    fn list_page<'a>(
        &'a self,
        prefix: &'a str,
        after: &'a str,
        limit: Option<usize>,
    ) -> BoxFuture<'a, Result<Vec<String>, StorageError>> {
        self.own.list_page(prefix, after, limit)
    }
    fn begin(&self, _: bool) -> BoxFuture<'_, Result<Box<dyn Transaction>, StorageError>> {
        Box::pin(std::future::ready(Err(StorageError::NoTransactions)))
    }
}

impl Transaction for MemoryTransaction {
    fn commit(self: Box<Self>) -> BoxFuture<'static, Result<(), StorageError>> {
        let mut base = self.base.0.lock().expect("no test panics with this lock");
        if base.1 != self.at {
            let text = "something else was written meanwhile".to_owned();
            return Box::pin(std::future::ready(Err(StorageError::Conflict(text))));
        }
        *base = (self.own.snapshot().0, self.at + 1);
        done(())
    }
    fn rollback(self: Box<Self>) -> BoxFuture<'static, Result<(), StorageError>> {
        done(())
    }
}

/// A server that cannot be reached and wraps nothing.
struct NoServer;

impl PluginServer for NoServer {
    fn api_addr(&self) -> &str {
        ""
    }
    fn wrap(&self, _: Data, _: Duration) -> BoxFuture<'_, Result<SecretText, Error>> {
        Box::pin(std::future::ready(Err(Error::Sealed)))
    }
}

/// What a plugin host is opened for where no plugin needs the server.
pub fn no_server() -> Arc<dyn PluginServer> {
    Arc::new(NoServer)
}
