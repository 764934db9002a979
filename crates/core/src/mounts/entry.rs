//! Mount entries as they are stored and shown. Names are Vault's.

use std::collections::BTreeMap;

use boltwork_logical::PluginKind;
use serde::{Deserialize, Serialize};

/// Which of the two tables a mount stands in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Table {
    /// Secrets engines and the core's own: `core/mounts`.
    Secret,
    /// Auth methods: `core/auth`.
    Auth,
}

impl Table {
    /// Storage key of the table.
    pub const fn key(self) -> &'static str {
        match self {
            Self::Secret => "mounts",
            Self::Auth => "auth",
        }
    }

    /// Where the storage of its mounts is, each in a folder named by its UUID.
    pub const fn folder(self) -> &'static str {
        match self {
            Self::Secret => "logical",
            Self::Auth => "auth",
        }
    }

    /// What stands before the path of every mount of the table.
    pub const fn route_prefix(self) -> &'static str {
        match self {
            Self::Secret => "",
            Self::Auth => "auth/",
        }
    }

    /// Kind of plugin that mounts of the table need.
    pub const fn plugin_kind(self) -> PluginKind {
        match self {
            Self::Secret => PluginKind::Secret,
            Self::Auth => PluginKind::Auth,
        }
    }

    /// For texts.
    pub const fn noun(self) -> &'static str {
        match self {
            Self::Secret => "secrets engine",
            Self::Auth => "auth method",
        }
    }
}

/// One mount.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct MountEntry {
    /// Path below the table's prefix, ending in `/`.
    pub path: String,
    /// Name of the plugin.
    #[serde(rename = "type")]
    pub kind: String,
    /// For humans.
    pub description: String,
    /// Name of the mount's storage.
    pub uuid: String,
    /// Given to the backend.
    pub backend_aware_uuid: String,
    /// Short name, fixed for life.
    pub accessor: String,
    /// Settings.
    pub config: MountConfig,
    /// Options for the backend; `None` if never given.
    pub options: Option<BTreeMap<String, String>>,
    /// Flags.
    #[serde(flatten)]
    pub flags: MountFlags,
    /// Version of the plugin; empty for built-in or unversioned.
    pub plugin_version: String,
}

/// Yes-or-no facts of a mount.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct MountFlags {
    /// Not replicated.
    pub local: bool,
    /// Storage wrapped by the seal.
    pub seal_wrap: bool,
    /// Wants entropy from outside.
    pub external_entropy_access: bool,
    /// Being removed.
    pub tainted: bool,
}

/// Settings of a mount. TTLs in seconds; 0 is the server's default.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct MountConfig {
    /// Default lease.
    pub default_lease_ttl: u64,
    /// Longest lease.
    pub max_lease_ttl: u64,
    /// Do not cache.
    pub force_no_cache: bool,
    /// Shown to the unauthenticated: `unauth` or `hidden`.
    pub listing_visibility: String,
    /// Kind of tokens that logins give (auth methods).
    pub token_type: String,
    /// Headers handed to the backend.
    pub passthrough_request_headers: Option<Vec<String>>,
    /// Headers handed back to the client.
    pub allowed_response_headers: Option<Vec<String>>,
    /// Keys of requests that audit devices write in clear.
    pub audit_non_hmac_request_keys: Option<Vec<String>>,
    /// Keys of replies that audit devices write in clear.
    pub audit_non_hmac_response_keys: Option<Vec<String>>,
}

/// A stored table.
#[derive(Serialize, Deserialize, Default)]
pub struct StoredTable {
    /// `mounts` or `auth`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The mounts.
    pub entries: Vec<MountEntry>,
}
