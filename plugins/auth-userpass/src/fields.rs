//! What callers may send.

use boltwork_sdk::{Ttl, credential::TokenFields};
use schemars::JsonSchema;
use serde::Deserialize;
use zeroize::Zeroizing;

/// A password or a hash; wiped when dropped.
type Secret = Option<Zeroizing<String>>;

/// Which page of a list.
#[derive(Deserialize, JsonSchema)]
pub struct Page {
    /// The list begins after this name, which need not exist.
    pub after: Option<String>,
    /// How many names at most; all if it is zero or less.
    pub limit: Option<i64>,
}

/// A user's name and nothing else.
#[derive(Deserialize, JsonSchema)]
pub struct Name {
    /// Name of the user.
    pub username: String,
}

/// A user to be created or changed.
#[derive(Deserialize, JsonSchema)]
pub struct UserFields {
    /// Name of the user.
    pub username: String,
    /// The password, of 72 bytes at most.
    #[schemars(with = "Option<String>")]
    pub password: Secret,
    /// The password's bcrypt hash, instead of the password.
    #[schemars(with = "Option<String>")]
    pub password_hash: Secret,
    /// Old name of token_policies, which goes before it.
    pub policies: Option<Vec<String>>,
    /// Old name of token_ttl, which goes before it.
    pub ttl: Option<Ttl>,
    /// Old name of token_max_ttl, which goes before it.
    pub max_ttl: Option<Ttl>,
    /// Old name of token_bound_cidrs, which goes before it.
    pub bound_cidrs: Option<Vec<String>>,
    /// Addresses (IP addresses or CIDR blocks) that the user may log in and use tokens from.
    pub token_bound_cidrs: Option<Vec<String>>,
    /// Hard end of a token's life, whatever the user's or the mount's settings are by then.
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

impl UserFields {
    /// Those that say what tokens are given.
    pub fn token(&self) -> TokenFields {
        TokenFields {
            bound_cidrs: self.token_bound_cidrs.clone(),
            explicit_max_ttl: self.token_explicit_max_ttl,
            max_ttl: self.token_max_ttl,
            no_default_policy: self.token_no_default_policy,
            num_uses: self.token_num_uses,
            period: self.token_period,
            policies: self.token_policies.clone(),
            strictly_bind_ip: self.token_strictly_bind_ip,
            ttl: self.token_ttl,
            token_type: self.token_type.clone(),
        }
    }
}

/// A new password.
#[derive(Deserialize, JsonSchema)]
pub struct NewPassword {
    /// Name of the user.
    pub username: String,
    /// The password, of 72 bytes at most.
    #[schemars(with = "Option<String>")]
    pub password: Secret,
    /// The password's bcrypt hash, instead of the password.
    #[schemars(with = "Option<String>")]
    pub password_hash: Secret,
}

/// New policies.
#[derive(Deserialize, JsonSchema)]
pub struct NewPolicies {
    /// Name of the user.
    pub username: String,
    /// Old name of token_policies, which goes before it.
    pub policies: Option<Vec<String>>,
    /// Policies of the tokens.
    pub token_policies: Option<Vec<String>>,
}

/// Who wants to log in.
#[derive(Deserialize, JsonSchema)]
pub struct Credentials {
    /// Name of the user.
    pub username: String,
    /// The user's password.
    #[schemars(with = "Option<String>")]
    pub password: Secret,
}
