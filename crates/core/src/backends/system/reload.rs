//! `sys/plugins/reload/backend` and `sys/plugins/status`.

use boltwork_framework::{Reply, Request, Result};
use boltwork_logical::Error;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

use super::System;

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

impl System {
    pub(super) async fn reload_plugin(&self, req: Request<ReloadFields>) -> Result<Reply> {
        let ReloadFields { plugin, mounts, scope } = &req.fields;
        if !matches!(scope.as_str(), "" | "global") {
            return Err(Error::invalid("reload scope must be omitted or 'global'"));
        }
        let active = self.active()?;
        let reloaded = match (plugin.is_empty(), mounts.is_empty()) {
            (false, false) => {
                return Err(Error::invalid("plugin and mounts cannot be set at the same time"));
            }
            (true, true) => return Err(Error::invalid("plugin or mounts must be provided")),
            (true, false) => active.mounts.reload_mounts(mounts).await?,
            (false, true) => {
                self.check_reloadable(plugin).await?;
                active.mounts.reload_plugin(None, plugin).await?
            }
        };
        let reply = Reply::data(json!({ "reload_id": req.id() }));
        Ok(match reloaded.is_empty() {
            true => reply.warning("no plugins were reloaded: no mount runs this plugin"),
            false => reply,
        })
    }

    async fn check_reloadable(&self, name: &str) -> Result<()> {
        if crate::mounts::is_own_kind(name) {
            return Err(Error::invalid(format!("singleton plugin cannot be reloaded: {name:?}")));
        }
        let known = self.active()?.plugins.list().await?;
        match known.iter().any(|entry| entry.id.name == name) {
            true => Ok(()),
            false => Err(Error::invalid(format!("plugin not found in the catalog: {name:?}"))),
        }
    }

    pub(super) async fn plugin_status(&self, _: Request) -> Result<Reply> {
        let status = self.active()?.plugins.status().await;
        Ok(Reply::data(json!({ "plugins": status })))
    }
}
