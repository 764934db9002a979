//! Tests of coherence and bounds, against an engine whose answers the test holds back.

use super::*;
use crate::Memory;
use parking_lot::Mutex;
use tokio::sync::{Notify, Semaphore};

/// An engine that reads at once but answers late, and applies at once but answers late.
struct Slow {
    inner: Memory,
    read_done: Notify,
    read_gate: Semaphore,
    write_done: Notify,
    write_gate: Semaphore,
}

impl Slow {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            inner: Memory::new(),
            read_done: Notify::new(),
            read_gate: Semaphore::new(0),
            write_done: Notify::new(),
            write_gate: Semaphore::new(0),
        })
    }
}

impl Physical for Slow {
    fn storage_type(&self) -> &'static str {
        "slow"
    }
    fn get<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Option<Vec<u8>>, Error>> {
        Box::pin(async move {
            let value = self.inner.get(key).await;
            self.read_done.notify_one();
            self.read_gate.acquire().await.expect("open").forget();
            value
        })
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
            let outcome = self.inner.apply(batch).await;
            self.write_done.notify_one();
            self.write_gate.acquire().await.expect("open").forget();
            outcome
        })
    }
}

fn bytes(text: &str) -> Vec<u8> {
    text.as_bytes().to_vec()
}

#[tokio::test]
async fn a_read_that_began_before_a_write_never_fills_the_cache_with_the_old_value() {
    let slow = Slow::new();
    slow.inner.apply(Batch::put("k", bytes("old"))).await.expect("seed");
    let cache = Arc::new(Cache::new(slow.clone(), 1 << 20));

    let reader = tokio::spawn({
        let cache = cache.clone();
        async move { cache.get("k").await }
    });
    slow.read_done.notified().await; // it has read "old", and does not know yet
    slow.write_gate.add_permits(1);
    cache.apply(Batch::put("k", bytes("new"))).await.expect("write");
    slow.read_gate.add_permits(1);
    assert_eq!(reader.await.expect("task").expect("read"), Some(bytes("old")));

    assert_eq!(cache.get("k").await.expect("read"), Some(bytes("new")));
    assert_eq!(cache.stats().hits, 1, "the write should have been kept");
}

