//! Bringing backends up: after unsealing all of them in parallel with a bound, and one at a time
//! when a mount is made.
//!
//! Unsealing never waits for a plugin process: a request to a mount that is starting waits for that
//! mount only, and a mount that cannot be started says why.

use std::{
    collections::BTreeMap,
    sync::{Arc, Weak},
};

use boltwork_logical::{BackendKind, Error, PluginId, Running, Setup};
use tokio::sync::{Semaphore, watch};

use super::{
    Table,
    mount::{Condition, Live, Mount},
    system_view::MountSystemView,
    table::Mounts,
};

/// Backends brought up at the same time after unsealing.
const PARALLEL: usize = 16;

impl Mount {
    /// Puts a running backend in place.
    pub(super) fn run(&self, running: Running) {
        self.condition.store(Arc::new(Condition::Running(Live::new(running))));
    }

    /// Says that the backend cannot be brought up.
    pub(super) fn fail(&self, reason: &str) {
        self.condition.store(Arc::new(Condition::Unavailable(reason.into())));
    }
}

impl Mounts {
    /// Starts every mount's backend in the background. Returns at once.
    pub fn start_all(self: &Arc<Self>) {
        let bound = Arc::new(Semaphore::new(PARALLEL));
        for mount in self.router.load().all().filter(|m| !m.core_own) {
            let (starting, over) = watch::channel(());
            mount.condition.store(Arc::new(Condition::Starting(over)));
            let (mounts, mount, bound) =
                (Arc::downgrade(self), Arc::clone(mount), Arc::clone(&bound));
            tokio::spawn(async move {
                let _place = bound.acquire_owned().await;
                start_one(&mounts, &mount).await;
                drop(starting);
            });
        }
    }

    /// What the backend of a mount is given.
    pub fn setup_of(&self, mount: &Arc<Mount>) -> (PluginId, Setup) {
        let entry = mount.entry.load();
        let kind = mount.table.plugin_kind();
        let mut config: BTreeMap<_, _> = entry.options.clone().unwrap_or_default();
        config.insert("plugin_name".into(), entry.kind.clone());
        config.insert("plugin_type".into(), kind.to_string());
        config.insert("plugin_version".into(), entry.plugin_version.clone());
        let id = PluginId { kind, name: entry.kind.clone(), version: entry.plugin_version.clone() };
        let setup = Setup {
            storage: Arc::clone(&mount.storage),
            system: Arc::new(MountSystemView::new(Arc::clone(&self.facts), mount)),
            config,
            backend_uuid: entry.backend_aware_uuid.clone(),
            mount_point: mount.point(),
        };
        (id, setup)
    }

    /// Creates a mount's backend and checks that it is of the right kind; cleaned up if not.
    pub(super) async fn create_backend(&self, mount: &Arc<Mount>) -> Result<Running, Error> {
        let (id, setup) = self.setup_of(mount);
        let running = self.plugins.create(&id, setup).await?;
        let wanted = match mount.table {
            Table::Secret => BackendKind::Secret,
            Table::Auth => BackendKind::Auth,
        };
        if running.backend.kind() != wanted {
            running.backend.cleanup().await;
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

    /// Creates and initializes; what was created is cleaned up if either fails.
    pub(super) async fn bring_up(&self, mount: &Arc<Mount>) -> Result<Running, Error> {
        let running = self.create_backend(mount).await?;
        if let Err(error) = running.backend.initialize().await {
            running.backend.cleanup().await;
            return Err(error);
        }
        Ok(running)
    }
}

async fn start_one(mounts: &Weak<Mounts>, mount: &Arc<Mount>) {
    let Some(mounts) = mounts.upgrade() else { return mount.fail("the server was sealed") };
    let _one = mount.changing.lock().await;
    if mount.entry.load().flags.tainted {
        mount.fail("it is being removed");
        if let Err(error) = mounts.finish_removal(mount).await {
            tracing::error!(mount = mount.point(), %error, "an interrupted removal could not be finished");
        }
        return;
    }
    match mounts.bring_up(mount).await {
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
