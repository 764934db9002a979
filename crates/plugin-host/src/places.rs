//! How many starts are under way at once, so that hundreds of mounts do not start at the same moment,
//! and what hangs does not keep the others waiting.
//!
//! A start that takes longer than others gives its place to the next one and goes on beside it. How
//! many do so is bounded too: there are never more starts under way than [`Places::new`] says.
//!
//! Left out: how long a start may take at all, which is the start's own affair; that mounts of one
//! program wait for its first process (`pool`).

use std::pin::pin;
use std::time::Duration;

use tokio::sync::Semaphore;

/// Longer than a start takes on a machine that is not overloaded; how long one that hangs is in
/// others' way.
const GRACE: Duration = Duration::from_secs(2);

/// Places for starts.
#[derive(Debug)]
pub(crate) struct Places {
    /// For those that take no longer than others.
    brisk: Semaphore,
    /// For all.
    all: Semaphore,
}

impl Places {
    /// So many starts at a time, and with those that hang so many.
    pub const fn new(brisk: usize, all: usize) -> Self {
        Self { brisk: Semaphore::const_new(brisk), all: Semaphore::const_new(all) }
    }

    /// Does something when there is a place for it.
    pub async fn hold<T>(&self, start: impl Future<Output = T>) -> T {
        // Neither is ever closed, so neither is an error.
        let _one_of_all = self.all.acquire().await;
        let brisk = self.brisk.acquire().await;
        let mut start = pin!(start);
        if let Ok(done) = tokio::time::timeout(GRACE, &mut start).await {
            return done;
        }
        drop(brisk);
        start.await
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    /// So many that hang, begun one after the other; how many of them were begun.
    fn hanging(places: &Arc<Places>, count: usize) -> Arc<AtomicUsize> {
        let begun = Arc::new(AtomicUsize::new(0));
        for _ in 0..count {
            let (places, begun) = (Arc::clone(places), Arc::clone(&begun));
            tokio::spawn(async move {
                let hangs = async {
                    begun.fetch_add(1, Ordering::SeqCst);
                    std::future::pending::<()>().await;
                };
                places.hold(hangs).await;
            });
        }
        begun
    }

    #[tokio::test(start_paused = true)]
    async fn what_hangs_is_in_the_way_for_its_grace_and_no_longer() {
        let places = Arc::new(Places::new(4, 16));
        hanging(&places, 12);
        tokio::task::yield_now().await;
        let before = tokio::time::Instant::now();
        assert_eq!(places.hold(async { 7 }).await, 7);
        let waited = before.elapsed();
        assert!(waited >= GRACE && waited < GRACE * 4, "{waited:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn there_are_never_more_than_all_places() {
        let places = Arc::new(Places::new(4, 16));
        let begun = hanging(&places, 100);
        tokio::time::sleep(GRACE * 100).await;
        assert_eq!(begun.load(Ordering::SeqCst), 16);
    }

    #[tokio::test(start_paused = true)]
    async fn a_place_is_free_again_when_whoever_had_it_gives_up() {
        let places = Arc::new(Places::new(1, 1));
        let given_up = tokio::time::timeout(GRACE * 2, places.hold(std::future::pending::<()>()));
        assert!(given_up.await.is_err());
        assert_eq!(places.hold(async { 7 }).await, 7);
    }
}
