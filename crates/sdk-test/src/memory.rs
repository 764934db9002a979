//! Storage in memory, with transactions, that fails when told to.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use boltwork_logical::{BoxFuture, Entry, Storage, StorageError, Transaction};
use parking_lot::Mutex;

type Done<T> = Result<T, StorageError>;

/// Storage in memory. Clones share their content.
#[derive(Clone)]
pub struct MemoryStorage(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    entries: BTreeMap<String, Entry>,
    /// When each key was last written or removed.
    changed: BTreeMap<String, u64>,
    now: u64,
    /// Writes until one fails; counted down.
    fail_write: Option<usize>,
    fail_read: Option<usize>,
    read_only: Option<StorageError>,
    no_transactions: bool,
}

impl Default for MemoryStorage {
    fn default() -> Self {
        Self::new()
    }
}

impl MemoryStorage {
    /// Empty storage.
    pub fn new() -> Self {
        Self(Arc::default())
    }

    /// The `nth` write from now on fails (1 is the next); deletes and commits are writes too.
    pub fn fail_write(&self, nth: usize) {
        self.0.lock().fail_write = Some(nth);
    }

    /// The `nth` read from now on fails; lists are reads too.
    pub fn fail_read(&self, nth: usize) {
        self.0.lock().fail_read = Some(nth);
    }

    /// Writes fail as on a standby, or succeed again.
    pub fn read_only(&self, yes: bool) {
        let error = || StorageError::ReadOnly("cannot write to readonly storage".to_owned());
        self.0.lock().read_only = yes.then(error);
    }

    /// No transactions from now on, as under HashiCorp Vault.
    pub fn without_transactions(self) -> Self {
        self.0.lock().no_transactions = true;
        self
    }

    /// Writes fail as they do before a mount is in place, or succeed from now on.
    pub(crate) fn during_setup(&self, yes: bool) {
        self.0.lock().read_only = yes.then(StorageError::during_setup);
    }

    /// Every key.
    pub fn keys(&self) -> Vec<String> {
        self.0.lock().entries.keys().cloned().collect()
    }

    /// A value as text; `None` if there is none.
    pub fn text(&self, key: &str) -> Option<String> {
        let state = self.0.lock();
        let entry = state.entries.get(key)?;
        Some(String::from_utf8_lossy(&entry.value).into_owned())
    }

    /// Stores a value behind the engine's back.
    pub fn set(&self, key: &str, value: impl Into<Vec<u8>>) {
        self.0.lock().apply(key, Some(Entry::new(key, value)));
    }
}

/// Counts down to a fault.
fn due(counter: &mut Option<usize>) -> bool {
    match counter {
        Some(1) => {
            *counter = None;
            true
        }
        Some(left) => {
            *left -= 1;
            false
        }
        None => false,
    }
}

impl State {
    fn apply(&mut self, key: &str, entry: Option<Entry>) {
        self.now += 1;
        self.changed.insert(key.to_owned(), self.now);
        match entry {
            Some(entry) => self.entries.insert(key.to_owned(), entry),
            None => self.entries.remove(key),
        };
    }

    fn may_write(&mut self) -> Done<()> {
        if let Some(error) = &self.read_only {
            return Err(error.clone());
        }
        if due(&mut self.fail_write) {
            return Err(StorageError::Failed("the test made this write fail".to_owned()));
        }
        Ok(())
    }

    fn may_read(&mut self) -> Done<()> {
        if due(&mut self.fail_read) {
            return Err(StorageError::Failed("the test made this read fail".to_owned()));
        }
        Ok(())
    }
}

fn check(key: &str) -> Done<()> {
    if key.is_empty() || key.starts_with('/') || key.split('/').any(|part| part == "..") {
        return Err(StorageError::InvalidKey(format!("{key:?} cannot be a key")));
    }
    Ok(())
}

/// The immediate children of a prefix.
fn children<'a>(
    keys: impl Iterator<Item = &'a String>,
    prefix: &str,
    after: &str,
    limit: Option<usize>,
) -> Vec<String> {
    let below = keys.filter_map(|key| key.strip_prefix(prefix));
    let names: BTreeSet<String> = below
        .map(|rest| match rest.split_once('/') {
            Some((folder, _)) => format!("{folder}/"),
            None => rest.to_owned(),
        })
        .filter(|name| name.as_str() > after)
        .collect();
    names.into_iter().take(limit.unwrap_or(usize::MAX)).collect()
}

/// A future that is ready.
fn ready<'a, T: Send + 'a>(value: T) -> BoxFuture<'a, T> {
    Box::pin(std::future::ready(value))
}

