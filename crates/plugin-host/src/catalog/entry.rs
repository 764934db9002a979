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
    /// A number from OpenBao and older Vaults, a word from newer ones, nothing from Vaults before
    /// 0.11.
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
    /// HashiCorp's: the plugin is in this container image, and the checksum is the image's.
    #[serde(default, skip_serializing)]
    pub oci_image: String,
    /// Registered by the server's configuration, not by its API. OpenBao has it too.
    #[serde(default)]
    pub declarative: bool,
}

/// What an entry says of its plugin's kind.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum StoredKind {
    /// Nothing.
    #[default]
    Untold,
    /// A kind.
    Is(PluginKind),
    /// A kind that only other servers know.
    Foreign,
}

impl StoredKind {
    /// The kind, if it is one that we know.
    pub fn known(self) -> Option<PluginKind> {
        match self {
            Self::Is(kind) => Some(kind),
            Self::Untold | Self::Foreign => None,
        }
    }

    /// Whether the plugin may be of this kind.
    pub fn may_be(self, kind: PluginKind) -> bool {
        self == Self::Untold || self == Self::Is(kind)
    }
}

impl Serialize for StoredKind {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u8(self.known().map_or(0, |kind| kind as u8))
    }
}

impl<'de> Deserialize<'de> for StoredKind {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        use serde_json::Value;
        let value = Value::deserialize(deserializer)?;
        let known = match &value {
            Value::String(word) if matches!(word.as_str(), "" | "unknown") => {
                return Ok(Self::Untold);
            }
            Value::Null => return Ok(Self::Untold),
            Value::Number(number) if number.as_u64() == Some(0) => return Ok(Self::Untold),
            Value::String(word) => PluginKind::parse(word).ok(),
            Value::Number(number) => number.as_u64().and_then(PluginKind::from_number),
            _ => None,
        };
        Ok(known.map_or(Self::Foreign, Self::Is))
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
        let kind = self.kind.known()?;
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
            kind: StoredKind::Is(entry.id.kind),
            version: entry.id.version.clone(),
            command: entry.command.clone(),
            args: Some(entry.args.clone()),
            env: Some(entry.env.clone()),
            sha256: entry.sha256.clone(),
            builtin: false,
            oci_image: String::new(),
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

    /// What each server writes for the same plugin, with all fields of its own.
    const FORMS: [(&str, &str); 5] = [
        (
            "OpenBao",
            r#"{"name":"kv","type":3,"version":"v1.0.0","command":"kv","args":["-x"],"env":["A=b"],"sha256":"AQI=","builtin":false,"oci":true,"declarative":false}"#,
        ),
        (
            "OpenBao before it had containers",
            r#"{"name":"kv","type":3,"version":"v1.0.0","command":"kv","args":["-x"],"env":["A=b"],"sha256":"AQI=","builtin":false}"#,
        ),
        (
            "Vault 1.20",
            r#"{"name":"kv","type":"secret","version":"v1.0.0","oci_image":"","runtime":"","command":"kv","args":["-x"],"env":["A=b"],"sha256":"AQI=","builtin":false,"tier":"community","download":false}"#,
        ),
        (
            "Vault 1.15",
            r#"{"name":"kv","type":"secret","version":"v1.0.0","oci_image":"","runtime":"","command":"kv","args":["-x"],"env":["A=b"],"sha256":"AQI=","builtin":false}"#,
        ),
        (
            "Vault 1.12",
            r#"{"name":"kv","type":3,"version":"v1.0.0","command":"kv","args":["-x"],"env":["A=b"],"sha256":"AQI=","builtin":false}"#,
        ),
    ];

    fn read(json: &str) -> StoredEntry {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn every_servers_form_of_an_entry_is_read_as_the_same() {
        for (server, json) in FORMS {
            let entry = read(json).into_entry().unwrap();
            let (kind, name, version) = (PluginKind::Secret, "kv".into(), "v1.0.0".into());
            assert_eq!(entry.id, PluginId { kind, name, version }, "{server}");
            assert_eq!((entry.command.as_str(), entry.sha256.as_slice()), ("kv", &[1, 2][..]));
            assert_eq!((entry.args, entry.env), (vec!["-x".to_owned()], vec!["A=b".to_owned()]));
            assert!(!entry.declarative && !entry.builtin, "{server}");
        }
        let declared = FORMS[0].1.replace(r#""declarative":false"#, r#""declarative":true"#);
        assert!(read(&declared).into_entry().unwrap().declarative);
    }

    #[test]
    fn fields_that_were_empty_or_not_invented_yet_are_empty() {
        for json in [
            // Vault 0.11 to 1.11, and before there were variables.
            r#"{"name":"kv","type":3,"command":"kv","args":[],"env":[],"sha256":"AQI=","builtin":false}"#,
            r#"{"name":"kv","type":3,"command":"kv","args":null,"sha256":"AQI=","builtin":false}"#,
            r#"{"name":"kv","type":"secret","version":"","command":"kv","args":null,"env":null,"sha256":"AQI=","builtin":false}"#,
        ] {
            let entry = read(json).into_entry().unwrap();
            assert_eq!(entry.id.version, "", "{json}");
            assert!(entry.args.is_empty() && entry.env.is_empty(), "{json}");
        }
        assert!(read(r#"{"name":"kv","type":3,"sha256":null}"#).sha256.is_empty());
    }

    #[test]
    fn a_kind_is_a_word_or_a_number_or_not_told_or_foreign() {
        use StoredKind::{Foreign, Is, Untold};
        for (json, wanted) in [
            (r#""secret""#, Is(PluginKind::Secret)),
            (r#""auth""#, Is(PluginKind::Auth)),
            (r#""database""#, Is(PluginKind::Database)),
            ("1", Is(PluginKind::Auth)),
            ("2", Is(PluginKind::Database)),
            ("3", Is(PluginKind::Secret)),
            ("0", Untold),
            (r#""unknown""#, Untold),
            ("null", Untold),
            ("4", Foreign),
            (r#""kms""#, Foreign),
            ("[]", Foreign),
        ] {
            let kind = read(&format!(r#"{{"name":"x","type":{json}}}"#)).kind;
            assert_eq!(kind, wanted, "{json}");
            assert_eq!(
                kind.may_be(PluginKind::Auth),
                wanted == Untold || json == "1" || json == r#""auth""#
            );
        }
        // Vault before 0.11 wrote no kind at all.
        let old = r#"{"name":"kv","command":"kv","args":null,"sha256":"AQI=","builtin":false}"#;
        assert_eq!(read(old).kind, Untold);
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
