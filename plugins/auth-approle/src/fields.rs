//! What callers may send, but for the fields of single settings, which stand beside those.

use boltwork_sdk::{Ttl, credential::TokenFields};
use schemars::JsonSchema;
use serde::Deserialize;
use zeroize::Zeroizing;

/// A secret id; wiped when dropped.
pub type SecretId = Zeroizing<String>;

/// Which page of a list.
#[derive(Deserialize, JsonSchema)]
pub struct Page {
    /// The list begins after this name, which need not exist.
    pub after: Option<String>,
    /// How many names at most; all if it is zero or less.
    pub limit: Option<i64>,
}

/// A role's name and nothing else.
#[derive(Deserialize, JsonSchema)]
pub struct AtRole {
    /// Name of the role.
    pub role_name: String,
}

/// A role to be created or changed.
#[derive(Deserialize, JsonSchema)]
pub struct RoleFields {
    /// Name of the role, of 4096 bytes at most.
    pub role_name: String,
    /// Identifier that logins name the role by; a UUID unless chosen.
    pub role_id: Option<String>,
    /// Whether logins need a secret id; they do unless said otherwise.
    pub bind_secret_id: Option<bool>,
    /// Keep the secret ids in this cluster. Only when the role is created.
    pub local_secret_ids: Option<bool>,
    /// Blocks of addresses (CIDR) that logins must come from.
    pub secret_id_bound_cidrs: Option<Vec<String>>,
    /// Old name of secret_id_bound_cidrs, which goes before it.
    pub bound_cidr_list: Option<Vec<String>>,
    /// How often a secret id may be used; zero is without limit.
    pub secret_id_num_uses: Option<i64>,
    /// How long a secret id lives; zero is without end.
    pub secret_id_ttl: Option<Ttl>,
    /// Old name of token_policies, which goes before it.
    pub policies: Option<Vec<String>>,
    /// Old name of token_period, which goes before it.
    pub period: Option<Ttl>,
    /// Addresses (IP addresses or CIDR blocks) that tokens may be used from.
    pub token_bound_cidrs: Option<Vec<String>>,
    /// Hard end of a token's life, whatever the role's or the mount's settings are by then.
    pub token_explicit_max_ttl: Option<Ttl>,
    /// Longest life of a token, renewals included.
    pub token_max_ttl: Option<Ttl>,
    /// Do not give tokens the policy default.
    pub token_no_default_policy: Option<bool>,
    /// How often a token may be used; zero is without limit.
    pub token_num_uses: Option<i64>,
    /// Make tokens periodic: each renewal sets the TTL to this, without a longest life.
    pub token_period: Option<Ttl>,
    /// Policies of the tokens.
    pub token_policies: Option<Vec<String>>,
    /// Bind each token to the address that its login came from.
    pub token_strictly_bind_ip: Option<bool>,
    /// Life of a token until its first renewal.
    pub token_ttl: Option<Ttl>,
    /// Kind of token: service, batch, or default for what the mount says.
    pub token_type: Option<String>,
}

impl RoleFields {
    /// Those that say what tokens are given, and a warning if the kind of token is one that only
    /// mounts have.
    pub fn token(&self) -> (TokenFields, Option<String>) {
        let sent = self.token_type.as_deref();
        let meant = sent.and_then(|name| match name {
            "default-service" | "default-batch" => name.strip_prefix("default-"),
            _ => None,
        });
        let warning = sent
            .zip(meant)
            .map(|(sent, meant)| format!("{sent} has no useful meaning; adjusting to {meant}"));
        let fields = TokenFields {
            bound_cidrs: self.token_bound_cidrs.clone(),
            explicit_max_ttl: self.token_explicit_max_ttl,
            max_ttl: self.token_max_ttl,
            no_default_policy: self.token_no_default_policy,
            num_uses: self.token_num_uses,
            period: self.token_period,
            policies: self.token_policies.clone(),
            strictly_bind_ip: self.token_strictly_bind_ip,
            ttl: self.token_ttl,
            token_type: meant.or(sent).map(str::to_owned),
        };
        (fields, warning)
    }
}

/// A role id to be set.
#[derive(Deserialize, JsonSchema)]
pub struct NewRoleId {
    /// Name of the role.
    pub role_name: String,
    /// Identifier that logins name the role by.
    pub role_id: Option<String>,
}

/// A secret id to be made.
#[derive(Deserialize, JsonSchema)]
pub struct NewSecret {
    /// Name of the role.
    pub role_name: String,
    /// Facts that logins carry: JSON in a string, or key=value,...
    pub metadata: Option<String>,
    /// Blocks (CIDR) that logins must come from, within the role's secret_id_bound_cidrs.
    pub cidr_list: Option<Vec<String>>,
    /// Blocks (CIDR) that tokens may be used from, within the role's token_bound_cidrs.
    pub token_bound_cidrs: Option<Vec<String>>,
    /// How often it may be used: at most as often as the role says, which is what it gets if this is
    /// not given.
    pub num_uses: Option<i64>,
    /// How long it lives: at most as long as the role says, which is what it gets if this is not
    /// given.
    pub ttl: Option<Ttl>,
}

/// A secret id to be taken over.
#[derive(Deserialize, JsonSchema)]
pub struct CustomSecret {
    /// Name of the role.
    pub role_name: String,
    /// The secret id, of 4096 bytes at most.
    #[schemars(with = "Option<String>")]
    pub secret_id: Option<SecretId>,
    /// Facts that logins carry: JSON in a string, or key=value,...
    pub metadata: Option<String>,
    /// Blocks (CIDR) that logins must come from, within the role's secret_id_bound_cidrs.
    pub cidr_list: Option<Vec<String>>,
    /// Blocks (CIDR) that tokens may be used from, within the role's token_bound_cidrs.
    pub token_bound_cidrs: Option<Vec<String>>,
    /// How often it may be used: at most as often as the role says, which is what it gets if this is
    /// not given.
    pub num_uses: Option<i64>,
    /// How long it lives: at most as long as the role says, which is what it gets if this is not
    /// given.
    pub ttl: Option<Ttl>,
}

/// Which page of a role's list.
#[derive(Deserialize, JsonSchema)]
pub struct SecretPage {
    /// Name of the role.
    pub role_name: String,
    /// The list begins after this name in storage, which need not exist.
    pub after: Option<String>,
    /// How many at most; all if it is zero or less.
    pub limit: Option<i64>,
}

/// A secret id that exists.
#[derive(Deserialize, JsonSchema)]
pub struct OneSecret {
    /// Name of the role.
    pub role_name: String,
    /// The secret id.
    #[schemars(with = "Option<String>")]
    pub secret_id: Option<SecretId>,
}

/// A secret id that exists, by its accessor.
#[derive(Deserialize, JsonSchema)]
pub struct OneAccessor {
    /// Name of the role.
    pub role_name: String,
    /// The secret id's accessor.
    pub secret_id_accessor: Option<String>,
}

/// Who wants to log in.
#[derive(Deserialize, JsonSchema)]
pub struct Credentials {
    /// Identifier of the role.
    pub role_id: Option<String>,
    /// A secret id of the role, unless the role needs none.
    #[schemars(with = "Option<String>")]
    pub secret_id: Option<SecretId>,
}

/// A limit as storage takes it.
pub fn limit(sent: Option<i64>) -> Option<usize> {
    sent.and_then(|limit| usize::try_from(limit).ok()).filter(|&limit| limit > 0)
}