#[tokio::test]
async fn a_write_whose_caller_went_away_still_invalidates() {
    let slow = Slow::new();
    let cache = Arc::new(Cache::new(slow.clone(), 1 << 20));
    slow.read_gate.add_permits(10);
    assert_eq!(cache.get("k").await.expect("read"), None);

    let writer = tokio::spawn({
        let cache = cache.clone();
        async move { cache.apply(Batch::put("k", bytes("new"))).await }
    });
    slow.write_done.notified().await;
    writer.abort();
    assert!(writer.await.expect_err("aborted").is_cancelled());
    // The engine has it, the cache must not have kept the absence, nor anything read before the engine answered.
    assert_eq!(cache.get("k").await.expect("read"), Some(bytes("new")));
    slow.write_gate.add_permits(1);
    while cache.stats().hits == 0 {
        assert_eq!(cache.get("k").await.expect("read"), Some(bytes("new")));
        slow.read_gate.add_permits(1);
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn overlapping_writes_to_one_key_are_not_kept() {
    let slow = Slow::new();
    let cache = Arc::new(Cache::new(slow.clone(), 1 << 20));
    let write = |text: &'static str| {
        let cache = cache.clone();
        tokio::spawn(async move { cache.apply(Batch::put("k", bytes(text))).await })
    };
    let (a, b) = (write("a"), write("b"));
    slow.write_done.notified().await;
    tokio::task::yield_now().await;
    slow.write_gate.add_permits(2);
    a.await.expect("task").expect("write");
    b.await.expect("task").expect("write");
    slow.read_gate.add_permits(1);
    let truth = slow.inner.get("k").await.expect("read");
    assert_eq!(cache.get("k").await.expect("read"), truth);
    assert_eq!(cache.stats().hits, 0, "the answer had to come from the engine");
}

#[tokio::test]
async fn a_failed_write_leaves_the_old_value_readable() {
    let memory = Arc::new(Memory::new());
    let faults = Arc::new(crate::FaultInjector::new(memory));
    let cache = Cache::new(faults.clone(), 1 << 20);
    cache.apply(Batch::put("k", bytes("old"))).await.expect("write");
    faults.set_full(true);
    let error = cache.apply(Batch::put("k", bytes("new"))).await.expect_err("full");
    assert!(matches!(error, Error::Full { .. }));
    assert_eq!(cache.get("k").await.expect("read"), Some(bytes("old")));
}

#[tokio::test]
async fn the_cache_stays_within_its_bound_and_keeps_what_is_read() {
    let max = 64 * 4096;
    let cache = Cache::new(Arc::new(Memory::new()), max);
    cache.apply(Batch::put("hot", vec![7; 100])).await.expect("write");
    for n in 0..20_000 {
        cache.apply(Batch::put(format!("cold/{n}"), vec![0; 300])).await.expect("write");
        if n % 3 == 0 {
            cache.get("hot").await.expect("read");
        }
        cache.get(&format!("absent/{n}")).await.expect("read");
    }
    let stats = cache.stats();
    assert!(stats.bytes <= max as u64, "{stats:?}");
    assert!(stats.bytes > max as u64 / 2, "{stats:?}");
    let before = cache.stats().hits;
    assert_eq!(cache.get("hot").await.expect("read"), Some(vec![7; 100]));
    assert_eq!(cache.stats().hits, before + 1, "a value read all the time was evicted");
}

#[tokio::test]
async fn an_absence_is_remembered_until_the_key_is_written() {
    let cache = Cache::new(Arc::new(Memory::new()), 1 << 20);
    assert_eq!(cache.get("k").await.expect("read"), None);
    assert_eq!(cache.get("k").await.expect("read"), None);
    assert_eq!(cache.stats(), CacheStats { hits: 1, misses: 1, bytes: cache.stats().bytes });
    cache.apply(Batch::put("k", bytes("v"))).await.expect("write");
    assert_eq!(cache.get("k").await.expect("read"), Some(bytes("v")));
    cache.apply(Batch::delete("k")).await.expect("delete");
    assert_eq!(cache.get("k").await.expect("read"), None);
}

/// Many tasks write increasing numbers to few keys; nobody may ever see a number below one already acknowledged.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_read_is_older_than_an_acknowledged_write() {
    let cache = Arc::new(Cache::new(Arc::new(Memory::new()), 64 * 600));
    let floor = Arc::new(Mutex::new([0u64; 4]));
    let mut tasks = Vec::new();
    for key in 0..4usize {
        let (cache, floor) = (cache.clone(), floor.clone());
        tasks.push(tokio::spawn(async move {
            for n in 1..2_000u64 {
                let value = n.to_be_bytes().to_vec();
                cache.apply(Batch::put(format!("k{key}"), value)).await.expect("write");
                floor.lock()[key] = n;
                if n % 16 == 0 {
                    tokio::task::yield_now().await;
                }
            }
        }));
    }
    for reader in 0..8usize {
        let (cache, floor) = (cache.clone(), floor.clone());
        tasks.push(tokio::spawn(async move {
            for n in 0..8_000usize {
                let key = (n + reader) % 4;
                let least = floor.lock()[key];
                let value = cache.get(&format!("k{key}")).await.expect("read").unwrap_or_default();
                let seen = value.try_into().map_or(0, u64::from_be_bytes);
                assert!(seen >= least, "read {seen} after {least} was acknowledged");
                if n % 64 == 0 {
                    cache.clear();
                    tokio::task::yield_now().await;
                }
            }
        }));
    }
    for task in tasks {
        task.await.expect("task");
    }
}
