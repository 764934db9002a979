//! A wrapper that makes any engine fail on command, for tests of how the whole system bears storage faults. Leaves
//! out any outside switch: only code that holds the injector can cause a fault.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use crate::{Batch, BoxFuture, Error, Physical};

/// Wraps an engine; passes everything through until told to fail.
pub struct FaultInjector {
    inner: Arc<dyn Physical>,
    writes_until_fault: AtomicU64,
    writes_until_end: AtomicU64,
    writes_until_lost_answer: AtomicU64,
    full: AtomicBool,
    reads_fail: AtomicBool,
    delay_micros: AtomicU64,
    applied: AtomicU64,
}

impl FaultInjector {
    /// Wraps `inner`, with no fault set.
    #[must_use]
    pub fn new(inner: Arc<dyn Physical>) -> Self {
        Self {
            inner,
            writes_until_fault: AtomicU64::new(0),
            writes_until_end: AtomicU64::new(0),
            writes_until_lost_answer: AtomicU64::new(0),
            full: AtomicBool::new(false),
            reads_fail: AtomicBool::new(false),
            delay_micros: AtomicU64::new(0),
            applied: AtomicU64::new(0),
        }
    }

    /// The `n`th batch from now (1 is the next) fails with [`Error::Io`] and is not written; 0 takes the order back.
    pub fn fail_nth_write(&self, n: u64) {
        self.writes_until_fault.store(n, Ordering::SeqCst);
    }

    /// The `n`th batch from now (1 is the next) and all after it fail with [`Error::Io`] and are not written, as if the
    /// disk were gone or the server killed; 0 takes the order back.
    pub fn fail_writes_from(&self, n: u64) {
        self.writes_until_end.store(n, Ordering::SeqCst);
    }

    /// The `n`th batch from now (1 is the next) is written, but fails with [`Error::Io`] all the same, as when a disk
    /// breaks between the write and its answer; 0 takes the order back.
    pub fn lose_nth_answer(&self, n: u64) {
        self.writes_until_lost_answer.store(n, Ordering::SeqCst);
    }

    /// Takes all orders about single writes back.
    pub fn lift(&self) {
        self.fail_nth_write(0);
        self.fail_writes_from(0);
        self.lose_nth_answer(0);
    }

    /// While set, every batch fails with [`Error::Full`] and is not written.
    pub fn set_full(&self, full: bool) {
        self.full.store(full, Ordering::SeqCst);
    }

    /// While set, every read and listing fails with [`Error::Io`].
    pub fn set_reads_fail(&self, fail: bool) {
        self.reads_fail.store(fail, Ordering::SeqCst);
    }

    /// Every operation waits this long first; zero for none. Needs a tokio runtime with time when not zero.
    pub fn set_delay(&self, delay: Duration) {
        let micros = u64::try_from(delay.as_micros()).unwrap_or(u64::MAX);
        self.delay_micros.store(micros, Ordering::SeqCst);
    }

    /// How many batches with at least one write were applied by the engine underneath.
    #[must_use]
    pub fn batches_written(&self) -> u64 {
        self.applied.load(Ordering::SeqCst)
    }

    async fn pause(&self) {
        let micros = self.delay_micros.load(Ordering::SeqCst);
        if micros > 0 {
            tokio::time::sleep(Duration::from_micros(micros)).await;
        }
    }

    fn read_fault(&self) -> Result<(), Error> {
        if self.reads_fail.load(Ordering::SeqCst) {
            return Err(Error::Io { path: place(), detail: "injected read fault".into() });
        }
        Ok(())
    }

    fn write_fault(&self) -> Result<(), Error> {
        if self.full.load(Ordering::SeqCst) {
            return Err(Error::Full { path: place(), detail: "injected fault".into() });
        }
        // The last step is not taken: the end lasts.
        let end = count_down(&self.writes_until_end, |n| (n > 1).then(|| n - 1));
        if end == Err(1) || count_down(&self.writes_until_fault, |n| n.checked_sub(1)) == Ok(1) {
            return Err(Error::Io { path: place(), detail: "injected write fault".into() });
        }
        Ok(())
    }

