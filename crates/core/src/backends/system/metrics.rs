//! `sys/metrics`: numbers about the server.

use boltwork_framework::{Reply, Request, Result};
use boltwork_logical::Error;
use schemars::JsonSchema;
use serde::Deserialize;

use super::System;
use crate::metrics::Format;

/// In which form.
#[derive(Deserialize, JsonSchema)]
pub(super) struct FormatFields {
    /// Format to export metrics into. Currently accepts only "prometheus".
    #[serde(default)]
    format: String,
}

impl System {
    pub(super) async fn metrics(&self, req: Request<FormatFields>) -> Result<Reply> {
        let name = &req.fields.format;
        let Some(format) = Format::named(name) else {
            let text = format!("metric response format {name:?} unknown");
            return Ok(Reply::raw(400, "text/plain", text));
        };
        let core = self.active()?.core.upgrade().ok_or(Error::Sealed)?;
        let page = core.metrics_page(format).await;
        Ok(Reply::raw(200, page.content_type, page.body))
    }
}
