//! `sys/config/auditing/request-headers`: which headers audit devices write.

use boltwork_framework::{Reply, Request, Result};
use boltwork_logical::Error;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, json};

use super::System;
use crate::audit::HeaderSettings;

/// A header.
#[derive(Deserialize, JsonSchema)]
pub(super) struct HeaderFields {
    /// Name of the header.
    #[serde(default)]
    header: String,
    /// Whether its values are digested.
    #[serde(default)]
    hmac: bool,
}

impl System {
    pub(super) async fn audited_headers(&self, _: Request) -> Result<Reply> {
        Ok(Reply::data(json!({ "headers": *self.active()?.audit.headers.all() })))
    }

    pub(super) async fn read_audited_header(&self, req: Request<HeaderFields>) -> Result<Reply> {
        let name = req.fields.header;
        let headers = self.active()?.audit.headers.all();
        let settings = headers
            .get(&name.to_lowercase())
            .ok_or_else(|| Error::invalid("Could not find header in config"))?;
        Ok(Reply::data(Map::from_iter([(name, json!(settings))])))
    }

    pub(super) async fn write_audited_header(&self, req: Request<HeaderFields>) -> Result<Reply> {
        let HeaderFields { header, hmac } = req.fields;
        self.active()?.audit.headers.set(&header, HeaderSettings { hmac }).await?;
        Ok(Reply::empty())
    }

    pub(super) async fn delete_audited_header(&self, req: Request<HeaderFields>) -> Result<Reply> {
        self.active()?.audit.headers.remove(&req.fields.header).await?;
        Ok(Reply::empty())
    }
}
