//! What clients send when they mount and tune: one struct a job, and how settings are read.

use std::collections::BTreeMap;

use boltwork_framework::{Json, Result, Ttl};
use boltwork_logical::Error;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::mounts::MountConfig;

/// Mounting: what may be sent, besides what tuning may send.
#[derive(Deserialize, JsonSchema)]
pub struct MountFields {
    /// The path to mount to. Example: "aws/east".
    #[serde(default)]
    pub path: String,
    /// The type of the backend. Example: "kv".
    #[serde(default, rename = "type")]
    pub kind: String,
    /// User-friendly description for this mount.
    #[serde(default)]
    pub description: Option<String>,
    /// Configuration for this mount, such as default_lease_ttl and max_lease_ttl.
    #[serde(default)]
    pub config: Option<Json>,
    /// Mark the mount as a local mount, which is not replicated and is unaffected by replication.
    #[serde(default)]
    pub local: bool,
    /// Whether to turn on seal wrapping for the mount.
    #[serde(default)]
    pub seal_wrap: bool,
    /// Whether to give the mount access to an external entropy source.
    #[serde(default)]
    pub external_entropy_access: bool,
    /// Name of the plugin to mount based from the name registered in the plugin catalog.
    #[serde(default)]
    pub plugin_name: String,
    /// The options to pass into the backend. Should be a json object with string keys and values.
    #[serde(default)]
    pub options: Option<BTreeMap<String, String>>,
    /// The settings that tuning changes.
    #[serde(default)]
    pub default_lease_ttl: Option<String>,
    /// The max lease TTL for this mount.
    #[serde(default)]
    pub max_lease_ttl: Option<String>,
    /// The list of keys in the request data object that will not be HMAC'ed by audit devices.
    #[serde(default)]
    pub audit_non_hmac_request_keys: Option<Vec<String>>,
    /// The list of keys in the response data object that will not be HMAC'ed by audit devices.
    #[serde(default)]
    pub audit_non_hmac_response_keys: Option<Vec<String>>,
    /// Determines the visibility of the mount in the UI-specific listing endpoint.
    #[serde(default)]
    pub listing_visibility: Option<String>,
    /// A list of headers to whitelist and pass from the request to the backend.
    #[serde(default)]
    pub passthrough_request_headers: Option<Vec<String>>,
    /// A list of headers to whitelist and allow a plugin to set on responses.
    #[serde(default)]
    pub allowed_response_headers: Option<Vec<String>>,
    /// The type of token to issue (service or batch).
    #[serde(default)]
    pub token_type: Option<String>,
    /// The semantic version of the plugin to use.
    #[serde(default)]
    pub plugin_version: Option<String>,
}

/// The `config` object of a mount request.
#[derive(Deserialize, Default)]
#[serde(default)]
pub struct ConfigFields {
    default_lease_ttl: Text,
    max_lease_ttl: Text,
    force_no_cache: bool,
    listing_visibility: String,
    token_type: String,
    passthrough_request_headers: Option<Words>,
    allowed_response_headers: Option<Words>,
    audit_non_hmac_request_keys: Option<Words>,
    audit_non_hmac_response_keys: Option<Words>,
    /// Version of the plugin.
    pub plugin_version: String,
    /// Name of the plugin, for the legacy type `plugin`.
    pub plugin_name: String,
}

/// A string or a number.
#[derive(Default, Deserialize)]
#[serde(from = "serde_json::Value")]
struct Text(String);

impl From<serde_json::Value> for Text {
    fn from(value: serde_json::Value) -> Self {
        match value {
            serde_json::Value::String(text) => Self(text),
            serde_json::Value::Null => Self::default(),
            other => Self(other.to_string()),
        }
    }
}

/// A list, or one string with commas.
#[derive(Deserialize)]
#[serde(untagged)]
enum Words {
    Many(Vec<String>),
    One(String),
}

impl Words {
    fn list(self) -> Vec<String> {
        match self {
            Self::Many(words) => words,
            Self::One(text) => text
                .split(',')
                .map(str::trim)
                .filter(|w| !w.is_empty())
                .map(str::to_owned)
                .collect(),
        }
    }
}

impl ConfigFields {
    /// Reads the object; the error names no value.
    pub fn read(json: Option<Json>) -> Result<Self> {
        let Some(Json(data)) = json else { return Ok(Self::default()) };
        data.decode()
            .map_err(|_| Error::invalid("unable to convert given mount config information"))
    }

    /// The settings of a new mount.
    pub fn settings(self) -> Result<MountConfig> {
        let config = MountConfig {
            default_lease_ttl: ttl("default", &self.default_lease_ttl.0)?,
            max_lease_ttl: ttl("max", &self.max_lease_ttl.0)?,
            force_no_cache: self.force_no_cache,
            listing_visibility: visibility(&self.listing_visibility)?,
            token_type: token_type(&self.token_type)?,
            passthrough_request_headers: self.passthrough_request_headers.map(Words::list),
            allowed_response_headers: self.allowed_response_headers.map(Words::list),
            audit_non_hmac_request_keys: self.audit_non_hmac_request_keys.map(Words::list),
            audit_non_hmac_response_keys: self.audit_non_hmac_response_keys.map(Words::list),
        };
        if config.max_lease_ttl > 0 && config.default_lease_ttl > config.max_lease_ttl {
            return Err(Error::invalid("given default lease TTL greater than given max lease TTL"));
        }
        Ok(config)
    }
}

/// A lease TTL: seconds, a duration, or `system`/nothing for the server's.
pub fn ttl(which: &str, text: &str) -> Result<u64> {
    if matches!(text, "" | "system") {
        return Ok(0);
    }
    text.parse()
        .map(Ttl::as_secs)
        .map_err(|_| Error::invalid(format!("unable to parse {which} TTL of {text}")))
}

/// What an auth method does about the kind of its tokens.
pub fn token_type(text: &str) -> Result<String> {
    match text {
        "" | "default-service" | "default-batch" | "service" | "batch" => Ok(text.to_owned()),
        _ => Err(Error::invalid("invalid value for 'token_type'")),
    }
}

/// `unauth`, `hidden` or nothing.
pub fn visibility(text: &str) -> Result<String> {
    match text {
        "" | "unauth" | "hidden" => Ok(text.to_owned()),
        other => Err(Error::invalid(format!("invalid listing_visibility {other}"))),
    }
}
