//! `sys/policies/password/`: what generated passwords must look like, and generating one.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use boltwork_framework::{Reply, Request, Result};
use boltwork_logical::Error;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::System;
use crate::{backends::one_error, passwords::PasswordPolicy};

/// What stands behind a policy's name to have a password made.
const GENERATE: &str = "/generate";

/// A password policy.
#[derive(Deserialize, JsonSchema)]
pub(super) struct PasswordPolicyFields {
    /// The name of the password policy.
    #[serde(default)]
    name: String,
    /// The password policy.
    #[serde(default)]
    policy: String,
}

/// A password on its way out.
#[derive(Serialize)]
struct Password<'a> {
    password: &'a str,
}

fn coded(status: u16, text: &str) -> Error {
    Error::Coded { status, message: one_error(text) }
}

fn no_policy() -> Error {
    coded(404, "policy does not exist")
}

impl PasswordPolicyFields {
    /// The policy's name. Writing and deleting end at it, reading may go on to [`GENERATE`].
    fn name(&self) -> Result<&str> {
        match self.name.as_str() {
            "" => Err(Error::UnsupportedOperation),
            name if name.strip_suffix(GENERATE).is_some_and(|name| !name.is_empty()) => {
                Err(Error::UnsupportedOperation)
            }
            name => Ok(name),
        }
    }
}

impl System {
    pub(super) async fn password_policies(&self, _: Request) -> Result<Reply> {
        Ok(Reply::keys(&self.active()?.passwords.list().await?))
    }

    pub(super) async fn write_password_policy(
        &self,
        req: Request<PasswordPolicyFields>,
    ) -> Result<Reply> {
        let name = req.fields.name()?;
        let text = &req.fields.policy;
        if text.is_empty() {
            return Err(coded(400, "missing policy"));
        }
        let decoded = BASE64_STANDARD.decode(text).ok().and_then(|b| String::from_utf8(b).ok());
        let text = decoded.as_deref().unwrap_or(text);
        match self.active()?.passwords.put(name, text).await? {
            Ok(()) => Ok(Reply::empty()),
            Err(fault) => Err(coded(400, &fault)),
        }
    }

    pub(super) async fn read_password_policy(
        &self,
        req: Request<PasswordPolicyFields>,
    ) -> Result<Reply> {
        if let Some(name) = req.fields.name.strip_suffix(GENERATE).filter(|n| !n.is_empty()) {
            return self.password(name).await;
        }
        let text = self.active()?.passwords.text(req.fields.name()?).await?;
        Ok(Reply::data(json!({ "policy": text.ok_or_else(no_policy)? })))
    }

    async fn password(&self, name: &str) -> Result<Reply> {
        let text = self.active()?.passwords.text(name).await?.ok_or_else(no_policy)?;
        let policy = PasswordPolicy::parse(&text)
            .map_err(|_| coded(500, "stored password policy configuration failed to parse"))?;
        let password = policy
            .generate()
            .await
            .map_err(|e| coded(500, &format!("failed to generate password from policy: {e}")))?;
        Ok(Reply::data(Password { password: &password }))
    }

    pub(super) async fn delete_password_policy(
        &self,
        req: Request<PasswordPolicyFields>,
    ) -> Result<Reply> {
        self.active()?.passwords.delete(req.fields.name()?).await?;
        Ok(Reply::empty())
    }
}
