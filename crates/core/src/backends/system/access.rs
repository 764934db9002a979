//! `sys/capabilities…`: what a token may do on paths.

use boltwork_framework::{Reply, Request, Result};
use boltwork_logical::Error;
use boltwork_policy::Acl;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, json};

use super::System;
use crate::backends::one_error;
use crate::session::Session;

/// Whose capabilities, on which paths.
#[derive(Deserialize, JsonSchema)]
pub(super) struct AccessFields {
    /// Token for which capabilities are being queried.
    #[serde(default)]
    token: String,
    /// Accessor of the token for which capabilities are being queried.
    #[serde(default)]
    accessor: String,
    /// Paths on which capabilities are being queried.
    #[serde(default)]
    paths: Vec<String>,
    /// Use `paths` instead.
    #[serde(default)]
    path: Vec<String>,
}

impl System {
    pub(super) async fn capabilities_self(&self, req: Request<AccessFields>) -> Result<Reply> {
        let session = Session::of(req.caller().session.as_ref())?;
        answer(&session.acl, req.fields)
    }

    /// What the caller's policies come to, by path: for user interfaces.
    pub(super) async fn resultant_acl(&self, req: Request) -> Result<Reply> {
        let session = Session::of(req.caller().session.as_ref())?;
        if session.is_root() {
            return Ok(Reply::data(json!({ "root": true })));
        }
        let (mut exact, mut globs) = (Map::new(), Map::new());
        for (path, capabilities) in session.acl.rules() {
            let mut names = capabilities.names();
            names.sort_unstable();
            let shown = json!({ "capabilities": names });
            match path.strip_suffix('*') {
                Some(prefix) => globs.insert(prefix.to_owned(), shown),
                None if path.contains('+') => globs.insert(path, shown),
                None => exact.insert(path, shown),
            };
        }
        Ok(Reply::data(json!({ "root": false, "exact_paths": exact, "glob_paths": globs })))
    }

    pub(super) async fn capabilities(&self, req: Request<AccessFields>) -> Result<Reply> {
        if req.fields.token.is_empty() {
            return Err(Error::internal("no token found"));
        }
        let active = self.active()?;
        let entry = active.tokens.lookup_token(&req.fields.token).await?;
        let entry = entry.ok_or_else(|| Error::invalid(one_error("invalid token")))?;
        let rights = active.tokens.rights(&entry).await?;
        if rights.barred {
            return Err(Error::invalid(one_error("invalid token")));
        }
        answer(&rights.acl, req.fields)
    }

    pub(super) async fn capabilities_accessor(&self, req: Request<AccessFields>) -> Result<Reply> {
        if req.fields.accessor.is_empty() {
            return Err(Error::invalid("missing accessor"));
        }
        let active = self.active()?;
        let invalid = || Error::invalid(one_error("invalid accessor"));
        let digest = active.tokens.by_accessor(&req.fields.accessor).await?.ok_or_else(invalid)?;
        let entry = active.tokens.lookup(&digest).await?.ok_or_else(invalid)?;
        let rights = active.tokens.rights(&entry).await?;
        if rights.barred {
            return Err(invalid());
        }
        answer(&rights.acl, req.fields)
    }
}

fn answer(acl: &Acl, fields: AccessFields) -> Result<Reply> {
    let paths = if fields.paths.is_empty() { fields.path } else { fields.paths };
    if paths.is_empty() {
        return Err(Error::invalid("paths must be supplied"));
    }
    let mut shown = Map::new();
    for path in &paths {
        shown.insert(path.clone(), json!(acl.capabilities(path)));
    }
    if let [only] = paths.as_slice() {
        shown.insert("capabilities".into(), shown[only].clone());
    }
    Ok(Reply::data(shown))
}
