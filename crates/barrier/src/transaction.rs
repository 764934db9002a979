//! Optimistic transactions: reads are remembered, writes are kept back, and the commit is one batch which verifies
//! the former and performs the latter. Leaves out locks: a transaction blocks nobody.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use boltwork_logical::BoxFuture;
use boltwork_storage::{Batch, Check, Write, validate_key, validate_prefix};
use parking_lot::Mutex;
use zeroize::Zeroizing;

use crate::Error;
use crate::barrier::{Barrier, check_writable};

/// The most bytes that a transaction may have read and written, keys and a fixed overhead of each included.
pub const MAX_TRANSACTION_LEN: usize = 48 << 20;
/// Charged for each item besides its bytes: header, nonce, tag, and the maps' own cost.
const OVERHEAD: usize = 96;

/// All or nothing, and nothing if dropped. Reads its own writes.
///
/// Every value or listing it has read must still be the same at the commit, or the commit fails with
/// [`Error::Conflict`] and nothing is written.
pub struct BarrierTransaction {
    barrier: Barrier,
    epoch: u64,
    read_only: bool,
    state: Mutex<State>,
}

/// A listing's arguments: prefix, after, limit.
type Listing = (String, String, Option<usize>);

#[derive(Default)]
struct State {
    /// As stored, that is encrypted.
    reads: BTreeMap<String, Option<Vec<u8>>>,
    listings: BTreeMap<Listing, Vec<String>>,
    /// In the clear; `None` deletes.
    writes: BTreeMap<String, Option<Zeroizing<Vec<u8>>>>,
    len: usize,
}

impl State {
    fn charge(&mut self, len: usize) -> Result<(), Error> {
        self.len += len + OVERHEAD;
        if self.len > MAX_TRANSACTION_LEN {
            return Err(Error::TransactionTooLarge { max: MAX_TRANSACTION_LEN });
        }
        Ok(())
    }

    /// Paths below `prefix` that this transaction writes (`true`) or deletes, relative to it.
    fn changes(&self, prefix: &str) -> Vec<(String, bool)> {
        self.writes
            .range::<str, _>((Bound::Included(prefix), Bound::Unbounded))
            .map_while(|(key, value)| Some((key.strip_prefix(prefix)?.to_owned(), value.is_some())))
            .filter(|(rest, _)| !rest.is_empty())
            .collect()
    }
}

impl BarrierTransaction {
    pub(crate) fn new(barrier: Barrier, epoch: u64, read_only: bool) -> Self {
        Self { barrier, epoch, read_only, state: Mutex::default() }
    }

    /// Reads one entry, as this transaction sees it.
    ///
    /// # Errors
    /// As [`Barrier::get`], and [`Error::TransactionTooLarge`].
    pub async fn get(&self, key: &str) -> Result<Option<Zeroizing<Vec<u8>>>, Error> {
        self.barrier.check_epoch(self.epoch)?;
        let known = {
            let state = self.state.lock();
            if let Some(written) = state.writes.get(key) {
                return Ok(written.clone());
            }
            state.reads.get(key).cloned()
        };
        let entry = match known {
            Some(entry) => entry,
            None => {
                let entry = self.barrier.physical().get(key).await?;
                let mut state = self.state.lock();
                // Two reads of the same key at the same time: the first one counts.
                if let Some(entry) = state.reads.get(key) {
                    entry.clone()
                } else {
                    state.charge(key.len() + entry.as_ref().map_or(0, Vec::len))?;
                    state.reads.insert(key.to_owned(), entry.clone());
                    entry
                }
            }
        };
        entry.map(|entry| self.barrier.decrypt(key, entry)).transpose()
    }

    /// Writes one entry at the commit.
    ///
    /// # Errors
    /// [`Error::ReadOnly`], and as [`Barrier::put`].
    pub fn put(&self, key: &str, value: Zeroizing<Vec<u8>>) -> Result<(), Error> {
        self.write(key, Some(value))
    }

    /// Removes one entry at the commit.
    ///
    /// # Errors
    /// As [`BarrierTransaction::put`].
    pub fn delete(&self, key: &str) -> Result<(), Error> {
        self.write(key, None)
    }

