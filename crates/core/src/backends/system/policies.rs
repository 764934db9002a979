//! `sys/policy` and `sys/policies/acl`: the same policies in an old and a new form.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use boltwork_framework::{Reply, Request, Result};
use boltwork_logical::Error;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

use super::System;

/// A policy's name and text.
#[derive(Deserialize, JsonSchema)]
pub(super) struct PolicyFields {
    /// The name of the policy. Example: "ops".
    #[serde(default)]
    name: String,
    /// The rules of the policy.
    #[serde(default)]
    policy: String,
    /// The rules of the policy, by an old name.
    #[serde(default)]
    rules: String,
}

impl System {
    pub(super) async fn policies(&self, _: Request) -> Result<Reply> {
        let names = self.active()?.policies.list().await?;
        Ok(Reply::data(json!({ "keys": names, "policies": names })))
    }

    pub(super) async fn policy_names(&self, _: Request) -> Result<Reply> {
        Ok(Reply::keys(&self.active()?.policies.list().await?))
    }

    pub(super) async fn read_policy(&self, req: Request<PolicyFields>) -> Result<Reply> {
        self.show_policy(&req.fields.name, "rules").await
    }

    pub(super) async fn read_acl_policy(&self, req: Request<PolicyFields>) -> Result<Reply> {
        self.show_policy(&req.fields.name, "policy").await
    }

    async fn show_policy(&self, name: &str, text_key: &str) -> Result<Reply> {
        let Some(text) = self.active()?.policies.text(name).await? else {
            return Ok(Reply::not_found());
        };
        Ok(Reply::data(json!({ "name": name.to_lowercase(), text_key: text })))
    }

    pub(super) async fn write_policy(&self, req: Request<PolicyFields>) -> Result<Reply> {
        let fields = req.fields;
        match fields.policy.is_empty() {
            false => self.store_policy(&fields.name, &fields.policy).await,
            true => Ok(self
                .store_policy(&fields.name, &fields.rules)
                .await?
                .warning("'rules' is deprecated, please use 'policy' instead")),
        }
    }

    pub(super) async fn write_acl_policy(&self, req: Request<PolicyFields>) -> Result<Reply> {
        self.store_policy(&req.fields.name, &req.fields.policy).await
    }

    async fn store_policy(&self, name: &str, text: &str) -> Result<Reply> {
        if name.is_empty() {
            return Err(Error::invalid("policy name must be provided in the URL"));
        }
        if text.is_empty() {
            return Err(Error::invalid("'policy' parameter not supplied or empty"));
        }
        // Clients may send the text in base64; plain text is never valid base64 by chance, as
        // rules have braces.
        let decoded = BASE64_STANDARD.decode(text).ok().and_then(|b| String::from_utf8(b).ok());
        self.active()?.policies.put(name, decoded.as_deref().unwrap_or(text)).await?;
        Ok(match name.to_lowercase() {
            lower if lower == name => Reply::empty(),
            lower => Reply::empty().warning(format!("policy name was converted to {lower}")),
        })
    }

    pub(super) async fn delete_policy(&self, req: Request<PolicyFields>) -> Result<Reply> {
        self.active()?.policies.delete(&req.fields.name).await?;
        Ok(Reply::empty())
    }
}
