//! From a catalog entry to a backend that is set up, in one go: used for a mount's first start and
//! for each restart; and to an open connection of a database plugin.

use std::sync::Arc;

use boltwork_logical::{BackendKind, PluginEntry, PluginKind, Setup};
use tokio::sync::watch;

use crate::HostError;
use crate::database::Opened;
use crate::folder::RuntimeFolder;
use crate::live::Live;
use crate::pool::Pool;
use crate::process::{Order, Process};
use crate::rules::Rules;

/// What starting needs, shared by everything that starts.
#[derive(Debug)]
pub(crate) struct Starter {
    pub rules: Rules,
    pub pool: Pool,
    pub folder: RuntimeFolder,
    /// Counts the times that the server was sealed: what was begun before ends.
    pub sealed: watch::Sender<u64>,
}

impl Starter {
    /// How to start an external plugin of the catalog.
    pub fn order(&self, entry: &PluginEntry, metadata: bool) -> Result<Order, HostError> {
        let Some(directory) = &self.rules.directory else {
            let text = "the plugin directory is not configured";
            return Err(HostError::program(entry.command.as_ref(), text));
        };
        Ok(Order { entry: entry.clone(), path: directory.join(&entry.command), metadata })
    }

    /// Starts a process of its own.
    pub async fn process(&self, order: Order) -> Result<Process, HostError> {
        // Starting is rare and its future large.
        let started = Box::pin(Process::start(order, &self.rules, self.folder.path()));
        self.unless_sealed(started).await
    }

    /// Sets up a backend, in a running process or in a new one.
    pub async fn begin(
        self: &Arc<Self>,
        entry: &PluginEntry,
        setup: &Setup,
    ) -> Result<Live, HostError> {
        let order = self.order(entry, false)?;
        self.rules.check_permissions(&order.path)?;
        let begun = async {
            let member = self.pool.join(&order, self.process(order.clone())).await?;
            let live = Live::begin(member, setup, self.rules.start_timeout).await?;
            match check_kind(entry, live.facts.kind) {
                Ok(()) => Ok(live),
                Err(error) => {
                    live.clean_up().await;
                    live.leave().await;
                    Err(error)
                }
            }
        };
        self.unless_sealed(Box::pin(begun)).await
    }

    /// Opens a connection of a database plugin, in a running process or in a new one.
    pub async fn open_database(&self, entry: &PluginEntry) -> Result<Opened, HostError> {
        let order = self.order(entry, false)?;
        self.rules.check_permissions(&order.path)?;
        let opened = async {
            let member = self.pool.join(&order, self.process(order.clone())).await?;
            Opened::begin(member, self.rules.start_timeout).await
        };
        self.unless_sealed(Box::pin(opened)).await
    }

    /// Gives up when the server is sealed.
    pub async fn unless_sealed<T>(
        &self,
        work: impl Future<Output = Result<T, HostError>>,
    ) -> Result<T, HostError> {
        let mut sealed = self.sealed.subscribe();
        tokio::select! {
            biased;
            done = work => done,
            _ = sealed.changed() => Err(HostError::Closed),
        }
    }
}

/// Whether a backend is of the kind that it was registered as.
pub(crate) fn check_kind(entry: &PluginEntry, found: Option<BackendKind>) -> Result<(), HostError> {
    let name = &entry.id.name;
    let found = found.unwrap_or(BackendKind::Unknown);
    match (entry.id.kind, found) {
        (PluginKind::Secret, BackendKind::Secret) | (PluginKind::Auth, BackendKind::Auth) => Ok(()),
        (PluginKind::Auth, found) => Err(HostError::WrongKind(format!(
            "cannot mount {name:?} of type {:?} as an auth backend: the plugin is registered as \
             auth, but says that it is {}",
            type_word(found),
            type_phrase(found)
        ))),
        (PluginKind::Secret | PluginKind::Database, found) => Err(HostError::WrongKind(format!(
            "unknown backend type: {name:?}: the plugin is registered as {}, but says that it is \
             {}",
            entry.id.kind,
            type_phrase(found)
        ))),
    }
}

fn type_word(kind: BackendKind) -> &'static str {
    match kind {
        BackendKind::Unknown => "unknown",
        BackendKind::Secret => "secret",
        BackendKind::Auth => "auth",
    }
}

fn type_phrase(kind: BackendKind) -> &'static str {
    match kind {
        BackendKind::Unknown => "of no type",
        BackendKind::Secret => "a secrets engine",
        BackendKind::Auth => "an auth method",
    }
}