impl Storage for MemoryStorage {
    fn get<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Done<Option<Entry>>> {
        let mut state = self.0.lock();
        ready(check(key).and_then(|()| state.may_read()).map(|()| state.entries.get(key).cloned()))
    }

    fn put(&self, entry: Entry) -> BoxFuture<'_, Done<()>> {
        let mut state = self.0.lock();
        let allowed = check(&entry.key).and_then(|()| state.may_write());
        ready(allowed.map(|()| state.apply(&entry.key.clone(), Some(entry))))
    }

    fn delete<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Done<()>> {
        let mut state = self.0.lock();
        ready(check(key).and_then(|()| state.may_write()).map(|()| state.apply(key, None)))
    }

    fn list_page<'a>(
        &'a self,
        prefix: &'a str,
        after: &'a str,
        limit: Option<usize>,
    ) -> BoxFuture<'a, Done<Vec<String>>> {
        let mut state = self.0.lock();
        let allowed = state.may_read();
        ready(allowed.map(|()| children(state.entries.keys(), prefix, after, limit)))
    }

    fn begin(&self, read_only: bool) -> BoxFuture<'_, Done<Box<dyn Transaction>>> {
        let state = self.0.lock();
        if state.no_transactions {
            return ready(Err(StorageError::NoTransactions));
        }
        let started = state.now;
        let entries = state.entries.clone();
        let view = View { entries, ..View::default() };
        let home = self.clone();
        ready(Ok(Box::new(MemoryTransaction { home, started, read_only, view: Mutex::new(view) })))
    }
}

/// What a transaction sees and has done.
#[derive(Default)]
struct View {
    entries: BTreeMap<String, Entry>,
    read: BTreeSet<String>,
    listed: Vec<String>,
    writes: Vec<(String, Option<Entry>)>,
}

struct MemoryTransaction {
    home: MemoryStorage,
    started: u64,
    read_only: bool,
    view: Mutex<View>,
}

impl MemoryTransaction {
    fn write(&self, key: &str, entry: Option<Entry>) -> Done<()> {
        check(key)?;
        if self.read_only {
            return Err(StorageError::ReadOnly("transaction is read-only".to_owned()));
        }
        self.home.0.lock().may_write()?;
        let mut view = self.view.lock();
        match entry.clone() {
            Some(entry) => view.entries.insert(key.to_owned(), entry),
            None => view.entries.remove(key),
        };
        view.writes.push((key.to_owned(), entry));
        Ok(())
    }
}

impl Storage for MemoryTransaction {
    fn get<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Done<Option<Entry>>> {
        let allowed = check(key).and_then(|()| self.home.0.lock().may_read());
        let mut view = self.view.lock();
        view.read.insert(key.to_owned());
        ready(allowed.map(|()| view.entries.get(key).cloned()))
    }

    fn put(&self, entry: Entry) -> BoxFuture<'_, Done<()>> {
        ready(self.write(&entry.key.clone(), Some(entry)))
    }

    fn delete<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Done<()>> {
        ready(self.write(key, None))
    }

    fn list_page<'a>(
        &'a self,
        prefix: &'a str,
        after: &'a str,
        limit: Option<usize>,
    ) -> BoxFuture<'a, Done<Vec<String>>> {
        let allowed = self.home.0.lock().may_read();
        let mut view = self.view.lock();
        view.listed.push(prefix.to_owned());
        ready(allowed.map(|()| children(view.entries.keys(), prefix, after, limit)))
    }

    fn begin(&self, _: bool) -> BoxFuture<'_, Done<Box<dyn Transaction>>> {
        ready(Err(StorageError::NoTransactions))
    }
}

impl Transaction for MemoryTransaction {
    fn commit(self: Box<Self>) -> BoxFuture<'static, Done<()>> {
        let view = self.view.into_inner();
        let mut state = self.home.0.lock();
        if view.writes.is_empty() {
            return ready(Ok(()));
        }
        if let Err(error) = state.may_write() {
            return ready(Err(error));
        }
        let met = state.changed.iter().any(|(key, at)| {
            *at > self.started
                && (view.read.contains(key) || view.listed.iter().any(|p| key.starts_with(p)))
        });
        if met {
            // OpenBao's words, by which a plugin knows a conflict.
            let text = "transaction commit failed: storage changed since it was read";
            return ready(Err(StorageError::Conflict(text.to_owned())));
        }
        for (key, entry) in view.writes {
            state.apply(&key, entry);
        }
        ready(Ok(()))
    }

    fn rollback(self: Box<Self>) -> BoxFuture<'static, Done<()>> {
        ready(Ok(()))
    }
}
