//! Which mounts share a process (wire spec 2.4), and that two of them at once start only one.
//!
//! Each sharing key has a lock of its own: a plugin that is slow to start keeps nobody waiting but
//! those who want that very plugin.

use std::collections::HashMap;
use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

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

#[derive(Debug, Default)]
struct Slot {
    current: tokio::sync::Mutex<Weak<Process>>,
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
        let mut current = slot.current.lock().await;
        if let Some(member) = current.upgrade().as_ref().and_then(Member::join) {
            return Ok(member);
        }
        let member = self.add(start.await?)?;
        slot.alone.store(!member.process().multiplexed, Ordering::Relaxed);
        *current = Arc::downgrade(member.process());
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
                || slot.current.try_lock().map_or(true, |process| process.strong_count() > 0)
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
