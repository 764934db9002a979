//! Settings that are a number, a duration, or yes and no.

use std::time::Duration;

use boltwork_sdk::{Result, Ttl, credential::supersede, logical::Error};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Setting, required};
use crate::{role::Role, roles::check_period};

/// `bind-secret-id`
pub struct BindSecretId;

#[derive(Deserialize, JsonSchema)]
pub struct BindSecretIdSent {
    /// Whether logins need a secret id.
    bind_secret_id: Option<bool>,
}

impl Setting for BindSecretId {
    type Sent = BindSecretIdSent;
    const PATH: &'static str = "bind-secret-id";
    const HELP: &'static str = "Whether logins need a secret id.";

    fn show(role: &Role) -> Value {
        json!({ "bind_secret_id": role.bind_secret_id })
    }

    fn set(role: &mut Role, sent: &BindSecretIdSent, _: Duration) -> Result<()> {
        role.bind_secret_id = required(sent.bind_secret_id, "bind_secret_id")?;
        Ok(())
    }

    fn reset(role: &mut Role) {
        role.bind_secret_id = true;
    }
}

/// `secret-id-num-uses`
pub struct SecretIdNumUses;

#[derive(Deserialize, JsonSchema)]
pub struct SecretIdNumUsesSent {
    /// How often a secret id may be used; zero is without limit.
    secret_id_num_uses: Option<i64>,
}

impl Setting for SecretIdNumUses {
    type Sent = SecretIdNumUsesSent;
    const PATH: &'static str = "secret-id-num-uses";
    const HELP: &'static str = "How often a new secret id may be used.";

    fn show(role: &Role) -> Value {
        json!({ "secret_id_num_uses": role.secret_id_num_uses })
    }

    fn set(role: &mut Role, sent: &SecretIdNumUsesSent, _: Duration) -> Result<()> {
        let uses = required(sent.secret_id_num_uses, "secret_id_num_uses")?;
        if uses < 0 {
            return Err(Error::invalid("secret_id_num_uses cannot be negative"));
        }
        role.secret_id_num_uses = uses;
        Ok(())
    }

    fn reset(role: &mut Role) {
        role.secret_id_num_uses = 0;
    }
}

/// `secret-id-ttl`
pub struct SecretIdTtl;

#[derive(Deserialize, JsonSchema)]
pub struct SecretIdTtlSent {
    /// How long a secret id lives; zero is without end.
    secret_id_ttl: Option<Ttl>,
}

impl Setting for SecretIdTtl {
    type Sent = SecretIdTtlSent;
    const PATH: &'static str = "secret-id-ttl";
    const HELP: &'static str = "How long a new secret id lives.";

    fn show(role: &Role) -> Value {
        json!({ "secret_id_ttl": role.secret_id_ttl.as_secs() })
    }

    fn set(role: &mut Role, sent: &SecretIdTtlSent, _: Duration) -> Result<()> {
        role.secret_id_ttl = required(sent.secret_id_ttl, "secret_id_ttl")?.into();
        Ok(())
    }

    fn reset(role: &mut Role) {
        role.secret_id_ttl = Duration::ZERO;
    }
}

/// `period`
pub struct Period;

#[derive(Deserialize, JsonSchema)]
pub struct PeriodSent {
    /// Make tokens periodic: each renewal sets the TTL to this, without a longest life.
    token_period: Option<Ttl>,
    /// Old name of token_period, which goes before it.
    period: Option<Ttl>,
}

impl Setting for Period {
    type Sent = PeriodSent;
    const PATH: &'static str = "period";
    const HELP: &'static str = "The period of periodic tokens.";

    fn show(role: &Role) -> Value {
        let mut shown = json!({ "token_period": role.token.token_period.as_secs() });
        if !role.period.is_zero() {
            shown["period"] = json!(role.period.as_secs());
        }
        shown
    }

    fn set(role: &mut Role, sent: &PeriodSent, max: Duration) -> Result<()> {
        required(sent.token_period.or(sent.period), "period")?;
        if let Some(period) = sent.token_period {
            role.token.token_period = period.into();
        }
        let (old, new_sent) = (sent.period.map(Into::into), sent.token_period.is_some());
        supersede(&mut role.period, &mut role.token.token_period, old, new_sent);
        check_period(role.token.token_period, max)
    }

    fn reset(role: &mut Role) {
        role.token.token_period = Duration::ZERO;
        role.period = Duration::ZERO;
    }
}

/// `token-num-uses`
pub struct TokenNumUses;

#[derive(Deserialize, JsonSchema)]
pub struct TokenNumUsesSent {
    /// How often a token may be used; zero is without limit.
    token_num_uses: Option<i64>,
}

impl Setting for TokenNumUses {
    type Sent = TokenNumUsesSent;
    const PATH: &'static str = "token-num-uses";
    const HELP: &'static str = "How often a token may be used.";

    fn show(role: &Role) -> Value {
        json!({ "token_num_uses": role.token.token_num_uses })
    }

    fn set(role: &mut Role, sent: &TokenNumUsesSent, _: Duration) -> Result<()> {
        let uses = required(sent.token_num_uses, "token_num_uses")?;
        // Vault lets it pass here, and not in the role as a whole.
        if uses < 0 {
            return Err(Error::invalid("'token_num_uses' cannot be negative"));
        }
        role.token.token_num_uses = uses;
        Ok(())
    }

    fn reset(role: &mut Role) {
        role.token.token_num_uses = 0;
    }
}

/// `token-ttl`
pub struct TokenTtl;

#[derive(Deserialize, JsonSchema)]
pub struct TokenTtlSent {
    /// Life of a token until its first renewal.
    token_ttl: Option<Ttl>,
}

impl Setting for TokenTtl {
    type Sent = TokenTtlSent;
    const PATH: &'static str = "token-ttl";
    const HELP: &'static str = "The life of a token until its first renewal.";

    fn show(role: &Role) -> Value {
        json!({ "token_ttl": role.token.token_ttl.as_secs() })
    }

    fn set(role: &mut Role, sent: &TokenTtlSent, _: Duration) -> Result<()> {
        role.token.token_ttl = required(sent.token_ttl, "token_ttl")?.into();
        if exceeds_max(role) {
            return Err(Error::invalid("token_ttl should not be greater than token_max_ttl"));
        }
        Ok(())
    }

    fn reset(role: &mut Role) {
        role.token.token_ttl = Duration::ZERO;
    }
}

/// `token-max-ttl`
pub struct TokenMaxTtl;

#[derive(Deserialize, JsonSchema)]
pub struct TokenMaxTtlSent {
    /// Longest life of a token, renewals included.
    token_max_ttl: Option<Ttl>,
}

impl Setting for TokenMaxTtl {
    type Sent = TokenMaxTtlSent;
    const PATH: &'static str = "token-max-ttl";
    const HELP: &'static str = "The longest life of a token, renewals included.";

    fn show(role: &Role) -> Value {
        json!({ "token_max_ttl": role.token.token_max_ttl.as_secs() })
    }

    fn set(role: &mut Role, sent: &TokenMaxTtlSent, _: Duration) -> Result<()> {
        role.token.token_max_ttl = required(sent.token_max_ttl, "token_max_ttl")?.into();
        if exceeds_max(role) {
            let text = "token_max_ttl should be greater than or equal to token_ttl";
            return Err(Error::invalid(text));
        }
        Ok(())
    }

    fn reset(role: &mut Role) {
        role.token.token_max_ttl = Duration::ZERO;
    }
}

fn exceeds_max(role: &Role) -> bool {
    !role.token.token_max_ttl.is_zero() && role.token.token_ttl > role.token.token_max_ttl
}
