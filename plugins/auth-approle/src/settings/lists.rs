//! Settings that are lists: policies and blocks of addresses.

use std::time::Duration;

use boltwork_sdk::{
    Result,
    credential::{BoundAddress, sanitized_policies, supersede},
    logical::Error,
};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Setting, required};
use crate::{bounds, role::Role, roles::nullable};

/// `policies`
pub struct Policies;

#[derive(Deserialize, JsonSchema)]
pub struct PoliciesSent {
    /// Policies of the tokens.
    token_policies: Option<Vec<String>>,
    /// Old name of token_policies, which goes before it.
    policies: Option<Vec<String>>,
}

impl Setting for Policies {
    type Sent = PoliciesSent;
    const PATH: &'static str = "policies";
    const HELP: &'static str = "The policies of the tokens.";

    fn show(role: &Role) -> Value {
        let mut shown = json!({ "token_policies": role.token.token_policies });
        if !role.policies.is_empty() {
            shown["policies"] = json!(role.policies);
        }
        shown
    }

    fn set(role: &mut Role, sent: &PoliciesSent, _: Duration) -> Result<()> {
        let new = sent.token_policies.as_deref().map(sanitized_policies);
        let old = sent.policies.as_deref().map(sanitized_policies);
        required(new.as_ref().or(old.as_ref()), "token_policies")?;
        let new_sent = new.is_some();
        if let Some(new) = new {
            role.token.token_policies = new;
        }
        supersede(&mut role.policies, &mut role.token.token_policies, old, new_sent);
        Ok(())
    }

    fn reset(role: &mut Role) {
        role.token.token_policies.clear();
        role.policies.clear();
    }
}

/// Where logins come from: the same under both names.
fn bind_logins(role: &mut Role, blocks: Option<&Vec<String>>) -> Result<()> {
    let Some(blocks) = blocks else { return Ok(()) };
    if blocks.is_empty() {
        return Err(Error::invalid("missing bound_cidr_list"));
    }
    bounds::check(blocks)
        .map_err(|error| Error::invalid(format!("failed to validate CIDR blocks: {error}")))?;
    role.secret_id_bound_cidrs.clone_from(blocks);
    Ok(())
}

/// `secret-id-bound-cidrs`
pub struct SecretIdBoundCidrs;

#[derive(Deserialize, JsonSchema)]
pub struct SecretIdBoundCidrsSent {
    /// Blocks of addresses (CIDR) that logins must come from.
    secret_id_bound_cidrs: Option<Vec<String>>,
}

impl Setting for SecretIdBoundCidrs {
    type Sent = SecretIdBoundCidrsSent;
    const PATH: &'static str = "secret-id-bound-cidrs";
    const HELP: &'static str = "Blocks of addresses that logins must come from.";

    fn show(role: &Role) -> Value {
        json!({ "secret_id_bound_cidrs": nullable(&role.secret_id_bound_cidrs) })
    }

    fn set(role: &mut Role, sent: &SecretIdBoundCidrsSent, _: Duration) -> Result<()> {
        bind_logins(role, sent.secret_id_bound_cidrs.as_ref())
    }

    fn reset(role: &mut Role) {
        role.secret_id_bound_cidrs.clear();
    }
}

/// `bound-cidr-list`, the old name of the same.
pub struct BoundCidrList;

#[derive(Deserialize, JsonSchema)]
pub struct BoundCidrListSent {
    /// Old name of secret_id_bound_cidrs.
    bound_cidr_list: Option<Vec<String>>,
}

impl Setting for BoundCidrList {
    type Sent = BoundCidrListSent;
    const PATH: &'static str = "bound-cidr-list";
    const HELP: &'static str = "Old name of secret-id-bound-cidrs.";
    const WARNING: Option<&'static str> = Some(
        "The \"bound_cidr_list\" field is deprecated and will be removed. Please use \
         \"secret_id_bound_cidrs\" instead.",
    );

    fn show(role: &Role) -> Value {
        json!({ "bound_cidr_list": nullable(&role.secret_id_bound_cidrs) })
    }

    fn set(role: &mut Role, sent: &BoundCidrListSent, _: Duration) -> Result<()> {
        bind_logins(role, sent.bound_cidr_list.as_ref())
    }

    fn reset(role: &mut Role) {
        role.secret_id_bound_cidrs.clear();
    }
}

/// `token-bound-cidrs`
pub struct TokenBoundCidrs;

#[derive(Deserialize, JsonSchema)]
pub struct TokenBoundCidrsSent {
    /// Addresses (IP addresses or CIDR blocks) that tokens may be used from.
    token_bound_cidrs: Option<Vec<String>>,
}

impl Setting for TokenBoundCidrs {
    type Sent = TokenBoundCidrsSent;
    const PATH: &'static str = "token-bound-cidrs";
    const HELP: &'static str = "Addresses that tokens may be used from.";

    fn show(role: &Role) -> Value {
        json!({ "token_bound_cidrs": nullable(&role.token.token_bound_cidrs) })
    }

    fn set(role: &mut Role, sent: &TokenBoundCidrsSent, _: Duration) -> Result<()> {
        if let Some(texts) = &sent.token_bound_cidrs {
            let parsed = BoundAddress::parse_all(texts).map_err(|error| {
                Error::invalid(format!("failed to parse token_bound_cidrs: {error}"))
            })?;
            role.token.token_bound_cidrs = parsed;
        }
        Ok(())
    }

    fn reset(role: &mut Role) {
        role.token.token_bound_cidrs.clear();
    }
}
