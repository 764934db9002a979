//! What is due when: keys by time, and a way to sleep until the next one.

use std::{
    collections::{BTreeSet, HashMap},
    hash::Hash,
    time::Duration,
};

use parking_lot::Mutex;
use tokio::sync::Notify;

/// Keys by the second (since 1970) in which they are due.
pub struct Due<K> {
    queue: Mutex<Queue<K>>,
    changed: Notify,
}

struct Queue<K> {
    by_time: BTreeSet<(u64, K)>,
    by_key: HashMap<K, u64>,
}

impl<K> Default for Due<K> {
    fn default() -> Self {
        let queue = Queue { by_time: BTreeSet::new(), by_key: HashMap::new() };
        Self { queue: Mutex::new(queue), changed: Notify::new() }
    }
}

impl<K: Clone + Ord + Hash> Due<K> {
    /// Sets when a key is due, in place of what was set before; 0 is never.
    pub fn schedule(&self, key: K, at: u64) {
        let mut queue = self.queue.lock();
        if let Some(old) = queue.by_key.remove(&key) {
            queue.by_time.remove(&(old, key.clone()));
        }
        if at == 0 {
            return;
        }
        queue.by_key.insert(key.clone(), at);
        let place = (at, key);
        let first = queue.by_time.first().is_none_or(|first| place < *first);
        queue.by_time.insert(place);
        if first {
            self.changed.notify_one();
        }
    }

    /// The key is gone.
    pub fn forget(&self, key: &K) {
        self.schedule(key.clone(), 0);
    }

    /// How many keys are due some time.
    pub fn len(&self) -> usize {
        self.queue.lock().by_time.len()
    }

    /// What is due next, and when.
    pub fn next(&self) -> Option<(u64, K)> {
        self.queue.lock().by_time.first().cloned()
    }

    /// Takes what is due by now, if anything is.
    pub fn take(&self, now: u64) -> Option<K> {
        let mut queue = self.queue.lock();
        let (at, _) = queue.by_time.first()?;
        if *at > now {
            return None;
        }
        let (_, key) = queue.by_time.pop_first()?;
        queue.by_key.remove(&key);
        Some(key)
    }

    /// Sleeps so long, or until something else is due first.
    pub async fn sleep(&self, nap: Duration) {
        let _ = tokio::time::timeout(nap, self.changed.notified()).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_due_comes_in_its_order_and_once() {
        let due = Due::default();
        for (key, at) in [("late", 30), ("early", 10), ("moved", 5), ("gone", 1)] {
            due.schedule(key, at);
        }
        due.schedule("moved", 20);
        due.forget(&"gone");
        assert_eq!(due.next(), Some((10, "early")));
        assert_eq!(due.take(9), None);
        assert_eq!(due.take(25), Some("early"));
        assert_eq!(due.take(25), Some("moved"));
        assert_eq!(due.take(25), None);
        assert_eq!(due.take(30), Some("late"));
        assert_eq!(due.next(), None);
    }
}
