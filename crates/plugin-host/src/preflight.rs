//! A plugin is tried before it is registered, and what cannot work is refused with its reason
//! (Vault says `Success!` and fails at the mount).
//!
//! It is started with an empty storage that cannot be written and a server that knows little. A
//! plugin that refuses *that* setup may still work on a real mount with its options: it is
//! registered, with a warning. Left out: calling anything of the plugin's own.

use std::sync::Arc;

use boltwork_logical::{BackendKind, PluginEntry, PluginKind, Setup};
use boltwork_wire::dbplugin as v4;
use boltwork_wire::dbplugin::v5;
use tonic::{Code, Status};

use crate::live::{Live, ask_version, throw_away};
use crate::process::{Member, Process};
use crate::protocol::Protocol;
use crate::starter::{Starter, check_kind};
use crate::{HostError, nowhere};

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
    let member = starter.alone(entry).await?;
    let older = is_older(&member);
    let setup = nowhere::setup(&starter.rules.version, Default::default(), older);
    let asked = ask_backend(starter, member, &setup).await?;
    if older {
        in_earnest(starter, entry).await?;
    }
    Ok(asked)
}

fn is_older(member: &Member) -> bool {
    member.process().order.protocol == Protocol::Unwrap
}

/// Starts an older plugin as it is started for a request: it must be able to unwrap its
/// certificate, which is where such plugins fail.
async fn in_earnest(starter: &Starter, entry: &PluginEntry) -> Result<(), HostError> {
    starter.check_address().await?;
    starter.join(entry).await?.leave().await;
    Ok(())
}

async fn ask_backend(
    starter: &Starter,
    member: Member,
    setup: &Setup,
) -> Result<(Found, Option<BackendKind>), HostError> {
    match Live::begin(member, setup, starter.rules.start_timeout).await {
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
    let member = starter.alone(entry).await?;
    let older = is_older(&member);
    let limit = starter.rules.start_timeout;
    let asked = async {
        let process = member.process();
        match type_of_database(process).await {
            Err(status) if status.code() == Code::Unimplemented => {
                let service = if older { "dbplugin.Database" } else { "dbplugin.v5.Database" };
                return Err(HostError::Unserved { service });
            }
            Err(status) if process.is_lost(&status).await => {
                return Err(process.failed("Type", status).await);
            }
            // Whether it knows its type without a configuration is its own affair.
            Ok(()) | Err(_) => {}
        }
        ask_version(process, throw_away(boltwork_wire::logical::Empty {})).await
    };
    let asked = tokio::time::timeout(limit, asked).await;
    member.leave().await;
    let Ok(version) = asked else {
        return Err(HostError::Timeout { during: "Type", seconds: limit.as_secs() });
    };
    let version = version?;
    if older {
        in_earnest(starter, entry).await?;
    }
    Ok(Found { version, ..Found::default() })
}

async fn type_of_database(process: &Process) -> Result<(), Status> {
    let channel = process.client.channel();
    match process.order.protocol {
        Protocol::Auto => {
            v5::database_client::DatabaseClient::new(channel)
                .r#type(throw_away(v5::Empty {}))
                .await?;
        }
        Protocol::Unwrap => {
            v4::database_client::DatabaseClient::new(channel)
                .r#type(throw_away(v4::Empty {}))
                .await?;
        }
    }
    Ok(())
}