    fn answer_fault(&self) -> Result<(), Error> {
        match count_down(&self.writes_until_lost_answer, |n| n.checked_sub(1)) {
            Ok(1) => Err(Error::Io { path: place(), detail: "injected loss of an answer".into() }),
            _ => Ok(()),
        }
    }
}

/// What the counter was: `Ok` if it was changed, `Err` if not.
fn count_down(counter: &AtomicU64, step: impl FnMut(u64) -> Option<u64>) -> Result<u64, u64> {
    counter.fetch_update(Ordering::SeqCst, Ordering::SeqCst, step)
}

fn place() -> PathBuf {
    PathBuf::from("(fault injector)")
}

impl Physical for FaultInjector {
    fn storage_type(&self) -> &'static str {
        self.inner.storage_type()
    }

    fn get<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Option<Vec<u8>>, Error>> {
        Box::pin(async move {
            self.pause().await;
            self.read_fault()?;
            self.inner.get(key).await
        })
    }

    fn list<'a>(
        &'a self,
        prefix: &'a str,
        after: &'a str,
        limit: Option<usize>,
    ) -> BoxFuture<'a, Result<Vec<String>, Error>> {
        Box::pin(async move {
            self.pause().await;
            self.read_fault()?;
            self.inner.list(prefix, after, limit).await
        })
    }

    fn apply(&self, batch: Batch) -> BoxFuture<'_, Result<(), Error>> {
        Box::pin(async move {
            self.pause().await;
            let writes = !batch.writes.is_empty();
            if writes {
                self.write_fault()?;
            }
            self.inner.apply(batch).await?;
            if writes {
                self.applied.fetch_add(1, Ordering::SeqCst);
                self.answer_fault()?;
            }
            Ok(())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Memory;

    #[tokio::test]
    async fn only_the_ordered_fault_happens_and_only_once() {
        let faults = FaultInjector::new(Arc::new(Memory::new()));
        faults.fail_nth_write(2);
        let put = |key: &'static str| faults.apply(Batch::put(key, Vec::new()));
        put("a").await.expect("the first");
        assert!(matches!(put("b").await, Err(Error::Io { .. })));
        put("c").await.expect("the third");
        assert_eq!(faults.list("", "", None).await.expect("list"), ["a", "c"]);
        assert_eq!(faults.batches_written(), 2);

        faults.set_full(true);
        assert!(matches!(put("d").await, Err(Error::Full { .. })));
        faults.apply(Batch::default()).await.expect("nothing to write, nothing to fail");
        faults.set_full(false);
        faults.set_reads_fail(true);
        assert!(faults.get("a").await.is_err() && faults.list("", "", None).await.is_err());
        put("d").await.expect("writes go on");
    }

    #[tokio::test]
    async fn an_end_lasts_until_it_is_taken_back_and_a_lost_answer_is_only_an_answer() {
        let faults = FaultInjector::new(Arc::new(Memory::new()));
        let put = |key: &'static str| faults.apply(Batch::put(key, Vec::new()));
        faults.fail_writes_from(2);
        put("a").await.expect("the first");
        for _ in 0..3 {
            assert!(matches!(put("b").await, Err(Error::Io { .. })));
        }
        faults.lift();
        faults.lose_nth_answer(2);
        put("c").await.expect("no end any more");
        assert!(matches!(put("d").await, Err(Error::Io { .. })));
        put("e").await.expect("only one answer is lost");
        assert_eq!(faults.list("", "", None).await.expect("list"), ["a", "c", "d", "e"]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_delay_holds_back_every_operation() {
        let faults = FaultInjector::new(Arc::new(Memory::new()));
        faults.set_delay(Duration::from_secs(3));
        let start = tokio::time::Instant::now();
        faults.apply(Batch::put("a", Vec::new())).await.expect("put");
        faults.get("a").await.expect("get");
        assert_eq!(start.elapsed(), Duration::from_secs(6));
    }
}
