//! The ten `token_*` fields that roles and users of every auth method have: what tokens they give.
//!
//! serde cannot put one field struct into another without losing what the lenient decoder needs, so
//! each method lists the fields in its own struct and hands them over as [`TokenFields`].

use std::time::Duration;

use boltwork_logical::{Auth, Connection, Error, TokenType};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value, json};

use super::{BoundAddress, nanoseconds, null_as_default};
use crate::{Result, Ttl};

/// What a caller sent of the `token_*` fields; `None` leaves a setting as it is.
#[derive(Debug, Clone, Default)]
pub struct TokenFields {
    /// `token_bound_cidrs`
    pub bound_cidrs: Option<Vec<String>>,
    /// `token_explicit_max_ttl`
    pub explicit_max_ttl: Option<Ttl>,
    /// `token_max_ttl`
    pub max_ttl: Option<Ttl>,
    /// `token_no_default_policy`
    pub no_default_policy: Option<bool>,
    /// `token_num_uses`
    pub num_uses: Option<i64>,
    /// `token_period`
    pub period: Option<Ttl>,
    /// `token_policies`
    pub policies: Option<Vec<String>>,
    /// `token_strictly_bind_ip`
    pub strictly_bind_ip: Option<bool>,
    /// `token_ttl`
    pub ttl: Option<Ttl>,
    /// `token_type`
    pub token_type: Option<String>,
}

/// What tokens a role or user gives. Serialised, it has the shape and the units of Go's methods;
/// put it into an entry with `#[serde(flatten)]`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct TokenParams {
    /// Where tokens may be used from; anywhere if empty.
    #[serde(deserialize_with = "null_as_default")]
    pub token_bound_cidrs: Vec<BoundAddress>,
    /// Hard end of a token's life, whatever role and mount say later; none if zero.
    #[serde(with = "nanoseconds")]
    pub token_explicit_max_ttl: Duration,
    /// Longest life with renewals; the mount's if zero.
    #[serde(with = "nanoseconds")]
    pub token_max_ttl: Duration,
    /// Do not add the policy `default`.
    pub token_no_default_policy: bool,
    /// Uses before a token is spent; 0 is no limit.
    pub token_num_uses: i64,
    /// Tokens are renewed to this, for ever; not periodic if zero.
    #[serde(with = "nanoseconds")]
    pub token_period: Duration,
    /// Policies.
    #[serde(deserialize_with = "null_as_default")]
    pub token_policies: Vec<String>,
    /// Kind of token.
    #[serde(serialize_with = "write_type", deserialize_with = "read_type")]
    pub token_type: TokenType,
    /// Life of a token before its first renewal; the mount's if zero.
    #[serde(with = "nanoseconds")]
    pub token_ttl: Duration,
    /// Bind each token to the address that its login came from.
    pub token_strictly_bind_ip: bool,
}

impl TokenParams {
    /// Takes over what was sent, and refuses what does not go together. After an error the value is
    /// half changed: do not store it.
    pub fn update(&mut self, sent: &TokenFields) -> Result<()> {
        if let Some(texts) = &sent.bound_cidrs {
            self.token_bound_cidrs = BoundAddress::parse_all(texts).map_err(invalid)?;
        }
        if let Some(name) = &sent.token_type {
            self.token_type = parse_type(name)?;
        }
        set(&mut self.token_explicit_max_ttl, sent.explicit_max_ttl.map(Into::into));
        set(&mut self.token_max_ttl, sent.max_ttl.map(Into::into));
        set(&mut self.token_no_default_policy, sent.no_default_policy);
        set(&mut self.token_period, sent.period.map(Into::into));
        set(&mut self.token_policies, sent.policies.clone());
        set(&mut self.token_num_uses, sent.num_uses);
        set(&mut self.token_ttl, sent.ttl.map(Into::into));
        set(&mut self.token_strictly_bind_ip, sent.strictly_bind_ip);
        self.check()
    }

    fn check(&self) -> Result<()> {
        let batch = matches!(self.token_type, TokenType::Batch | TokenType::DefaultBatch);
        let (ttl, max_ttl) = (self.token_ttl, self.token_max_ttl);
        let fault = if self.token_num_uses < 0 {
            "'token_num_uses' cannot be negative"
        } else if batch && !self.token_period.is_zero() {
            "'token_type' cannot be 'batch' or 'default_batch' when set to generate periodic tokens"
        } else if batch && self.token_num_uses != 0 {
            "'token_type' cannot be 'batch' or 'default_batch' when set to generate tokens with \
             limited use count"
        } else if !max_ttl.is_zero() && ttl > max_ttl {
            "'token_ttl' cannot be greater than 'token_max_ttl'"
        } else if self.token_strictly_bind_ip && !self.token_bound_cidrs.is_empty() {
            "'token_strictly_bind_ip' conflicts with 'token_bound_cidrs'; set only one"
        } else {
            return Ok(());
        };
        Err(Error::invalid(fault))
    }

    /// The settings as a read shows them: durations in seconds.
    pub fn show(&self, data: &mut Map<String, Value>) {
        let shown = [
            ("token_bound_cidrs", json!(self.token_bound_cidrs)),
            ("token_explicit_max_ttl", json!(self.token_explicit_max_ttl.as_secs())),
            ("token_max_ttl", json!(self.token_max_ttl.as_secs())),
            ("token_no_default_policy", json!(self.token_no_default_policy)),
            ("token_num_uses", json!(self.token_num_uses)),
            ("token_period", json!(self.token_period.as_secs())),
            ("token_policies", json!(self.token_policies)),
            ("token_strictly_bind_ip", json!(self.token_strictly_bind_ip)),
            ("token_ttl", json!(self.token_ttl.as_secs())),
            ("token_type", json!(type_name(self.token_type))),
        ];
        data.extend(shown.map(|(name, value)| (name.to_owned(), value)));
    }

