//! Which mounts share a process (wire spec 2.4), and that two of them at once start only one.
//!
//! Each sharing key has a lock of its own: a plugin that is slow to start keeps nobody waiting but
//! those who want that very plugin. If it hangs, they hear of it together: were each to try for
//! itself, the last of a hundred mounts would wait for a hundred minutes.

use std::collections::HashMap;
use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Instant;

use boltwork_logical::PluginId;

use crate::HostError;
use crate::process::{Member, Order, Process};
use crate::protocol::Protocol;

/// Everything that must be equal for a process to be shared.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Key {
    id: PluginId,
    path: std::path::PathBuf,
    args: Vec<String>,
    env: Vec<String>,
    sha256: Vec<u8>,
    protocol: Protocol,
    metadata: bool,
}

impl Key {
    fn of(order: &Order) -> Self {
        let entry = &order.entry;
        Self {
            id: entry.id.clone(),
            path: order.path.clone(),
            args: entry.args.clone(),
            env: entry.env.clone(),
            sha256: entry.sha256.clone(),
            protocol: order.protocol,
            metadata: order.metadata,
        }
    }
}

/// What there is to join, and what became of the last attempt to have something.
#[derive(Debug, Default)]
struct Current {
    process: Weak<Process>,
    /// When a start was given up because it hung.
    hung: Option<(Instant, HostError)>,
}

#[derive(Debug, Default)]
struct Slot {
    current: tokio::sync::Mutex<Current>,
    /// It does not multiplex: each backend has a process of its own, and nobody need wait.
    alone: AtomicBool,
}

/// All processes of the server.
#[derive(Debug, Default)]
pub(crate) struct Pool {
    slots: Mutex<HashMap<Key, Arc<Slot>>>,
    all: Mutex<Vec<Weak<Process>>>,
}

impl Pool {
    /// A place in a running process, or in one that `start` starts.
    pub async fn join<F>(&self, order: &Order, start: F) -> Result<Member, HostError>
    where
        F: Future<Output = Result<Process, HostError>>,
    {
        let slot = self.slot(Key::of(order));
        if slot.alone.load(Ordering::Relaxed) {
            return self.add(start.await?);
        }
        let came = Instant::now();
        let mut current = slot.current.lock().await;
        if let Some(member) = current.process.upgrade().as_ref().and_then(Member::join) {
            return Ok(member);
        }
        // Found out while we waited: then there is no more to wait for.
        if slot.alone.load(Ordering::Relaxed) {
            drop(current);
            return self.add(start.await?);
        }
        if let Some((given_up, error)) = &current.hung
            && *given_up > came
            && let Some(error) = error.if_it_hangs()
        {
            return Err(error);
        }
        let started = start.await.and_then(|process| self.add(process));
        let member = started.inspect_err(|error| {
            current.hung = error.if_it_hangs().map(|error| (Instant::now(), error));
        })?;
        slot.alone.store(!member.process().multiplexed, Ordering::Relaxed);
        *current = Current { process: Arc::downgrade(member.process()), hung: None };
        Ok(member)
    }

    fn slot(&self, key: Key) -> Arc<Slot> {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(slot) = slots.get(&key) {
            return slot.clone();
        }
        // Slots that nobody uses are forgotten when a new one comes.
        slots.retain(|_, slot| {
            Arc::strong_count(slot) > 1
                || slot.current.try_lock().map_or(true, |it| it.process.strong_count() > 0)
        });
        slots.entry(key).or_default().clone()
    }

    /// The first place in a new process, which is ended with the server's other ones.
    pub fn add(&self, process: Process) -> Result<Member, HostError> {
        let process = Arc::new(process);
        let member = Member::join(&process);
        let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|process| process.strong_count() > 0);
        all.push(Arc::downgrade(&process));
        member.ok_or_else(|| {
            let exit = process.client.exit();
            let stderr = exit.as_ref().map(|it| it.stderr.clone()).unwrap_or_default();
            let status = exit.and_then(|it| it.status);
            HostError::Exited { during: "its start", status, stderr }
        })
    }

    /// What runs for this plugin takes no more members.
    pub fn retire(&self, id: &PluginId) {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        slots.retain(|key, _| key.id != *id);
        drop(slots);
        for process in self.running() {
            if process.order.entry.id == *id {
                process.close();
            }
        }
    }

    /// Every process that has not been forgotten.
    pub fn running(&self) -> Vec<Arc<Process>> {
        let all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        all.iter().filter_map(Weak::upgrade).collect()
    }

    /// Ends everything, in parallel.
    pub async fn stop(&self) {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner).clear();
        let running = self.running();
        let stops = running.iter().map(|process| {
            process.close();
            process.client.stop()
        });
        futures_util::future::join_all(stops).await;
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;
    use std::sync::atomic::AtomicUsize;
    use std::time::Duration;

    use boltwork_logical::{PluginEntry, PluginKind};

    use super::*;

    const LIMIT: Duration = Duration::from_secs(60);

    fn order() -> Order {
        let id = PluginId { kind: PluginKind::Secret, name: "x".into(), version: String::new() };
        let entry = PluginEntry {
            id,
            command: "x".into(),
            args: Vec::new(),
            env: Vec::new(),
            sha256: Vec::new(),
            builtin: false,
            declarative: false,
            deprecation: None,
        };
        Order { entry, path: PathBuf::from("/x"), protocol: Protocol::Auto, metadata: false }
    }

    /// Ten mounts at once want a process; how many starts that were, and how long they took together.
    async fn ten(pool: &Pool, failing: impl Fn() -> HostError) -> (usize, Duration) {
        let (order, starts) = (order(), AtomicUsize::new(0));
        let begun = tokio::time::Instant::now();
        let joins = (0..10).map(|_| {
            pool.join(&order, async {
                starts.fetch_add(1, Ordering::SeqCst);
                tokio::time::sleep(LIMIT).await;
                Err(failing())
            })
        });
        for joined in futures_util::future::join_all(joins).await {
            assert_eq!(joined.unwrap_err().to_string(), failing().to_string());
        }
        (starts.into_inner(), begun.elapsed())
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_for_a_start_that_hangs_hears_of_it_and_does_not_try_again() {
        let pool = Pool::default();
        let hangs = || HostError::Timeout { during: "MultiplexingSupport", seconds: 60 };
        // Whoever comes afterwards does try: its cause may be gone.
        for _ in 0..2 {
            let (starts, took) = ten(&pool, hangs).await;
            assert_eq!(starts, 1);
            assert!(took < LIMIT * 2, "{took:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_start_that_fails_otherwise_is_tried_by_each_of_them() {
        let (starts, _) = ten(&Pool::default(), || HostError::Refused("no".into())).await;
        assert_eq!(starts, 10);
    }
}
