//! A plugin is tried before it is registered, and what cannot work is refused with its reason
//! (Vault says `Success!` and fails at the mount).
//!
//! It is started with an empty storage that cannot be written and a server that knows little. A
//! plugin that refuses *that* setup may still work on a real mount with its options: it is
//! registered, with a warning. Left out: calling anything of the plugin's own.

use std::sync::Arc;
use std::time::Duration;

use boltwork_logical::{
    BackendKind, BoxFuture, Data, Entry, Error, PluginEntry, PluginEnvironment, PluginKind, Setup,
    Storage, StorageError, SystemView, Transaction, WrapInfo,
};
use boltwork_wire::dbplugin::v5;
use boltwork_wire::dbplugin::v5::database_client::DatabaseClient;
use tonic::Code;

use crate::HostError;
use crate::database::SERVICE;
use crate::live::{Live, ask_version, throw_away};
use crate::process::{Member, Process};
use crate::starter::{Starter, check_kind};

/// What trying a plugin showed.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Found {
    /// The version that it reports; empty if none.
    pub version: String,
    /// What it turned out to be, where that could be asked.
    pub kind: Option<PluginKind>,
    /// For the operator.
    pub warnings: Vec<String>,
}

/// Tries a plugin as what it is to be registered as.
pub(crate) async fn run(starter: &Arc<Starter>, entry: &PluginEntry) -> Result<Found, HostError> {
    let tried = async {
        match entry.id.kind {
            PluginKind::Database => database(starter, entry).await,
            PluginKind::Auth | PluginKind::Secret => {
                let (found, kind) = backend(starter, entry).await?;
                // Not known only if the setup was refused.
                if kind.is_some() {
                    check_kind(entry, kind)?;
                }
                Ok(found)
            }
        }
    };
    starter.unless_sealed(tried).await
}

/// Finds out what a plugin is by trying everything.
pub(crate) async fn find_kind(
    starter: &Arc<Starter>,
    entry: &mut PluginEntry,
) -> Result<Found, HostError> {
    entry.id.kind = PluginKind::Secret;
    let as_backend = starter.unless_sealed(backend(starter, entry)).await;
    let backend_error = match as_backend {
        Ok((found, Some(BackendKind::Secret))) => {
            return Ok(Found { kind: Some(PluginKind::Secret), ..found });
        }
        Ok((found, Some(BackendKind::Auth))) => {
            return Ok(Found { kind: Some(PluginKind::Auth), ..found });
        }
        Ok((found, _)) => found.warnings.join("; "),
        Err(error @ (HostError::Closed | HostError::Checksum { .. } | HostError::File { .. })) => {
            return Err(error);
        }
        Err(error) => error.to_string(),
    };
    entry.id.kind = PluginKind::Database;
    match starter.unless_sealed(database(starter, entry)).await {
        Ok(found) => Ok(Found { kind: Some(PluginKind::Database), ..found }),
        Err(error) => Err(HostError::WrongKind(format!(
            "unable to determine plugin type: as a backend: {backend_error}; as a database: {error}"
        ))),
    }
}

async fn backend(
    starter: &Arc<Starter>,
    entry: &PluginEntry,
) -> Result<(Found, Option<BackendKind>), HostError> {
    let member = alone(starter.process(starter.order(entry, false)?).await?)?;
    let setup = Setup {
        storage: Arc::new(NoStorage),
        system: Arc::new(NoServer { version: starter.rules.version.clone() }),
        config: Default::default(),
        backend_uuid: String::new(),
        mount_point: String::new(),
    };
    match Live::begin(member, &setup, starter.rules.start_timeout).await {
        Ok(live) => {
            let facts = live.facts.clone();
            live.clean_up().await;
            live.leave().await;
            let found = Found { version: facts.version, ..Found::default() };
            // Whoever answers `Setup` and not `Type` is of no type, as for Vault.
            Ok((found, Some(facts.kind.unwrap_or(BackendKind::Unknown))))
        }
        Err(HostError::Refused(text)) => {
            let warning = format!(
                "The plugin could not be set up without a mount, so its type and version were not \
                 checked. It said: {text}"
            );
            Ok((Found { warnings: vec![warning], ..Found::default() }, None))
        }
        Err(error) => Err(error),
    }
}

