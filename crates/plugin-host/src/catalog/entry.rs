//! Catalog entries as they are stored (wire spec 5.1).
//!
//! HashiCorp's and OpenBao's servers write them a little differently; both are read, and what both
//! can read is written.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use boltwork_logical::{PluginEntry, PluginId, PluginKind};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// An entry's JSON.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct StoredEntry {
    pub name: String,
    /// A number from OpenBao and older Vaults, a word from newer ones.
    #[serde(default, rename = "type")]
    pub kind: StoredKind,
    /// Canonical, or empty.
    #[serde(default)]
    pub version: String,
    /// Relative to the plugin directory.
    #[serde(default)]
    pub command: String,
    #[serde(default)]
    pub args: Option<Vec<String>>,
    #[serde(default)]
    pub env: Option<Vec<String>>,
    /// Raw bytes; base64 in JSON, as Go writes them.
    #[serde(default, serialize_with = "to_base64", deserialize_with = "from_base64")]
    pub sha256: Vec<u8>,
    #[serde(default)]
    pub builtin: bool,
    /// Registered by the server's configuration, not by its API. OpenBao has it too.
    #[serde(default)]
    pub declarative: bool,
}

/// A kind, if it is one that we know.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct StoredKind(pub Option<PluginKind>);

impl Serialize for StoredKind {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u8(self.0.map_or(0, |kind| kind as u8))
    }
}

impl<'de> Deserialize<'de> for StoredKind {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self(match serde_json::Value::deserialize(deserializer)? {
            serde_json::Value::String(word) => PluginKind::parse(&word).ok(),
            serde_json::Value::Number(number) => number.as_u64().and_then(PluginKind::from_number),
            _ => None,
        }))
    }
}

fn to_base64<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&BASE64_STANDARD.encode(bytes))
}

fn from_base64<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
    let text = Option::<String>::deserialize(deserializer)?.unwrap_or_default();
    BASE64_STANDARD.decode(text).map_err(serde::de::Error::custom)
}

impl StoredEntry {
    /// The entry as the server speaks of it; `None` for a kind that we do not know.
    pub fn into_entry(self) -> Option<PluginEntry> {
        let kind = self.kind.0?;
        Some(self.with_kind(kind))
    }

    /// The entry with another kind than it says.
    pub fn with_kind(self, kind: PluginKind) -> PluginEntry {
        PluginEntry {
            id: PluginId { kind, name: self.name, version: self.version },
            command: self.command,
            args: self.args.unwrap_or_default(),
            env: self.env.unwrap_or_default(),
            sha256: self.sha256,
            builtin: false,
            declarative: self.declarative,
            deprecation: None,
        }
    }

    /// The form to store.
    pub fn of(entry: &PluginEntry) -> Self {
        Self {
            name: entry.id.name.clone(),
            kind: StoredKind(Some(entry.id.kind)),
            version: entry.id.version.clone(),
            command: entry.command.clone(),
            args: Some(entry.args.clone()),
            env: Some(entry.env.clone()),
            sha256: entry.sha256.clone(),
            builtin: false,
            declarative: entry.declarative,
        }
    }
}

/// Where an entry is kept, below the catalog's prefix.
pub fn key(id: &PluginId) -> String {
    match id.version.is_empty() {
        true => format!("{}/{}", id.kind, id.name),
        false => format!("{}/{}/{}", id.kind, id.name, id.version),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_of_both_servers_are_read() {
        let openbao = r#"{"name":"kv","type":3,"version":"v1.0.0","command":"kv","args":null,"env":null,"sha256":"AQI=","builtin":false,"oci":false}"#;
        let vault = r#"{"name":"kv","type":"secret","version":"v1.0.0","command":"kv","args":[],"env":["A=b"],"sha256":"AQI=","builtin":false,"oci_image":"","runtime":""}"#;
        for json in [openbao, vault] {
            let entry = serde_json::from_str::<StoredEntry>(json).unwrap().into_entry().unwrap();
            assert_eq!(entry.id.kind, PluginKind::Secret);
            assert_eq!(entry.sha256, [1, 2]);
        }
    }

    #[test]
    fn the_form_written_has_a_numeric_type_and_reads_back() {
        let entry = PluginEntry {
            id: PluginId { kind: PluginKind::Auth, name: "a/b".into(), version: "v1.0.0".into() },
            command: "c".into(),
            args: vec!["-x".into()],
            env: vec!["K=v".into()],
            sha256: vec![7; 32],
            builtin: false,
            declarative: true,
            deprecation: None,
        };
        let json = serde_json::to_string(&StoredEntry::of(&entry)).unwrap();
        assert!(json.contains(r#""type":1"#), "{json}");
        let back = serde_json::from_str::<StoredEntry>(&json).unwrap().into_entry().unwrap();
        assert_eq!(back, entry);
        assert_eq!(key(&entry.id), "auth/a/b/v1.0.0");
    }
}
