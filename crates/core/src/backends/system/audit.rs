//! `sys/audit` and `sys/audit-hash`.

use std::collections::BTreeMap;

use boltwork_framework::{Reply, Request, Result};
use boltwork_logical::Error;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::System;
use crate::audit::NewDevice;

/// A device.
#[derive(Deserialize, JsonSchema)]
pub(super) struct DeviceFields {
    /// The name of the backend. Cannot be delimited. Example: "mysql".
    #[serde(default)]
    path: String,
    /// The type of the backend. Example: "file".
    #[serde(default, rename = "type")]
    kind: String,
    /// User-friendly description for this audit backend.
    #[serde(default)]
    description: String,
    /// Configuration options for the audit backend.
    #[serde(default)]
    options: BTreeMap<String, String>,
    /// Mark the mount as a local mount, which is not replicated and is unaffected by replication.
    #[serde(default)]
    local: bool,
}

/// A text to be digested.
#[derive(Deserialize, JsonSchema)]
pub(super) struct HashFields {
    /// The name of the backend.
    #[serde(default)]
    path: String,
    /// The text.
    #[serde(default)]
    input: String,
}

impl System {
    pub(super) async fn audit_devices(&self, _: Request) -> Result<Reply> {
        let shown: Map<String, Value> = self
            .active()?
            .audit
            .entries()
            .iter()
            .map(|entry| {
                let info = json!({
                    "path": entry.path,
                    "type": entry.kind,
                    "description": entry.description,
                    "options": entry.options,
                    "local": entry.flags.local,
                });
                (entry.path.clone(), info)
            })
            .collect();
        Ok(Reply::data(shown))
    }

    pub(super) async fn enable_audit(&self, req: Request<DeviceFields>) -> Result<Reply> {
        let DeviceFields { path, kind, description, options, local } = req.fields;
        let new = NewDevice { path, kind, description, options, local };
        self.active()?.audit.enable(new).await?;
        Ok(Reply::empty())
    }

    pub(super) async fn disable_audit(&self, req: Request<DeviceFields>) -> Result<Reply> {
        self.active()?.audit.disable(&req.fields.path).await?;
        Ok(Reply::empty())
    }

    pub(super) async fn audit_hash(&self, req: Request<HashFields>) -> Result<Reply> {
        if req.fields.input.is_empty() {
            return Err(Error::invalid("the \"input\" parameter is empty"));
        }
        let path = format!("{}/", req.fields.path.trim_matches('/'));
        match self.active()?.audit.broker.digest(&path, &req.fields.input) {
            Some(hash) => Ok(Reply::data(json!({ "hash": hash }))),
            None => Err(Error::invalid(format!("unknown audit backend {path:?}"))),
        }
    }
}
