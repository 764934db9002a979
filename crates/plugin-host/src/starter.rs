//! From a catalog entry to a backend that is set up, in one go: used for a mount's first start and
//! for each restart; and to an open connection of a database plugin.

use std::sync::{Arc, Mutex, PoisonError};

use boltwork_logical::{BackendKind, PluginEntry, PluginKind, PluginServer, Setup};
use tokio::sync::watch;

use crate::database::Opened;
use crate::folder::RuntimeFolder;
use crate::integrity::Programs;
use crate::live::{Facts, Live};
use crate::places::Places;
use crate::pool::Pool;
use crate::process::{Member, Order, Process};
use crate::protocol::{Known, Protocol, may_be_older, telling};
use crate::rules::Rules;
use crate::{HostError, bootstrap, nowhere, unwrapping};

/// What starting needs, shared by everything that starts.
pub(crate) struct Starter {
    pub rules: Rules,
    pub pool: Pool,
    pub folder: RuntimeFolder,
    pub programs: Arc<Programs>,
    /// For processes that are being started.
    pub places: Places,
    /// Counts the times that the server was sealed: what was begun before ends.
    pub sealed: watch::Sender<u64>,
    /// Which plugin speaks which protocol.
    pub known: Known,
    /// The server that plugins are run for, while it is unsealed.
    pub server: Mutex<Option<Arc<dyn PluginServer>>>,
}

/// A backend that was brought up.
pub(crate) enum Begun {
    /// It runs.
    Live(Box<Live>),
    /// Over an older protocol a process is started with the first request. This is what another
    /// process of the plugin, which has ended, said of itself.
    Later(Facts),
}

/// What came of a start over the newest protocol.
enum Newest {
    Joined(Member),
    /// The plugin may be an older one; else this is the error.
    Older(Option<HostError>),
}

impl Starter {
    /// How to start an external plugin of the catalog.
    fn order(
        &self,
        entry: &PluginEntry,
        protocol: Protocol,
        metadata: bool,
    ) -> Result<Order, HostError> {
        let Some(directory) = &self.rules.directory else {
            let text = "the plugin directory is not configured";
            return Err(HostError::program(entry.command.as_ref(), text));
        };
        let path = directory.join(&entry.command);
        Ok(Order { entry: entry.clone(), path, protocol, metadata })
    }

    /// From now on plugins are run for this server, or for none.
    pub fn serve(&self, server: Option<Arc<dyn PluginServer>>) {
        *self.server.lock().unwrap_or_else(PoisonError::into_inner) = server;
    }

    /// The server, while it is unsealed.
    fn server(&self) -> Result<Arc<dyn PluginServer>, HostError> {
        let server = self.server.lock().unwrap_or_else(PoisonError::into_inner);
        server.clone().ok_or(HostError::Closed)
    }

    /// Checks whether an older plugin could reach the server, before one is asked to.
    pub async fn check_address(&self) -> Result<(), HostError> {
        unwrapping::check_address(self.server()?.api_addr()).await
    }

    /// Starts a process of its own.
    async fn process(&self, order: Order) -> Result<Process, HostError> {
        // Starting is rare and its future large.
        let started = Box::pin(async move {
            if order.protocol == Protocol::Auto || order.metadata {
                return Process::start(order, None, self).await;
            }
            let server = self.server()?;
            let trust = bootstrap::prepare(&*server).await?;
            let started = Process::start(order, Some(trust), self).await;
            started.map_err(|error| unwrapping::explain(error, server.api_addr()))
        });
        self.unless_sealed(self.places.hold(started)).await
    }

    /// A place in a running process of this plugin, or in a new one, over whichever protocol it
    /// speaks; the process knows which.
    pub async fn join(&self, entry: &PluginEntry) -> Result<Member, HostError> {
        match self.newest(entry, false, true).await? {
            Newest::Joined(member) => Ok(member),
            Newest::Older(first) => self.older(entry, false, first).await,
        }
    }

    /// A new process over whichever protocol the plugin speaks; an older one's, and a database's,
    /// is only to be asked what it is.
    pub async fn alone(&self, entry: &PluginEntry) -> Result<Member, HostError> {
        let metadata = entry.id.kind == PluginKind::Database;
        match self.newest(entry, metadata, false).await? {
            Newest::Joined(member) => Ok(member),
            Newest::Older(first) => self.older(entry, true, first).await,
        }
    }

