//! `sys/plugins/reload`: fresh backends for mounts, by plugin or by mount (wire spec 5.4), and how
//! that went; `sys/plugins/status`.
//!
//! A reload is over when it is answered. Its outcome can be asked for again by its id until the
//! server is sealed or enough others followed; nothing of it is stored.

use std::collections::VecDeque;

use boltwork_framework::{Reply, Request, Result};
use boltwork_logical::{Error, PluginKind, PluginStatus};
use parking_lot::Mutex;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use super::System;
use crate::mounts::{Mount, Table};

/// Most reloads remembered.
const REMEMBERED: usize = 100;

/// Where the remembered text of an error is cut, in bytes.
const ERROR: usize = 4096;

/// What the only server is called where Vault names the nodes of a cluster.
const NODE: &str = "local";

/// The last reloads.
#[derive(Default)]
pub struct Reloads(Mutex<VecDeque<Reload>>);

struct Reload {
    id: String,
    /// RFC 3339.
    ended: String,
    /// Empty if it went well.
    error: String,
}

impl Reloads {
    fn remember(&self, id: &str, outcome: &Result<Vec<String>>) {
        let ended = OffsetDateTime::now_utc().format(&Rfc3339).unwrap_or_default();
        let mut error = outcome.as_ref().err().map(ToString::to_string).unwrap_or_default();
        if let Some((end, _)) = error.char_indices().find(|(at, _)| *at >= ERROR) {
            error.truncate(end);
        }
        let mut reloads = self.0.lock();
        if reloads.len() >= REMEMBERED {
            reloads.pop_front();
        }
        reloads.push_back(Reload { id: id.to_owned(), ended, error });
    }
}

/// What to reload.
#[derive(Deserialize, JsonSchema)]
pub(super) struct ReloadFields {
    /// The name of the plugin to reload, as registered in the plugin catalog.
    #[serde(default)]
    plugin: String,
    /// The mount paths of the plugin backends to reload.
    #[serde(default)]
    mounts: Vec<String>,
    /// Where: this server is alone, so "" and "global" are the same.
    #[serde(default)]
    scope: String,
}

/// Which plugin to reload everywhere.
#[derive(Deserialize, JsonSchema)]
pub(super) struct PluginReloadFields {
    /// The type of the plugin: auth, secret, database, or unknown for any.
    #[serde(rename = "type")]
    kind: String,
    /// The name of the plugin, as registered in the plugin catalog.
    name: String,
    /// Where: this server is alone, so "" and "global" are the same.
    #[serde(default)]
    scope: String,
}

/// Which reload.
#[derive(Deserialize, JsonSchema)]
pub(super) struct ReloadId {
    /// The id that the reload was answered with.
    #[serde(default)]
    reload_id: String,
}

impl System {
    pub(super) async fn reload_plugin(&self, req: Request<ReloadFields>) -> Result<Reply> {
        let ReloadFields { plugin, mounts, scope } = &req.fields;
        check_scope(scope)?;
        match (plugin.is_empty(), mounts.is_empty()) {
            (false, false) => {
                Err(Error::invalid("plugin and mounts cannot be set at the same time"))
            }
            (true, true) => Err(Error::invalid("plugin or mounts must be provided")),
            (true, false) => {
                let reloaded = self.active()?.mounts.reload_mounts(mounts).await;
                self.reloaded(req.id(), reloaded, 0)
            }
            (false, true) => self.reload_named(req.id(), None, plugin).await,
        }
    }

    pub(super) async fn reload_plugin_of_type(
        &self,
        req: Request<PluginReloadFields>,
    ) -> Result<Reply> {
        let PluginReloadFields { kind, name, scope } = &req.fields;
        check_scope(scope)?;
        let kind = match kind.as_str() {
            "unknown" => None,
            word => Some(PluginKind::parse(word).map_err(|e| Error::invalid(e.to_string()))?),
        };
        self.reload_named(req.id(), kind, name.trim_end_matches('/')).await
    }

    async fn reload_named(&self, id: &str, kind: Option<PluginKind>, name: &str) -> Result<Reply> {
        if crate::mounts::is_own_kind(name) {
            return Err(Error::invalid(format!("singleton plugin cannot be reloaded: {name:?}")));
        }
        let active = self.active()?;
        let fits = |of: PluginKind| kind.is_none_or(|kind| kind == of);
        let known = active.plugins.list().await?;
        if !known.iter().any(|entry| entry.id.name == name && fits(entry.id.kind)) {
            return Err(Error::invalid(format!("plugin not found in the catalog: {name:?}")));
        }
        let outcome = active.mounts.reload_plugin(kind, name).await;
        let connections = match fits(PluginKind::Database) {
            true => active.plugins.reload_databases(name).await,
            false => 0,
        };
        self.reloaded(id, outcome, connections)
    }

    /// The answer to a reload of these mounts, and of so many connections to databases.
    fn reloaded(
        &self,
        id: &str,
        outcome: Result<Vec<String>>,
        connections: usize,
    ) -> Result<Reply> {
        self.reloads.remember(id, &outcome);
        let reply = Reply::data(json!({ "reload_id": id }));
        Ok(match outcome?.is_empty() && connections == 0 {
            true => reply.warning("no plugins were reloaded: no mount runs this plugin"),
            false => reply,
        })
    }

    pub(super) async fn reload_status(&self, req: Request<ReloadId>) -> Result<Reply> {
        let id = &req.fields.reload_id;
        if id.is_empty() {
            return Err(Error::invalid("reload_id must be provided"));
        }
        let reloads = self.reloads.0.lock();
        let Some(reload) = reloads.iter().rev().find(|reload| reload.id == *id) else {
            return Ok(Reply::not_found());
        };
        let result = json!({ "timestamp": reload.ended, "error": reload.error });
        Ok(Reply::data(json!({ "reload_id": id, "results": { NODE: result } })))
    }

    pub(super) async fn plugin_status(&self, _: Request) -> Result<Reply> {
        let active = self.active()?;
        let mut status = active.plugins.status().await;
        let mounts = [Table::Secret, Table::Auth].map(|table| active.mounts.all(table));
        status.extend(mounts.iter().flatten().filter_map(|mount| without_backend(mount)));
        let shown: Vec<Value> = status.iter().map(with_uptime).collect();
        Ok(Reply::data(json!({ "plugins": shown })))
    }
}

/// A mount whose backend was not brought up, or not yet: whoever runs plugins knows nothing of it.
fn without_backend(mount: &Mount) -> Option<PluginStatus> {
    let (state, reason) = match mount.trouble() {
        Some(reason) => ("unavailable", reason.to_string()),
        None if mount.is_starting() => ("starting", String::new()),
        None => return None,
    };
    let entry = mount.entry.load();
    Some(PluginStatus {
        kind: mount.table.plugin_kind().to_string(),
        name: entry.kind.clone(),
        version: entry.plugin_version.clone(),
        mounts: vec![mount.point()],
        state: state.to_owned(),
        last_exit: reason,
        ..PluginStatus::default()
    })
}

/// A process with how long it has been running, in seconds; 0 where there is none.
fn with_uptime(status: &PluginStatus) -> Value {
    let running = status.started.filter(|_| status.pid != 0);
    let uptime = running.and_then(|started| started.elapsed().ok()).unwrap_or_default();
    let mut shown = json!(status);
    shown["uptime_seconds"] = json!(uptime.as_secs());
    shown
}

fn check_scope(scope: &str) -> Result<()> {
    match scope {
        "" | "global" => Ok(()),
        _ => Err(Error::invalid("reload scope must be omitted or 'global'")),
    }
}