    fn write(&self, key: &str, value: Option<Zeroizing<Vec<u8>>>) -> Result<(), Error> {
        self.barrier.check_epoch(self.epoch)?;
        if self.read_only {
            return Err(Error::ReadOnly("transaction is read-only".into()));
        }
        validate_key(key)?;
        check_writable(key)?;
        let mut state = self.state.lock();
        state.charge(key.len() + value.as_ref().map_or(0, |value| value.len()))?;
        state.writes.insert(key.to_owned(), value);
        Ok(())
    }

    /// Lists immediate children, as this transaction sees them.
    ///
    /// # Errors
    /// As [`Barrier::list`], and [`Error::TransactionTooLarge`].
    pub async fn list(
        &self,
        prefix: &str,
        after: &str,
        limit: Option<usize>,
    ) -> Result<Vec<String>, Error> {
        validate_prefix(prefix)?;
        self.children(prefix.to_owned(), after.to_owned(), limit).await
    }

    /// Boxed, because it asks itself whether a folder is empty after the deletes of this transaction.
    fn children(
        &self,
        prefix: String,
        after: String,
        limit: Option<usize>,
    ) -> BoxFuture<'_, Result<Vec<String>, Error>> {
        Box::pin(async move {
            self.barrier.check_epoch(self.epoch)?;
            let changes = self.state.lock().changes(&prefix);
            if changes.is_empty() {
                return self.stored_children(prefix, after, limit).await;
            }
            let stored = self.stored_children(prefix.clone(), String::new(), None).await?;
            let mut children: BTreeSet<String> = stored.into_iter().collect();
            let mut emptied = BTreeSet::new();
            for (rest, put) in &changes {
                let child = rest.split_inclusive('/').next().unwrap_or(rest);
                match (put, child.ends_with('/')) {
                    (false, false) => _ = children.remove(child),
                    (false, true) => _ = emptied.insert(child),
                    (true, _) => {}
                }
            }
            for folder in emptied {
                let inside = self.children([&prefix, folder].concat(), String::new(), Some(1));
                if inside.await?.is_empty() {
                    children.remove(folder);
                }
            }
            for (rest, put) in &changes {
                if *put {
                    let child = rest.split_inclusive('/').next().unwrap_or(rest);
                    children.insert(child.to_owned());
                }
            }
            let beyond = children.into_iter().filter(|child| *child > after);
            Ok(beyond.take(limit.unwrap_or(usize::MAX)).collect())
        })
    }

    /// Children in storage, remembered so that the commit can verify them.
    async fn stored_children(
        &self,
        prefix: String,
        after: String,
        limit: Option<usize>,
    ) -> Result<Vec<String>, Error> {
        let listing = (prefix, after, limit);
        if let Some(children) = self.state.lock().listings.get(&listing) {
            return Ok(children.clone());
        }
        let found = self.barrier.physical().list(&listing.0, &listing.1, limit).await?;
        let mut state = self.state.lock();
        if let Some(children) = state.listings.get(&listing) {
            return Ok(children.clone());
        }
        let len = found.iter().map(|child| child.len() + OVERHEAD).sum::<usize>();
        state.charge(listing.0.len() + listing.1.len() + len)?;
        state.listings.insert(listing, found.clone());
        Ok(found)
    }

    pub(crate) fn has_writes(&self) -> bool {
        !self.state.lock().writes.is_empty()
    }

    /// Verifies what was read and writes what was written, in one step; it is on disk when this returns.
    ///
    /// # Errors
    /// [`Error::Conflict`], [`Error::Sealed`], [`Error::Storage`]; nothing was written then.
    pub async fn commit(self) -> Result<(), Error> {
        self.barrier.check_epoch(self.epoch)?;
        let state = self.state.into_inner();
        if state.writes.is_empty() && state.reads.len() + state.listings.len() <= 1 {
            // One read by itself is always consistent.
            return Ok(());
        }
        let mut checks = Vec::with_capacity(state.reads.len() + state.listings.len());
        for (key, expected) in state.reads {
            checks.push(Check::Value { key, expected });
        }
        for ((prefix, after, limit), expected) in state.listings {
            checks.push(Check::Listing { prefix, after, limit, expected });
        }
        let mut writes = Vec::with_capacity(state.writes.len());
        for (key, value) in state.writes {
            writes.push(match value {
                Some(value) => Write::Put { value: self.barrier.encrypt(&key, &value)?, key },
                None => Write::Delete { key },
            });
        }
        Ok(self.barrier.physical().apply(Batch { checks, writes }).await?)
    }
}
