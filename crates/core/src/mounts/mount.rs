//! One mount while the server is unsealed: its entry, its storage, and its backend, which may be
//! starting, running or unavailable.
//!
//! Requests take the backend through [`Mount::enter`], which counts them, so that a backend is
//! cleaned up only when nobody is inside.

use std::{
    panic::AssertUnwindSafe,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use arc_swap::ArcSwap;
use boltwork_logical::{
    Backend, Error, Existence, Failure, MountFacts, Reply, Request, Running, SpecialPaths, Storage,
};
use futures_util::FutureExt;
use tokio::sync::{Notify, Semaphore, watch};

use super::{MountEntry, Table, start::clean_up};
use crate::metrics::MountMetrics;

/// Longest wait for requests to leave a backend that is going away.
const DRAIN: Duration = Duration::from_secs(10);
/// Backends of one mount that may be ending at the same time, after reloads in quick succession.
const LEAVING: usize = 4;

/// A mount.
pub struct Mount {
    pub table: Table,
    pub entry: ArcSwap<MountEntry>,
    /// What the backend may know; shared by all its requests.
    pub facts: ArcSwap<MountFacts>,
    pub storage: Arc<dyn Storage>,
    /// A mount of the core itself: it cannot be removed, moved or disabled.
    pub core_own: bool,
    /// What is counted of it.
    pub metrics: MountMetrics,
    pub(super) condition: ArcSwap<Condition>,
    /// One change of the backend at a time.
    pub(super) changing: tokio::sync::Mutex<()>,
    /// A place is held while a backend before this one ends.
    pub(super) leaving: Arc<Semaphore>,
}

/// How a mount's backend is.
pub enum Condition {
    /// It is being brought up; the channel closes when that is over.
    Starting(watch::Receiver<()>),
    /// It answers.
    Running(Arc<Live>),
    /// It cannot be brought up, for this reason.
    Unavailable(Arc<str>),
}

/// A running backend and the requests inside it.
pub struct Live {
    pub running: Running,
    inside: AtomicUsize,
    leaving: AtomicBool,
    left: Notify,
}

/// A request's place inside a backend.
pub struct Inside(Arc<Live>);

impl Live {
    pub fn new(running: Running) -> Arc<Self> {
        Arc::new(Self {
            running,
            inside: AtomicUsize::new(0),
            leaving: AtomicBool::new(false),
            left: Notify::new(),
        })
    }

    /// Counts a request in, unless the backend is going away.
    fn enter(self: &Arc<Self>) -> Option<Inside> {
        self.inside.fetch_add(1, Ordering::SeqCst);
        let inside = Inside(Arc::clone(self));
        (!self.leaving.load(Ordering::SeqCst)).then_some(inside)
    }

    /// Lets no request in any more, waits for those inside (bounded), then cleans up.
    pub async fn retire(&self) {
        self.drain().await;
        clean_up(&*self.running.backend).await;
    }

    /// Lets no request in any more, and waits for those inside (bounded).
    pub async fn drain(&self) {
        self.leaving.store(true, Ordering::SeqCst);
        let empty = async {
            loop {
                let mut left = std::pin::pin!(self.left.notified());
                // From here on a leave is noticed, also one between the next two lines.
                left.as_mut().enable();
                if self.inside.load(Ordering::SeqCst) == 0 {
                    return;
                }
                left.await;
            }
        };
        if tokio::time::timeout(DRAIN, empty).await.is_err() {
            tracing::warn!("requests are still inside a backend that is being replaced or removed");
        }
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        if self.0.inside.fetch_sub(1, Ordering::SeqCst) == 1
            && self.0.leaving.load(Ordering::SeqCst)
        {
            self.0.left.notify_waiters();
        }
    }
}

impl Inside {
    /// Another place, for work that goes on by itself.
    pub fn again(&self) -> Self {
        self.0.inside.fetch_add(1, Ordering::SeqCst);
        Self(Arc::clone(&self.0))
    }

    /// Answers a request. A backend that panics fails its request and nothing else.
    pub async fn handle(&self, request: Request) -> Result<Option<Reply>, Failure> {
        let id = Arc::clone(&request.id);
        let work = AssertUnwindSafe(self.backend().handle(request)).catch_unwind();
        work.await.unwrap_or_else(|_| {
            tracing::error!(request = %id, "a backend panicked; the server goes on");
            Err(broken())
        })
    }

    /// Whether what a write is about exists. A panic of the backend is its own.
    pub async fn exists(&self, request: &Request) -> Result<Existence, Error> {
        let work = AssertUnwindSafe(self.backend().exists(request)).catch_unwind();
        work.await.unwrap_or_else(|_| {
            tracing::error!(request = %request.id, "a backend panicked in an existence check");
            Err(Error::internal("internal error: the backend failed in its existence check"))
        })
    }

    /// The backend.
    pub fn backend(&self) -> &dyn Backend {
        self.0.running.backend.as_ref()
    }

    /// What runs.
    pub fn running(&self) -> &Running {
        &self.0.running
    }

    /// Paths treated specially.
    pub fn special_paths(&self) -> Arc<SpecialPaths> {
        self.0.running.backend.special_paths()
    }
}

impl Mount {
    pub fn new(table: Table, entry: MountEntry, storage: Arc<dyn Storage>, core_own: bool) -> Self {
        let facts = facts(table, &entry);
        Self {
            table,
            entry: ArcSwap::from_pointee(entry),
            facts: ArcSwap::from_pointee(facts),
            storage,
            core_own,
            metrics: MountMetrics::default(),
            condition: ArcSwap::from_pointee(Condition::Unavailable(
                "it has not been started".into(),
            )),
            changing: tokio::sync::Mutex::default(),
            leaving: Arc::new(Semaphore::new(LEAVING)),
        }
    }

    /// Full path, ending in `/`.
    pub fn point(&self) -> String {
        self.facts.load().point.clone()
    }

    /// Replaces the entry, in memory only.
    pub fn set_entry(&self, entry: MountEntry) {
        self.facts.store(Arc::new(facts(self.table, &entry)));
        self.entry.store(Arc::new(entry));
    }

    /// The backend, waiting while it is being brought up.
    pub async fn enter(&self) -> Result<Inside, Error> {
        loop {
            let mut starting = match &**self.condition.load() {
                Condition::Running(live) => match live.enter() {
                    Some(inside) => return Ok(inside),
                    None => None,
                },
                Condition::Unavailable(reason) => return Err(self.unavailable(reason)),
                Condition::Starting(over) => Some(over.clone()),
            };
            match &mut starting {
                // An error means that the sender is gone: the start is over.
                Some(over) => while over.changed().await.is_ok() {},
                // Its condition was read before it was replaced, and it is left only afterwards: the
                // next look sees the new one.
                None => tokio::task::yield_now().await,
            }
        }
    }

    /// The running backend, if there is one now.
    pub fn live(&self) -> Option<Arc<Live>> {
        match &**self.condition.load() {
            Condition::Running(live) => Some(Arc::clone(live)),
            _ => None,
        }
    }

    /// Why there is no backend, if there is none.
    pub fn trouble(&self) -> Option<Arc<str>> {
        match &**self.condition.load() {
            Condition::Unavailable(reason) => Some(Arc::clone(reason)),
            _ => None,
        }
    }

    /// Whether its backend is being brought up.
    pub fn is_starting(&self) -> bool {
        matches!(&**self.condition.load(), Condition::Starting(_))
    }

    fn unavailable(&self, reason: &str) -> Error {
        let facts = self.facts.load();
        Error::unavailable(format!(
            "{} plugin {:?} at {:?} is unavailable: {reason}. Reload it (sys/plugins/reload/backend, \
             mounts={}) once the cause is mended, or disable the mount",
            self.table.plugin_kind(),
            facts.kind,
            facts.point,
            facts.point,
        ))
    }
}

/// What a client reads when a backend panicked.
pub fn broken() -> Failure {
    Error::internal(
        "internal error: the backend failed in a way that it should not; the server's log says more",
    )
    .into()
}

fn facts(table: Table, entry: &MountEntry) -> MountFacts {
    MountFacts {
        point: format!("{}{}", table.route_prefix(), entry.path),
        kind: entry.kind.clone(),
        accessor: entry.accessor.clone(),
    }
}
