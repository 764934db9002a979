//! Bringing backends up: after unsealing all of them in parallel, and one at a time when a mount is
//! made. How many processes that starts at a time is the business of whoever runs plugins: were
//! there a bound here, mounts whose plugin hangs would keep the others from starting.
//!
//! Unsealing never waits for a plugin process: a request to a mount that is starting waits for that
//! mount only, and a mount that cannot be started says why. Whatever comes up after the server was
//! sealed is ended at once.

use std::{
    collections::BTreeMap,
    panic::AssertUnwindSafe,
    sync::{Arc, Weak, atomic::Ordering},
    time::{Duration, Instant},
};

use boltwork_logical::{Backend, BackendKind, Error, PluginId, Running, Setup};
use futures_util::FutureExt;
use tokio::sync::watch;

use super::{
    MountEntry, Table,
    mount::{Condition, Live, Mount},
    system_view::MountSystemView,
    table::Mounts,
};

/// Longest initialization of a backend.
const INITIALIZE: Duration = Duration::from_secs(60);

/// Longest wait for a backend to clean up.
const CLEAN_UP: Duration = Duration::from_secs(15);

impl Mount {
    /// Puts a running backend in place.
    pub(super) fn run(&self, running: Running) {
        self.condition.store(Arc::new(Condition::Running(Live::new(running))));
    }

    /// Says that the backend cannot be brought up.
    pub(super) fn fail(&self, reason: &str) {
        self.condition.store(Arc::new(Condition::Unavailable(reason.into())));
    }

    /// Lets requests wait until the returned sender is dropped. By then the condition must be
    /// another.
    pub(super) fn hold(&self) -> watch::Sender<()> {
        let (starting, over) = watch::channel(());
        self.condition.store(Arc::new(Condition::Starting(over)));
        starting
    }
}

impl Mounts {
    /// Starts every mount's backend in the background. Returns at once.
    pub fn start_all(self: &Arc<Self>) {
        self.clear_up_leftovers();
        for mount in self.router.load().all().filter(|m| !m.core_own) {
            let starting = mount.hold();
            let (mounts, mount) = (Arc::downgrade(self), Arc::clone(mount));
            tokio::spawn(async move {
                // A panic of a built-in must not leave the mount starting for ever.
                let start = AssertUnwindSafe(start_one(&mounts, &mount)).catch_unwind();
                if start.await.is_err() {
                    mount.fail("its backend panicked while it was being started");
                }
                drop(starting);
            });
        }
    }

    /// Whether the server is being sealed: nothing may be brought up any more.
    pub(super) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::SeqCst)
    }

    /// What the backend of a mount with this entry is given.
    pub(super) fn setup_with(&self, mount: &Arc<Mount>, entry: &MountEntry) -> (PluginId, Setup) {
        let kind = mount.table.plugin_kind();
        let mut config: BTreeMap<_, _> = entry.options.clone().unwrap_or_default();
        config.insert("plugin_name".into(), entry.kind.clone());
        config.insert("plugin_type".into(), kind.to_string());
        config.insert("plugin_version".into(), entry.plugin_version.clone());
        let id = PluginId { kind, name: entry.kind.clone(), version: entry.plugin_version.clone() };
        let system = MountSystemView::new(Arc::clone(&self.facts), mount, Arc::clone(&self.server));
        let setup = Setup {
            storage: Arc::clone(&mount.storage),
            system: Arc::new(system),
            config,
            backend_uuid: entry.backend_aware_uuid.clone(),
            mount_point: mount.point(),
        };
        (id, setup)
    }

    /// What the backend of a mount is given.
    pub fn setup_of(&self, mount: &Arc<Mount>) -> (PluginId, Setup) {
        self.setup_with(mount, &mount.entry.load())
    }

    /// Creates a mount's backend and checks that it is of the right kind; cleaned up if not.
    pub(super) async fn create_backend(
        &self,
        mount: &Arc<Mount>,
        entry: &MountEntry,
    ) -> Result<Running, Error> {
        if self.is_closed() {
            return Err(Error::Sealed);
        }
        let (id, setup) = self.setup_with(mount, entry);
        let running = AssertUnwindSafe(self.plugins.create(&id, setup))
            .catch_unwind()
            .await
            .map_err(|_| Error::internal("the backend panicked while it was being created"))??;
        if self.is_closed() {
            clean_up(&*running.backend).await;
            return Err(Error::Sealed);
        }
        let wanted = match mount.table {
            Table::Secret => BackendKind::Secret,
            Table::Auth => BackendKind::Auth,
        };
        if running.backend.kind() != wanted {
            clean_up(&*running.backend).await;
            return Err(match mount.table {
                Table::Secret => Error::invalid(format!("unknown backend type: {:?}", id.name)),
                Table::Auth => Error::invalid(format!(
                    "cannot mount {:?} of type {:?} as an auth backend",
                    id.name, "secret"
                )),
            });
        }
        Ok(running)
    }

    /// Creates and initializes; what was created is cleaned up if either fails, or if the server
    /// was sealed meanwhile.
    pub(super) async fn bring_up(
        &self,
        mount: &Arc<Mount>,
        entry: &MountEntry,
    ) -> Result<Running, Error> {
        let begun = Instant::now();
        let running = self.create_backend(mount, entry).await?;
        match initialize(&*running.backend).await {
            Ok(()) if !self.is_closed() => {
                mount.metrics.starts.took(begun.elapsed());
                Ok(running)
            }
            outcome => {
                clean_up(&*running.backend).await;
                Err(outcome.err().unwrap_or(Error::Sealed))
            }
        }
    }
}

/// Initializes a backend, for so long and no longer.
pub(super) async fn initialize(backend: &dyn Backend) -> Result<(), Error> {
    let work = AssertUnwindSafe(backend.initialize()).catch_unwind();
    match tokio::time::timeout(INITIALIZE, work).await {
        Ok(Ok(outcome)) => outcome,
        Ok(Err(_)) => Err(Error::internal("the backend panicked while it was being initialized")),
        Err(_) => Err(Error::unavailable(format!(
            "the backend was not initialized within {} seconds",
            INITIALIZE.as_secs()
        ))),
    }
}

/// Lets a backend clean up, for so long and no longer.
pub(super) async fn clean_up(backend: &dyn Backend) {
    let work = AssertUnwindSafe(backend.cleanup()).catch_unwind();
    match tokio::time::timeout(CLEAN_UP, work).await {
        Ok(Ok(())) => {}
        Ok(Err(_)) => tracing::error!("a backend panicked while it cleaned up"),
        Err(_) => tracing::warn!("a backend did not finish cleaning up in time"),
    }
}

async fn start_one(mounts: &Weak<Mounts>, mount: &Arc<Mount>) {
    const SEALED: &str = "the server was sealed";
    let Some(mounts) = mounts.upgrade() else { return mount.fail(SEALED) };
    let _one = mount.changing.lock().await;
    if mounts.is_closed() {
        return mount.fail(SEALED);
    }
    let entry = mount.entry.load_full();
    if entry.flags.tainted {
        mount.fail("it is being removed");
        if let Err(error) = mounts.finish_removal(mount).await {
            tracing::error!(mount = mount.point(), %error, "an interrupted removal could not be finished");
        }
        return;
    }
    match mounts.bring_up(mount, &entry).await {
        Ok(running) => mount.run(running),
        Err(error) => {
            tracing::error!(
                mount = mount.point(),
                plugin = mount.facts.load().kind,
                %error,
                "the backend could not be started; its mount is unavailable"
            );
            mount.fail(&error.to_string());
        }
    }
}