    async fn newest(
        &self,
        entry: &PluginEntry,
        metadata: bool,
        shared: bool,
    ) -> Result<Newest, HostError> {
        let known = self.known.get(entry);
        if known == Some(Protocol::Unwrap) {
            return Ok(Newest::Older(None));
        }
        let order = self.order(entry, Protocol::Auto, metadata)?;
        self.rules.check_permissions(&order.path)?;
        let started = match shared {
            true => self.pool.join(&order, self.process(order.clone())).await,
            false => self.process(order).await.and_then(|process| self.pool.add(process)),
        };
        match started {
            Ok(member) => {
                self.known.set(entry, Protocol::Auto);
                Ok(Newest::Joined(member))
            }
            Err(error) if known.is_none() && may_be_older(&error) => Ok(Newest::Older(Some(error))),
            Err(error) => Err(error),
        }
    }

    /// A new process over an older protocol. `first` is how starting it over the newest one failed.
    async fn older(
        &self,
        entry: &PluginEntry,
        metadata: bool,
        first: Option<HostError>,
    ) -> Result<Member, HostError> {
        let order = self.order(entry, Protocol::Unwrap, metadata)?;
        match self.process(order).await {
            Ok(process) => {
                self.known.set(entry, Protocol::Unwrap);
                self.pool.add(process)
            }
            Err(error) => Err(match first {
                Some(first) => telling(first, error),
                None => error,
            }),
        }
    }

    /// Brings a backend up, in a running process or in a new one.
    pub async fn begin(&self, entry: &PluginEntry, setup: &Setup) -> Result<Begun, HostError> {
        let begun = async {
            match self.newest(entry, false, true).await? {
                Newest::Joined(member) => {
                    let live = self.set_up(entry, member, setup).await?;
                    Ok(Begun::Live(Box::new(live)))
                }
                Newest::Older(first) => {
                    let member = self.older(entry, true, first).await?;
                    Ok(Begun::Later(self.ask(entry, member, setup).await?))
                }
            }
        };
        self.unless_sealed(Box::pin(begun)).await
    }

    /// Opens a connection of a database plugin, in a running process or in a new one.
    pub async fn open_database(&self, entry: &PluginEntry) -> Result<Opened, HostError> {
        let opened = async {
            let member = self.join(entry).await?;
            Opened::begin(member, self.rules.start_timeout).await
        };
        self.unless_sealed(Box::pin(opened)).await
    }

    async fn set_up(
        &self,
        entry: &PluginEntry,
        member: Member,
        setup: &Setup,
    ) -> Result<Live, HostError> {
        let live = Live::begin(member, setup, self.rules.start_timeout).await?;
        match check_kind(entry, live.facts.kind) {
            Ok(()) => Ok(live),
            Err(error) => {
                live.clean_up().await;
                live.leave().await;
                Err(error)
            }
        }
    }

    /// What an older plugin says of itself, in a process that ends afterwards.
    async fn ask(
        &self,
        entry: &PluginEntry,
        member: Member,
        setup: &Setup,
    ) -> Result<Facts, HostError> {
        let mut nowhere = nowhere::setup(&self.rules.version, setup.config.clone(), true);
        // Some plugins refuse a setup without it, kv of version 2 for one.
        nowhere.backend_uuid.clone_from(&setup.backend_uuid);
        let live = self.set_up(entry, member, &nowhere).await?;
        let facts = live.facts.clone();
        live.clean_up().await;
        live.leave().await;
        Ok(facts)
    }

    /// Sets up the backend of an older plugin in a process of its own, which must be what the one
    /// before said that it is.
    pub async fn begin_older(
        &self,
        entry: &PluginEntry,
        setup: &Setup,
        expected: &Facts,
    ) -> Result<Live, HostError> {
        let begun = async {
            let member = self.join(entry).await?;
            let live = Live::begin(member, setup, self.rules.start_timeout).await?;
            let mismatch = if live.facts.kind != expected.kind {
                "mismatch on mounted backend and plugin backend type"
            } else if live.facts.paths != expected.paths {
                "mismatch on mounted backend and plugin backend special paths"
            } else {
                return Ok(live);
            };
            live.clean_up().await;
            live.leave().await;
            Err(HostError::Mismatch(mismatch))
        };
        self.unless_sealed(Box::pin(begun)).await
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
