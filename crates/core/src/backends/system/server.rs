//! `sys/seal`, `sys/rotate` and the like: the server as a whole.

use boltwork_framework::{Reply, Request, Result};
use boltwork_logical::Error;
use serde_json::json;

use super::System;

impl System {
    pub(super) async fn seal(&self, _: Request) -> Result<Reply> {
        let core = self.active()?.core.upgrade().ok_or(Error::Sealed)?;
        core.begin_seal();
        Ok(Reply::empty())
    }

    /// A lone server stays active, as Vault without HA does.
    pub(super) async fn step_down(&self, _: Request) -> Result<Reply> {
        Ok(Reply::empty())
    }

    pub(super) async fn key_status(&self, _: Request) -> Result<Reply> {
        let core = self.active()?.core.upgrade().ok_or(Error::Sealed)?;
        let key = core.key_status()?;
        Ok(Reply::data(json!({
            "term": key.term,
            "install_time": key.installed,
            "encryptions": key.encryptions,
        })))
    }

    pub(super) async fn count_entities(&self, _: Request) -> Result<Reply> {
        let total = self.active()?.identity.state().entities().count();
        Ok(Reply::data(json!({ "counters": { "entities": { "total": total } } })))
    }

    pub(super) async fn rotate(&self, _: Request) -> Result<Reply> {
        let core = self.active()?.core.upgrade().ok_or(Error::Sealed)?;
        core.rotate().await?;
        Ok(Reply::empty())
    }
}
