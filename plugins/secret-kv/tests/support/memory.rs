//! Storage in memory: with transactions that notice conflicts, or without any, and with faults.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering},
    },
};

use boltwork_sdk::logical::{BoxFuture, Entry, Storage, StorageError, Transaction};

type Entries = BTreeMap<String, Vec<u8>>;

/// The storage. Clones of the `Arc`s inside share everything.
#[derive(Default)]
pub struct Memory {
    inner: Arc<Inner>,
}

#[derive(Default)]
struct Inner {
    entries: Mutex<Entries>,
    /// No transactions, as under HashiCorp Vault.
    plain: AtomicBool,
    /// Writes left before every further one fails; negative for no limit.
    writes_left: AtomicI64,
    limited: AtomicBool,
    gets: AtomicU64,
    puts: AtomicU64,
    conflicts: AtomicU64,
}

impl Memory {
    /// Storage without transactions.
    pub fn without_transactions() -> Arc<Self> {
        let memory = Self::default();
        memory.inner.plain.store(true, Ordering::SeqCst);
        Arc::new(memory)
    }

    /// Everything that is stored.
    pub fn entries(&self) -> Entries {
        self.inner.entries().clone()
    }

    /// Stores something as it is.
    pub fn set(&self, key: &str, value: impl Into<Vec<u8>>) {
        self.inner.entries().insert(key.to_owned(), value.into());
    }

    /// Lets so many writes succeed and every further one fail.
    pub fn fail_after(&self, writes: i64) {
        self.inner.writes_left.store(writes, Ordering::SeqCst);
        self.inner.limited.store(true, Ordering::SeqCst);
    }

    /// Lets writes succeed again.
    pub fn heal(&self) {
        self.inner.limited.store(false, Ordering::SeqCst);
    }

    /// Reads so far.
    pub fn gets(&self) -> u64 {
        self.inner.gets.load(Ordering::SeqCst)
    }

    /// Writes of entries so far.
    pub fn puts(&self) -> u64 {
        self.inner.puts.load(Ordering::SeqCst)
    }

    /// Transactions that met another so far.
    pub fn conflicts(&self) -> u64 {
        self.inner.conflicts.load(Ordering::SeqCst)
    }
}

impl Inner {
    fn entries(&self) -> MutexGuard<'_, Entries> {
        self.entries.lock().unwrap()
    }

    fn may_write(&self) -> Result<(), StorageError> {
        if self.limited.load(Ordering::SeqCst)
            && self.writes_left.fetch_sub(1, Ordering::SeqCst) <= 0
        {
            return Err(StorageError::Failed("the disk is full".to_owned()));
        }
        Ok(())
    }

    fn get(&self, key: &str) -> Option<Vec<u8>> {
        self.gets.fetch_add(1, Ordering::SeqCst);
        self.entries().get(key).cloned()
    }
}

fn names<'a>(
    keys: impl Iterator<Item = &'a String>,
    prefix: &str,
    after: &str,
    limit: Option<usize>,
) -> Vec<String> {
    let names: BTreeSet<String> = keys
        .filter_map(|key| key.strip_prefix(prefix))
        .map(|rest| match rest.split_once('/') {
            Some((folder, _)) => format!("{folder}/"),
            None => rest.to_owned(),
        })
        .filter(|name| name.as_str() > after)
        .collect();
    names.into_iter().take(limit.unwrap_or(usize::MAX)).collect()
}

impl Storage for Memory {
    fn get<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Option<Entry>, StorageError>> {
        Box::pin(async move {
            // Gives other tasks a turn, as real storage does.
            tokio::task::yield_now().await;
            Ok(self.inner.get(key).map(|value| Entry::new(key, value)))
        })
    }

    fn put(&self, entry: Entry) -> BoxFuture<'_, Result<(), StorageError>> {
        Box::pin(async move {
            tokio::task::yield_now().await;
            self.inner.may_write()?;
            self.inner.puts.fetch_add(1, Ordering::SeqCst);
            self.inner.entries().insert(entry.key, entry.value.to_vec());
            Ok(())
        })
    }

    fn delete<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<(), StorageError>> {
        Box::pin(async move {
            tokio::task::yield_now().await;
            self.inner.may_write()?;
            self.inner.entries().remove(key);
            Ok(())
        })
    }

    fn list_page<'a>(
        &'a self,
        prefix: &'a str,
        after: &'a str,
        limit: Option<usize>,
    ) -> BoxFuture<'a, Result<Vec<String>, StorageError>> {
        Box::pin(async move { Ok(names(self.inner.entries().keys(), prefix, after, limit)) })
    }

    fn begin(&self, _: bool) -> BoxFuture<'_, Result<Box<dyn Transaction>, StorageError>> {
        Box::pin(async move {
            if self.inner.plain.load(Ordering::SeqCst) {
                return Err(StorageError::NoTransactions);
            }
            Ok(Box::new(Work { home: Arc::clone(&self.inner), state: Mutex::default() })
                as Box<dyn Transaction>)
        })
    }
}

/// A transaction: remembers what it read, and stores its writes if that is still so.
struct Work {
    home: Arc<Inner>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    read: BTreeMap<String, Option<Vec<u8>>>,
    written: BTreeMap<String, Option<Vec<u8>>>,
}

impl Storage for Work {
    fn get<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Option<Entry>, StorageError>> {
        Box::pin(async move {
            tokio::task::yield_now().await;
            let mut state = self.state.lock().unwrap();
            let value = match state.written.get(key) {
                Some(value) => value.clone(),
                None => {
                    let value = self.home.get(key);
                    state.read.entry(key.to_owned()).or_insert(value).clone()
                }
            };
            Ok(value.map(|value| Entry::new(key, value)))
        })
    }

    fn put(&self, entry: Entry) -> BoxFuture<'_, Result<(), StorageError>> {
        Box::pin(async move {
            tokio::task::yield_now().await;
            self.home.puts.fetch_add(1, Ordering::SeqCst);
            self.state.lock().unwrap().written.insert(entry.key, Some(entry.value.to_vec()));
            Ok(())
        })
    }

    fn delete<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<(), StorageError>> {
        Box::pin(async move {
            self.state.lock().unwrap().written.insert(key.to_owned(), None);
            Ok(())
        })
    }

    fn list_page<'a>(
        &'a self,
        _: &'a str,
        _: &'a str,
        _: Option<usize>,
    ) -> BoxFuture<'a, Result<Vec<String>, StorageError>> {
        Box::pin(async { Err(StorageError::Failed("lists are not part of this".to_owned())) })
    }

    fn begin(&self, _: bool) -> BoxFuture<'_, Result<Box<dyn Transaction>, StorageError>> {
        Box::pin(async { Err(StorageError::NoTransactions) })
    }
}

impl Transaction for Work {
    fn commit(self: Box<Self>) -> BoxFuture<'static, Result<(), StorageError>> {
        Box::pin(async move {
            tokio::task::yield_now().await;
            let State { read, written } = std::mem::take(&mut *self.state.lock().unwrap());
            let mut entries = self.home.entries();
            if read.iter().any(|(key, value)| entries.get(key) != value.as_ref()) {
                self.home.conflicts.fetch_add(1, Ordering::SeqCst);
                return Err(StorageError::Conflict("another write came between".to_owned()));
            }
            self.home.may_write()?;
            for (key, value) in written {
                match value {
                    Some(value) => entries.insert(key, value),
                    None => entries.remove(&key),
                };
            }
            Ok(())
        })
    }

    fn rollback(self: Box<Self>) -> BoxFuture<'static, Result<(), StorageError>> {
        Box::pin(async { Ok(()) })
    }
}
