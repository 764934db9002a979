//! A role of the token store, as it is stored and shown.

use std::time::Duration;

use boltwork_framework::{
    StorageExt,
    credential::{BoundAddress, TokenParams, nanoseconds, null_as_default},
};
use boltwork_logical::{Error, Storage, TokenType};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

/// A role: what tokens made against it are like. Field names and units are Vault's.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Role {
    #[serde(flatten)]
    pub token: TokenParams,
    pub name: String,
    #[serde(deserialize_with = "null_as_default")]
    pub allowed_policies: Vec<String>,
    #[serde(deserialize_with = "null_as_default")]
    pub disallowed_policies: Vec<String>,
    #[serde(deserialize_with = "null_as_default")]
    pub allowed_policies_glob: Vec<String>,
    #[serde(deserialize_with = "null_as_default")]
    pub disallowed_policies_glob: Vec<String>,
    pub orphan: bool,
    /// Appended to the path of its tokens.
    pub path_suffix: String,
    pub renewable: bool,
    /// `token_period` under its old name, if it was set under that.
    #[serde(with = "nanoseconds")]
    pub period: Duration,
    /// `token_explicit_max_ttl` under its old name, if it was set under that.
    #[serde(with = "nanoseconds")]
    pub explicit_max_ttl: Duration,
    /// `token_bound_cidrs` under its old name, if it was set under that.
    #[serde(deserialize_with = "null_as_default")]
    pub bound_cidrs: Vec<BoundAddress>,
    #[serde(deserialize_with = "null_as_default")]
    pub allowed_entity_aliases: Vec<String>,
}

impl Role {
    /// Whether it has its own say about policies: then the parent's do not matter.
    pub fn limits_policies(&self) -> bool {
        [
            &self.allowed_policies,
            &self.disallowed_policies,
            &self.allowed_policies_glob,
            &self.disallowed_policies_glob,
        ]
        .iter()
        .any(|list| !list.is_empty())
    }

    /// What does not go together.
    pub fn check(&self) -> Result<(), Error> {
        if self.token.token_type != TokenType::Batch {
            return Ok(());
        }
        let what = if !self.orphan {
            "non-orphan tokens"
        } else if !self.token.token_period.is_zero() {
            "periodic tokens"
        } else if self.renewable {
            "renewable tokens"
        } else if !self.token.token_explicit_max_ttl.is_zero() {
            "tokens with an explicit max TTL"
        } else {
            return Ok(());
        };
        Err(Error::invalid(format!(
            "'token_type' cannot be 'batch' when role is set to generate {what}"
        )))
    }

    /// The reply of a read.
    pub fn show(&self) -> Map<String, Value> {
        let token = &self.token;
        let shown = json!({
            "period": self.period.as_secs(),
            "token_period": token.token_period.as_secs(),
            "explicit_max_ttl": self.explicit_max_ttl.as_secs(),
            "token_explicit_max_ttl": token.token_explicit_max_ttl.as_secs(),
            "disallowed_policies": self.disallowed_policies,
            "allowed_policies": self.allowed_policies,
            "disallowed_policies_glob": self.disallowed_policies_glob,
            "allowed_policies_glob": self.allowed_policies_glob,
            "name": self.name,
            "orphan": self.orphan,
            "path_suffix": self.path_suffix,
            "renewable": self.renewable,
            "token_type": type_name(token.token_type),
            "allowed_entity_aliases": match self.allowed_entity_aliases.is_empty() {
                true => Value::Null,
                false => json!(self.allowed_entity_aliases),
            },
            "token_no_default_policy": token.token_no_default_policy,
        });
        let Value::Object(mut shown) = shown else { return Map::new() };
        if !token.token_bound_cidrs.is_empty() {
            shown.insert("token_bound_cidrs".into(), json!(token.token_bound_cidrs));
        }
        if !self.bound_cidrs.is_empty() {
            shown.insert("bound_cidrs".into(), json!(self.bound_cidrs));
        }
        if token.token_num_uses > 0 {
            shown.insert("token_num_uses".into(), json!(token.token_num_uses));
        }
        shown
    }
}

/// A role by its name.
pub async fn find(storage: &dyn Storage, name: &str) -> Result<Option<Role>, Error> {
    storage.load(key(name)).await
}

/// The storage key of a role.
pub fn key(name: &str) -> String {
    format!("roles/{name}")
}

const fn type_name(kind: TokenType) -> &'static str {
    match kind {
        TokenType::Service => "service",
        TokenType::Batch => "batch",
        TokenType::DefaultBatch => "default-batch",
        TokenType::Default | TokenType::DefaultService => "default-service",
    }
}

/// Whether one of the patterns matches: `*` at either end stands for anything.
pub fn matches_glob(patterns: &[String], text: &str) -> bool {
    patterns.iter().any(|pattern| {
        let (open_start, open_end) = (pattern.starts_with('*'), pattern.ends_with('*'));
        let middle = pattern.trim_start_matches('*');
        let middle = middle.strip_suffix('*').unwrap_or(middle);
        match (open_start, open_end) {
            (true, true) => text.contains(middle),
            (true, false) => text.ends_with(middle),
            (false, true) => text.starts_with(middle),
            (false, false) => text == pattern,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_anything_at_either_end() {
        for (pattern, text, matches) in [
            ("dev-*", "dev-web", true),
            ("dev-*", "prod-web", false),
            ("*-web", "dev-web", true),
            ("*e*", "dev", true),
            ("*", "anything", true),
            ("dev", "dev", true),
            ("dev", "device", false),
        ] {
            assert_eq!(matches_glob(&[pattern.to_owned()], text), matches, "{pattern} {text}");
        }
    }

    #[test]
    fn a_role_that_openbao_stored_is_read() {
        let stored = r#"{"token_bound_cidrs":null,"token_explicit_max_ttl":0,"token_max_ttl":0,
            "token_no_default_policy":false,"token_num_uses":0,"token_period":3600000000000,
            "token_policies":null,"token_type":3,"token_ttl":0,"token_strictly_bind_ip":false,
            "name":"r","allowed_policies":["a"],"disallowed_policies":null,
            "allowed_policies_glob":null,"disallowed_policies_glob":null,"orphan":true,
            "path_suffix":"","renewable":true,"period":3600000000000,"explicit_max_ttl":0,
            "bound_cidrs":null,"allowed_entity_aliases":null}"#;
        let role: Role = serde_json::from_str(stored).unwrap();
        assert_eq!(role.token.token_period, Duration::from_secs(3600));
        assert_eq!(role.show()["period"], 3600);
        assert_eq!(role.show()["token_type"], "default-service");
        assert!(role.limits_policies() && role.orphan);
    }
}
