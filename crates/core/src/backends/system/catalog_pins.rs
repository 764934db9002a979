//! `sys/plugins/pins`: which version of a plugin runs everywhere, whatever mounts ask for (wire spec
//! 5.4).

use boltwork_framework::{Reply, Request, Result};
use boltwork_logical::{Error, PluginId, PluginKind};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{System, catalog::canonical};

/// Which plugin, and which version of it.
#[derive(Deserialize, JsonSchema)]
pub(super) struct PinFields {
    /// The type of the plugin: auth, secret or database.
    #[serde(rename = "type")]
    kind: String,
    /// The name of the plugin.
    name: String,
    /// The semantic version to pin. It must be registered.
    #[serde(default)]
    version: String,
}

impl PinFields {
    fn plugin(&self) -> Result<(PluginKind, &str)> {
        let kind =
            PluginKind::parse(&self.kind).map_err(|error| Error::invalid(error.to_string()))?;
        match self.name.trim_end_matches('/') {
            "" => Err(Error::invalid("missing plugin name")),
            name => Ok((kind, name)),
        }
    }
}

fn show(pin: &PluginId) -> Value {
    json!({ "name": pin.name, "type": pin.kind.as_str(), "version": pin.version })
}

impl System {
    pub(super) async fn pins(&self, _: Request) -> Result<Reply> {
        let pins = self.active()?.plugins.pins().await?;
        let pins: Vec<_> = pins.iter().map(show).collect();
        Ok(Reply::data(json!({ "pinned_versions": pins })))
    }

    pub(super) async fn read_pin(&self, req: Request<PinFields>) -> Result<Reply> {
        let (kind, name) = req.fields.plugin()?;
        Ok(match self.active()?.plugins.pinned(kind, name).await? {
            Some(pin) => Reply::data(show(&pin)),
            None => Reply::not_found(),
        })
    }

    pub(super) async fn write_pin(&self, req: Request<PinFields>) -> Result<Reply> {
        let (kind, name) = req.fields.plugin()?;
        let version = canonical(&req.fields.version)?;
        let id = PluginId { kind, name: name.to_owned(), version };
        self.active()?.plugins.pin(&id).await?;
        Ok(Reply::empty())
    }

    pub(super) async fn delete_pin(&self, req: Request<PinFields>) -> Result<Reply> {
        let (kind, name) = req.fields.plugin()?;
        self.active()?.plugins.unpin(kind, name).await?;
        Ok(Reply::empty())
    }
}
