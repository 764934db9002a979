//! `sys/wrapping/`: wrapping what the caller sends, and unwrapping.
//!
//! That a wrapping token is good was checked by the pipeline before the caller's token was looked
//! at; here it is used.

use boltwork_framework::{Reply, Request, Result};
use boltwork_logical::{Data, Error, WrapInfo};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::System;
use crate::{session::Session, tokens::Digest, wrapping::CURVE};

/// The wrapping token, where it is not the caller's own.
#[derive(Deserialize, JsonSchema)]
pub(super) struct WrappingFields {
    /// The wrapping token; the caller's own token if absent.
    #[serde(default)]
    token: String,
}

impl System {
    /// Gives back what was sent; the pipeline wraps it.
    pub(super) async fn wrap(&self, req: Request) -> Result<Reply> {
        if req.wrap().is_none() {
            return Err(Error::invalid("endpoint requires response wrapping to be used"));
        }
        Ok(Reply::text_of(match req.data().is_null() {
            true => Data::json(&Value::Object(Map::new())),
            false => req.data().clone(),
        }))
    }

    /// The public half of the key that tokens in JWT format are signed with.
    pub(super) async fn wrapping_key(&self, _: Request) -> Result<Reply> {
        let (x, y) = self.active()?.jwt_key.public();
        Ok(Reply::data(json!({ "jwt_x": x, "jwt_y": y, "jwt_curve": CURVE })))
    }

    pub(super) async fn lookup_wrapping(&self, req: Request<WrappingFields>) -> Result<Reply> {
        let active = self.active()?;
        let digest = match req.fields.token.is_empty() {
            false => active.tokens.digest(&req.fields.token),
            true => Session::of(req.caller().session.as_ref())?.digest,
        };
        Ok(match active.described(&digest).await? {
            Some(about) => Reply::data(about),
            None => Reply::not_found(),
        })
    }

    pub(super) async fn unwrap(&self, req: Request<WrappingFields>) -> Result<Reply> {
        let active = self.active()?;
        let digest = self.use_up(&req).await?;
        let held = active.held(&digest).await;
        self.used_up(&req, digest)?;
        raw(&held?)
    }

    pub(super) async fn rewrap(&self, req: Request<WrappingFields>) -> Result<Reply> {
        let active = self.active()?;
        let digest = self.use_up(&req).await?;
        let made: Result<WrapInfo> = active.rewrap(&digest, &req.caller().display_name).await;
        self.used_up(&req, digest)?;
        Ok(Reply::from(boltwork_logical::Reply {
            wrap: Some(Box::new(made?)),
            ..boltwork_logical::Reply::default()
        }))
    }

    /// Spends the wrapping token's use. Where it is the caller's own token, that has happened.
    async fn use_up(&self, req: &Request<WrappingFields>) -> Result<Digest> {
        let session = Session::of(req.caller().session.as_ref())?;
        let active = self.active()?;
        let digest = active.tokens.digest(&req.fields.token);
        if req.fields.token.is_empty() || digest == session.digest {
            return Ok(session.digest);
        }
        let gone = || Error::invalid("wrapping token is not valid or does not exist");
        active.tokens.spend(&digest).await?.ok_or_else(gone)?;
        Ok(digest)
    }

    /// Revokes the wrapping token of another caller; the caller's own ends with the request.
    fn used_up(&self, req: &Request<WrappingFields>, digest: Digest) -> Result<()> {
        if !req.fields.token.is_empty() {
            self.active()?.tokens.revoke_soon(digest);
        }
        Ok(())
    }
}

/// The response as it would have been. One that was not JSON is told by the keys in its data.
fn raw(response: &str) -> Result<Reply> {
    const RAW: [&str; 3] = ["http_status_code", "http_content_type", "http_raw_body"];
    if RAW.iter().any(|key| response.contains(key)) {
        let held: Map<String, Value> = serde_json::from_str(response)
            .map_err(|_| Error::internal("the wrapped response cannot be read"))?;
        if let Some(Value::Object(data)) = held.get("data")
            && RAW.iter().any(|key| data.contains_key(*key))
        {
            return Ok(Reply::data(data));
        }
    }
    Ok(Reply::raw(200, "application/json", response))
}
