//! `sys/plugins/runtimes`: what Vault runs plugins in containers with. This server runs them as
//! processes of its own, so there are none, and whoever asks for one is told what to do instead.

use boltwork_framework::{Named, Reply, Request, Result};
use boltwork_logical::Error;
use serde_json::json;

use super::System;

impl System {
    pub(super) async fn runtimes(&self, _: Request) -> Result<Reply> {
        Ok(Reply::data(json!({ "runtimes": [] })))
    }

    pub(super) async fn read_runtime(&self, _: Request<Named>) -> Result<Reply> {
        Ok(Reply::not_found())
    }

    pub(super) async fn write_runtime(&self, _: Request<Named>) -> Result<Reply> {
        Err(Error::invalid(
            "plugin runtimes are not supported by this server: it runs plugins as processes, not in \
             containers. Register the binary itself, with command and sha256",
        ))
    }

    /// What is not there is removed without an error, as everywhere.
    pub(super) async fn delete_runtime(&self, _: Request<Named>) -> Result<Reply> {
        Ok(Reply::empty())
    }
}
