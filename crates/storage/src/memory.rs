//! An engine in memory, for dev mode and tests. Leaves out persistence.
//!
//! Values live in shards chosen by the key's hash, so that readers on different cores do not meet on one lock; the
//! sorted set of keys beside them serves listings alone. Writers are one at a time, and hold every shard they touch
//! while they write, so that no reader sees half a batch in the keys it reads under one lock.

use std::collections::hash_map::RandomState;
use std::collections::{BTreeSet, HashMap};
use std::hash::BuildHasher;
use std::ops::Bound;
use std::sync::Arc;

use futures_util::FutureExt as _;
use parking_lot::{Mutex, RwLock};

use crate::children::{Children, Step};
use crate::{Batch, BoxFuture, Check, Error, Physical, Write, validate_key, validate_prefix};

const SHARDS: usize = 64;

type Shard = RwLock<HashMap<Arc<str>, Vec<u8>>>;

/// A sorted map in memory. Its content is gone when it is dropped.
pub struct Memory {
    shards: Box<[Shard]>,
    hasher: RandomState,
    keys: RwLock<BTreeSet<Arc<str>>>,
    /// Held from the first check to the last write of a batch.
    writer: Mutex<()>,
}

impl Default for Memory {
    fn default() -> Self {
        Self::new()
    }
}

impl Memory {
    /// An empty store.
    #[must_use]
    pub fn new() -> Self {
        Self {
            shards: (0..SHARDS).map(|_| Shard::default()).collect(),
            hasher: RandomState::new(),
            keys: RwLock::default(),
            writer: Mutex::new(()),
        }
    }

    fn shard_of(&self, key: &str) -> usize {
        usize::try_from(self.hasher.hash_one(key) % SHARDS as u64).unwrap_or(0)
    }

    fn read(&self, key: &str) -> Result<Option<Vec<u8>>, Error> {
        validate_key(key)?;
        Ok(self.shards[self.shard_of(key)].read().get(key).cloned())
    }

    fn children(
        &self,
        prefix: &str,
        after: &str,
        limit: Option<usize>,
    ) -> Result<Vec<String>, Error> {
        validate_prefix(prefix)?;
        let keys = self.keys.read();
        let mut children = Children::new(prefix, after, limit);
        let mut from = children.start();
        'seek: loop {
            for key in keys.range::<str, _>((Bound::Included(from.as_str()), Bound::Unbounded)) {
                match children.offer(key) {
                    Step::Next => {}
                    Step::Done => break 'seek,
                    Step::SeekTo(next) => {
                        from = next;
                        continue 'seek;
                    }
                }
            }
            break;
        }
        Ok(children.finish())
    }

    fn holds(&self, check: &Check) -> Result<bool, Error> {
        Ok(match check {
            Check::Value { key, expected } => {
                self.shards[self.shard_of(key)].read().get(key.as_str()) == expected.as_ref()
            }
            Check::Listing { prefix, after, limit, expected } => {
                self.children(prefix, after, *limit)? == *expected
            }
        })
    }

    fn write(&self, batch: Batch) -> Result<(), Error> {
        batch.validate()?;
        let _writing = self.writer.lock();
        for check in &batch.checks {
            if !self.holds(check)? {
                return Err(Error::Conflict);
            }
        }
        let touched: BTreeSet<usize> =
            batch.writes.iter().map(|write| self.shard_of(write.key())).collect();
        let mut keys = self.keys.write();
        let mut guards: HashMap<usize, _> =
            touched.into_iter().map(|index| (index, self.shards[index].write())).collect();
        for write in batch.writes {
            let Some(shard) = guards.get_mut(&self.shard_of(write.key())) else { continue };
            match write {
                Write::Put { key, value } => {
                    if let Some(slot) = shard.get_mut(key.as_str()) {
                        *slot = value;
                    } else {
                        let key: Arc<str> = key.into();
                        keys.insert(key.clone());
                        shard.insert(key, value);
                    }
                }
                Write::Delete { key } => {
                    shard.remove(key.as_str());
                    keys.remove(key.as_str());
                }
            }
        }
        Ok(())
    }
}

impl Physical for Memory {
    fn storage_type(&self) -> &'static str {
        "inmem"
    }

    fn get<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Option<Vec<u8>>, Error>> {
        std::future::ready(self.read(key)).boxed()
    }

    fn list<'a>(
        &'a self,
        prefix: &'a str,
        after: &'a str,
        limit: Option<usize>,
    ) -> BoxFuture<'a, Result<Vec<String>, Error>> {
        std::future::ready(self.children(prefix, after, limit)).boxed()
    }

    fn apply(&self, batch: Batch) -> BoxFuture<'_, Result<(), Error>> {
        // Inside the future: a future that is never polled must not write.
        async move { self.write(batch) }.boxed()
    }
}
