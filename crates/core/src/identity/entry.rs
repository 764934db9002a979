//! Entities, aliases and groups as they are stored, as JSON. Field names are Vault's.
//!
//! Vault packs many entities into one stored item; here each has its own, so that a login writes
//! one small value. An entity also remembers in which external groups logins have put it, which
//! Vault writes into every such group: so a login never writes anything that others write, too.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

/// Facts by name.
pub type Metadata = BTreeMap<String, String>;

/// Somebody, under whatever names.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Entity {
    /// Id, a UUID.
    pub id: String,
    /// Unique; case does not count.
    pub name: String,
    /// Facts that operators gave.
    pub metadata: Metadata,
    /// Policies, sorted.
    pub policies: Vec<String>,
    /// May not do anything, and not log in.
    pub disabled: bool,
    /// Names at mounts, at most one for each mount.
    pub aliases: Vec<Alias>,
    /// Ids of entities that became part of this one.
    pub merged_entity_ids: Vec<String>,
    /// External groups that logins say it is in. Those that are gone do not count.
    pub external_group_ids: BTreeSet<String>,
    /// RFC 3339.
    pub creation_time: String,
    /// RFC 3339.
    pub last_update_time: String,
}

/// One name at one auth mount, of an entity or a group.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Alias {
    /// Id, a UUID.
    pub id: String,
    /// The entity or group whose name it is.
    pub canonical_id: String,
    /// The name; case does not count.
    pub name: String,
    /// Accessor of the mount.
    pub mount_accessor: String,
    /// Facts that the login found; `None` if it never found any.
    pub metadata: Option<Metadata>,
    /// Facts that operators gave; `None` if never given.
    pub custom_metadata: Option<Metadata>,
    /// The mount is local.
    pub local: bool,
    /// Ids of entities that it belonged to before they were merged.
    pub merged_from_canonical_ids: Vec<String>,
    /// RFC 3339.
    pub creation_time: String,
    /// RFC 3339.
    pub last_update_time: String,
}

/// Who says who is in a group.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum GroupKind {
    /// Operators.
    #[default]
    Internal,
    /// Auth methods, by the names that they have for it.
    External,
}

impl GroupKind {
    /// Its name in the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Internal => "internal",
            Self::External => "external",
        }
    }

    /// The kind of this name.
    pub fn parse(name: &str) -> Option<Self> {
        [Self::Internal, Self::External].into_iter().find(|kind| kind.as_str() == name)
    }
}

/// Entities that share policies.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Group {
    /// Id, a UUID.
    pub id: String,
    /// Unique; case does not count.
    pub name: String,
    /// Facts that operators gave.
    pub metadata: Metadata,
    /// Policies, sorted.
    pub policies: Vec<String>,
    /// Internal or external.
    #[serde(rename = "type")]
    pub kind: GroupKind,
    /// Entities in an internal group, sorted.
    pub member_entity_ids: Vec<String>,
    /// Groups that it is in.
    pub parent_group_ids: Vec<String>,
    /// The name of an external group at its mount.
    pub alias: Option<Alias>,
    /// How often it was written.
    pub modify_index: u64,
    /// RFC 3339.
    pub creation_time: String,
    /// RFC 3339.
    pub last_update_time: String,
}

impl Alias {
    /// A fresh alias of an entity or group.
    pub fn new(canonical_id: &str, mount_accessor: &str, name: &str) -> Self {
        let now = timestamp();
        Self {
            id: new_id(),
            canonical_id: canonical_id.to_owned(),
            name: name.to_owned(),
            mount_accessor: mount_accessor.to_owned(),
            creation_time: now.clone(),
            last_update_time: now,
            ..Self::default()
        }
    }
}

/// A fresh id.
pub fn new_id() -> String {
    uuid::Uuid::new_v4().to_string()
}

/// This moment, as it is stored and shown.
pub fn timestamp() -> String {
    OffsetDateTime::now_utc().format(&Rfc3339).unwrap_or_default()
}

/// Names are told apart without regard to case.
pub fn folded(name: &str) -> String {
    name.to_lowercase()
}
