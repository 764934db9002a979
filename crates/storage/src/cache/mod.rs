//! A bounded cache of physical values in front of any engine. Leaves out listings: they go to the engine.
//!
//! Coherence under concurrent writes rests on three rules, kept per shard and key:
//! 1. A write first empties its slots and marks them pending, then runs, then unmarks them. While a slot is pending
//!    nobody fills it, so a value read before the write cannot appear after it.
//! 2. Every mark and unmark moves the shard's generation. A reader notes the generation before it asks the engine and
//!    fills only if it still stands: a write that began and ended in between is noticed.
//! 3. A finished write puts its own values in (write-through) only if no other write to the same key overlapped it:
//!    the cache does not know in which order the engine took two overlapping writes.
//!
//! A caller that gives up waiting does not take its write back, so the unmarking is done by whoever finishes the
//! write, on the runtime if need be.

mod shard;

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use crate::{Batch, BoxFuture, Error, Physical, Write, validate_key};
use shard::{Found, Shard};

const SHARDS: usize = 64;

/// What the cache did since it was made, and holds now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CacheStats {
    /// Reads answered from memory, known absences included.
    pub hits: u64,
    /// Reads that went to the engine.
    pub misses: u64,
    /// Bytes charged now: keys, values and a fixed overhead each.
    pub bytes: u64,
}

/// A read-through, write-through cache of values and of known absences, in front of `inner`.
///
/// All access to `inner` must go through the cache; it holds what the engine holds, that is ciphertext.
pub struct Cache {
    inner: Arc<dyn Physical>,
    shared: Arc<Shared>,
}

struct Shared {
    shards: Box<[Shard]>,
    hasher: RandomState,
}

impl Cache {
    /// A cache of at most `max_bytes` in front of `inner`. Values above a 64th of that are not kept.
    #[must_use]
    pub fn new(inner: Arc<dyn Physical>, max_bytes: usize) -> Self {
        let shards = (0..SHARDS).map(|_| Shard::new(max_bytes / SHARDS)).collect();
        let shared = Arc::new(Shared { shards, hasher: RandomState::new() });
        Self { inner, shared }
    }

    /// Counters since it was made.
    #[must_use]
    pub fn stats(&self) -> CacheStats {
        let mut stats = CacheStats::default();
        for shard in &self.shared.shards {
            shard.add_to(&mut stats);
        }
        stats
    }

    /// Forgets every value. What is being written stays marked.
    pub fn clear(&self) {
        self.shared.shards.iter().for_each(Shard::clear);
    }
}

impl Shared {
    fn shard(&self, key: &str) -> &Shard {
        let hash = self.hasher.hash_one(key);
        &self.shards[usize::try_from(hash % SHARDS as u64).unwrap_or(0)]
    }
}

impl Physical for Cache {
    fn storage_type(&self) -> &'static str {
        self.inner.storage_type()
    }

    fn get<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Option<Vec<u8>>, Error>> {
        if let Err(error) = validate_key(key) {
            return Box::pin(std::future::ready(Err(error)));
        }
        let shard = self.shared.shard(key);
        match shard.find(key) {
            Found::Value(value) => Box::pin(std::future::ready(Ok(value))),
            Found::Nothing { may_fill_at } => Box::pin(async move {
                let value = self.inner.get(key).await?;
                if let Some(generation) = may_fill_at {
                    shard.fill(key, value.as_deref(), generation);
                }
                Ok(value)
            }),
        }
    }

    fn list<'a>(
        &'a self,
        prefix: &'a str,
        after: &'a str,
        limit: Option<usize>,
    ) -> BoxFuture<'a, Result<Vec<String>, Error>> {
        self.inner.list(prefix, after, limit)
    }

    fn apply(&self, batch: Batch) -> BoxFuture<'_, Result<(), Error>> {
        Box::pin(async move {
            if batch.writes.is_empty() {
                return self.inner.apply(batch).await;
            }
            batch.validate()?;
            let marks = Marks::set(self.shared.clone(), &batch.writes);
            let inner = self.inner.clone();
            let work = Box::pin(async move { inner.apply(batch).await });
            InFlight { running: Some((work, marks)) }.await
        })
    }
}

/// The keys of one write, marked pending, with the values they will have.
struct Marks {
    shared: Arc<Shared>,
    values: Vec<(Arc<str>, Option<Vec<u8>>)>,
}

impl Marks {
    fn set(shared: Arc<Shared>, writes: &[Write]) -> Self {
        let mut values: Vec<(Arc<str>, Option<Vec<u8>>)> = Vec::with_capacity(writes.len());
        let mut places = std::collections::HashMap::with_capacity(writes.len());
        for write in writes {
            let value = match write {
                // Too large to keep: not worth a copy.
                Write::Put { key, value } if shared.shard(key).keeps(key, value.len()) => {
                    Some(value.clone())
                }
                Write::Put { .. } | Write::Delete { .. } => None,
            };
            // The last write to a key is the one that counts.
            let place = *places.entry(write.key()).or_insert_with(|| {
                values.push((write.key().into(), None));
                values.len() - 1
            });
            values[place].1 = value;
        }
        for (key, _) in &values {
            shared.shard(key).mark(key);
        }
        Self { shared, values }
    }

    fn clear(self, written: bool) {
        for (key, value) in self.values {
            let keep = if written { value } else { None };
            self.shared.shard(&key).unmark(&key, keep);
        }
    }
}

type Work = BoxFuture<'static, Result<(), Error>>;

/// A write on its way. If its caller goes away it is finished on the runtime, so that the marks fall only when the
/// engine is done.
struct InFlight {
    running: Option<(Work, Marks)>,
}

impl Future for InFlight {
    type Output = Result<(), Error>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let Some((work, _)) = self.running.as_mut() else { return Poll::Ready(Err(Error::Closed)) };
        let outcome = std::task::ready!(work.as_mut().poll(context));
        if let Some((_, marks)) = self.running.take() {
            marks.clear(outcome.is_ok());
        }
        Poll::Ready(outcome)
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        let Some((work, marks)) = self.running.take() else { return };
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) => {
                runtime.spawn(async move {
                    let outcome = work.await;
                    marks.clear(outcome.is_ok());
                });
            }
            // Without a runtime nobody can wait for the engine. The marks stay: these keys are no longer cached,
            // which is slow but never wrong.
            Err(_) => drop(work),
        }
    }
}

#[cfg(test)]
mod tests;
