//! Roles as they are stored; the form is that of Vault's engine, which keeps roles with users of
//! their own making and static ones in the same shape.

use std::time::Duration;

use boltwork_sdk::{
    Result, StorageExt,
    logical::{Error, Storage},
};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::settings::Settings;

/// Where roles are kept whose users the engine makes.
pub const PREFIX: &str = "role/";

/// A role.
#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Role {
    /// Name of the connection.
    pub db_name: String,
    pub statements: RoleStatements,
    #[serde(serialize_with = "to_nanos", deserialize_with = "from_nanos")]
    pub default_ttl: Duration,
    #[serde(serialize_with = "to_nanos", deserialize_with = "from_nanos")]
    pub max_ttl: Duration,
    pub credential_type: CredentialKind,
    pub credential_config: Option<Settings>,
}

/// What is done to users, in the database's own language.
#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct RoleStatements {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub creation: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub revocation: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub rollback: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub renewal: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub rotation: Vec<String>,
}

/// What users log in with. The numbers are the protocol's (wire spec 4.1), and what is stored.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub enum CredentialKind {
    /// A password.
    #[default]
    Password,
    /// An RSA key pair.
    RsaPrivateKey,
    /// A certificate.
    ClientCertificate,
}

impl CredentialKind {
    const ALL: [(Self, &'static str); 3] = [
        (Self::Password, "password"),
        (Self::RsaPrivateKey, "rsa_private_key"),
        (Self::ClientCertificate, "client_certificate"),
    ];

    /// The word in fields and replies.
    pub fn as_str(self) -> &'static str {
        Self::ALL.into_iter().find(|(kind, _)| *kind == self).map_or("password", |(_, word)| word)
    }

    /// Reads the word.
    pub fn parse(word: &str) -> Result<Self> {
        let found = Self::ALL.into_iter().find(|(_, name)| *name == word);
        found
            .map(|(kind, _)| kind)
            .ok_or_else(|| Error::invalid(format!("invalid credential_type {word:?}")))
    }
}

impl Serialize for CredentialKind {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let number = Self::ALL.iter().position(|(kind, _)| kind == self).unwrap_or_default();
        serializer.serialize_u64(number as u64)
    }
}

impl<'de> Deserialize<'de> for CredentialKind {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let number = usize::deserialize(deserializer)?;
        let found = Self::ALL.get(number);
        found
            .map(|(kind, _)| *kind)
            .ok_or_else(|| serde::de::Error::custom("unknown credential type"))
    }
}

impl Role {
    /// The role of this name below a prefix.
    pub async fn load(storage: &dyn Storage, name: &str) -> Result<Option<Self>> {
        storage.load(format!("{PREFIX}{name}")).await
    }
}

/// Go's durations are stored in nanoseconds.
pub fn to_nanos<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u64(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX))
}

pub fn from_nanos<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let nanos = i64::deserialize(deserializer)?;
    Ok(Duration::from_nanos(u64::try_from(nanos).unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_that_vault_stored_is_read() {
        let text = r#"{"db_name":"pg","statements":{"creation":["CREATE ROLE x"]},
            "default_ttl":3600000000000,"max_ttl":86400000000000,"credential_type":1,
            "credential_config":{"key_bits":2048},"static_account":null}"#;
        let role: Role = serde_json::from_str(text).unwrap();
        assert_eq!(role.default_ttl, Duration::from_secs(3600));
        assert_eq!(role.credential_type, CredentialKind::RsaPrivateKey);
        assert_eq!(role.statements.creation, ["CREATE ROLE x"]);
        let again = serde_json::to_value(&role).unwrap();
        assert_eq!(again["default_ttl"], 3_600_000_000_000_u64);
        assert_eq!(again["credential_type"], 1);
    }
}