    /// Puts the settings on a login. Fails if the token is to be bound to the client's address and
    /// the server did not say it.
    pub fn give(&self, auth: &mut Auth, from: Option<&Connection>) -> Result<()> {
        auth.policies = self.token_policies.clone();
        auth.lease.ttl = self.token_ttl;
        auth.lease.max_ttl = self.token_max_ttl;
        auth.lease.renewable = true;
        let wish = &mut auth.token;
        wish.token_type = self.token_type;
        wish.period = self.token_period;
        wish.num_uses = self.token_num_uses;
        wish.explicit_max_ttl = self.token_explicit_max_ttl;
        wish.no_default_policy = self.token_no_default_policy;
        wish.bound_cidrs = self.token_bound_cidrs.iter().map(ToString::to_string).collect();
        if self.token_strictly_bind_ip {
            let address = from.map_or("", |connection| &connection.remote_addr);
            let address: BoundAddress = address.parse().map_err(|_| {
                Error::internal(
                    "failed to populate auth information: the token is to be bound to the client's \
                     address, and the server did not say a usable one",
                )
            })?;
            wish.bound_cidrs = vec![address.to_string()];
        }
        Ok(())
    }

    /// The times of a renewed login: as the settings are now.
    pub fn renew(&self, auth: &mut Auth) {
        auth.lease.ttl = self.token_ttl;
        auth.lease.max_ttl = self.token_max_ttl;
        auth.token.period = self.token_period;
    }
}

/// A field of an old name beside its successor, which has been updated already. The old name alone
/// sets both; beside the new one it only asks that the value is shown under the old name too; the
/// new name alone ends the old one.
pub fn supersede<T: Clone + Default>(old: &mut T, new: &mut T, sent: Option<T>, new_sent: bool) {
    match sent {
        Some(value) if !new_sent => {
            old.clone_from(&value);
            *new = value;
        }
        Some(_) => old.clone_from(new),
        None if new_sent => *old = T::default(),
        None => {}
    }
}

fn set<T>(setting: &mut T, sent: Option<T>) {
    if let Some(value) = sent {
        *setting = value;
    }
}

fn invalid(error: impl std::fmt::Display) -> Error {
    Error::invalid(error.to_string())
}

fn parse_type(name: &str) -> Result<TokenType> {
    match name {
        "" | "default" => Ok(TokenType::Default),
        "service" => Ok(TokenType::Service),
        "batch" => Ok(TokenType::Batch),
        _ => Err(Error::invalid(format!("invalid 'token_type' value {name:?}"))),
    }
}

const fn type_name(token_type: TokenType) -> &'static str {
    match token_type {
        TokenType::Default => "default",
        TokenType::Service => "service",
        TokenType::Batch => "batch",
        TokenType::DefaultService => "default-service",
        TokenType::DefaultBatch => "default-batch",
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
fn write_type<S: Serializer>(token_type: &TokenType, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u8(*token_type as u8)
}

fn read_type<'de, D: Deserializer<'de>>(deserializer: D) -> Result<TokenType, D::Error> {
    Option::<u32>::deserialize(deserializer)
        .map(|number| TokenType::from_number(number.unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_go_stored_is_read() {
        let stored = r#"{"token_bound_cidrs":["10.0.0.0/8"],"token_explicit_max_ttl":0,
            "token_max_ttl":3600000000000,"token_no_default_policy":false,"token_num_uses":0,
            "token_period":0,"token_policies":null,"token_type":2,"token_ttl":300000000000,
            "token_strictly_bind_ip":false}"#;
        let params: TokenParams = serde_json::from_str(stored).unwrap();
        assert_eq!(params.token_ttl, Duration::from_secs(300));
        assert_eq!(params.token_type, TokenType::Batch);
        assert!(params.token_policies.is_empty());
        let again = serde_json::to_value(&params).unwrap();
        assert_eq!(again["token_max_ttl"], 3_600_000_000_000_i64);
        assert_eq!(again["token_type"], 2);
        assert_eq!(again["token_bound_cidrs"], json!(["10.0.0.0/8"]));
    }

    #[test]
    fn the_old_name_of_a_field_gives_way_to_the_new_one() {
        for (sent, new_sent, old, new) in
            [(Some(5), false, 5, 5), (Some(5), true, 2, 2), (None, true, 0, 2), (None, false, 1, 2)]
        {
            let (mut was_old, mut was_new) = (1, 2);
            supersede(&mut was_old, &mut was_new, sent, new_sent);
            assert_eq!((was_old, was_new), (old, new), "{sent:?} {new_sent}");
        }
    }

    #[test]
    fn a_strictly_bound_token_needs_an_address() {
        let params = TokenParams { token_strictly_bind_ip: true, ..TokenParams::default() };
        let mut auth = Auth::default();
        assert!(params.give(&mut auth, None).is_err());
        let from = Connection { remote_addr: "10.0.0.9".into(), ..Connection::default() };
        params.give(&mut auth, Some(&from)).unwrap();
        assert_eq!(auth.token.bound_cidrs, ["10.0.0.9"]);
    }
}