async fn database(starter: &Arc<Starter>, entry: &PluginEntry) -> Result<Found, HostError> {
    let member = alone(starter.process(starter.order(entry, true)?).await?)?;
    let limit = starter.rules.start_timeout;
    let asked = async {
        let process = member.process();
        let mut client = DatabaseClient::new(process.client.channel());
        match client.r#type(throw_away(v5::Empty {})).await {
            Err(status) if status.code() == Code::Unimplemented => {
                return Err(HostError::Unserved { service: SERVICE });
            }
            Err(status) if process.is_lost(&status).await => {
                return Err(process.failed("Type", status).await);
            }
            // Whether it knows its type without a configuration is its own affair.
            Ok(_) | Err(_) => {}
        }
        ask_version(process, throw_away(boltwork_wire::logical::Empty {})).await
    };
    let asked = tokio::time::timeout(limit, asked).await;
    member.leave().await;
    match asked {
        Ok(version) => Ok(Found { version: version?, ..Found::default() }),
        Err(_) => Err(HostError::Timeout { during: "Type", seconds: limit.as_secs() }),
    }
}

fn alone(process: Process) -> Result<Member, HostError> {
    let process = Arc::new(process);
    Member::join(&process).ok_or_else(|| {
        let exit = process.client.exit();
        let stderr = exit.as_ref().map(|exit| exit.stderr.clone()).unwrap_or_default();
        let status = exit.and_then(|exit| exit.status);
        HostError::Exited { during: "its start", status, stderr }
    })
}

/// Storage of no mount: nothing in it, nothing gets in.
struct NoStorage;

fn answered<'a, T: Send + 'a>(
    answer: Result<T, StorageError>,
) -> BoxFuture<'a, Result<T, StorageError>> {
    Box::pin(std::future::ready(answer))
}

impl Storage for NoStorage {
    fn get<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<Option<Entry>, StorageError>> {
        answered(Ok(None))
    }
    fn put(&self, _: Entry) -> BoxFuture<'_, Result<(), StorageError>> {
        answered(Err(StorageError::during_setup()))
    }
    fn delete<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<(), StorageError>> {
        answered(Err(StorageError::during_setup()))
    }
    fn list_page<'a>(
        &'a self,
        _: &'a str,
        _: &'a str,
        _: Option<usize>,
    ) -> BoxFuture<'a, Result<Vec<String>, StorageError>> {
        answered(Ok(Vec::new()))
    }
    fn begin(&self, _: bool) -> BoxFuture<'_, Result<Box<dyn Transaction>, StorageError>> {
        answered(Err(StorageError::NoTransactions))
    }
}

/// The server as a plugin sees it that is not mounted.
struct NoServer {
    version: String,
}

const LEASE: Duration = Duration::from_secs(32 * 24 * 3600);

fn unmounted<'a, T: Send + 'a>() -> BoxFuture<'a, Result<T, Error>> {
    let text = "the plugin is not mounted yet: it is only being asked what it is";
    Box::pin(std::future::ready(Err(Error::internal(text))))
}

impl SystemView for NoServer {
    fn default_lease_ttl(&self) -> BoxFuture<'_, Duration> {
        Box::pin(std::future::ready(LEASE))
    }
    fn max_lease_ttl(&self) -> BoxFuture<'_, Duration> {
        Box::pin(std::future::ready(LEASE))
    }
    fn plugin_environment(&self) -> BoxFuture<'_, Result<PluginEnvironment, Error>> {
        let version = self.version.clone();
        let environment = PluginEnvironment { version, ..PluginEnvironment::default() };
        Box::pin(std::future::ready(Ok(environment)))
    }
    fn generate_password<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<String, Error>> {
        unmounted()
    }
    fn cluster_info(&self) -> BoxFuture<'_, Result<(String, String), Error>> {
        unmounted()
    }
    fn wrap_data(&self, _: Data, _: Duration) -> BoxFuture<'_, Result<WrapInfo, Error>> {
        unmounted()
    }
}
