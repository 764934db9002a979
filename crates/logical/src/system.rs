//! What a backend may ask of the server it is mounted in (wire spec 2.10).

use std::{collections::BTreeMap, time::Duration};

use crate::{Alias, BoxFuture, Data, Error, OpenedDatabase, WrapInfo};

/// The server, as a backend sees it. Everything is async because a plugin asks over a wire.
///
/// The defaults are what a lone server without identity, clustering or password policies answers.
pub trait SystemView: Send + Sync {
    /// Lease TTL when a backend names none.
    fn default_lease_ttl(&self) -> BoxFuture<'_, Duration>;

    /// Longest lease.
    fn max_lease_ttl(&self) -> BoxFuture<'_, Duration>;

    /// Whether the mount is being removed.
    fn tainted(&self) -> BoxFuture<'_, bool> {
        Box::pin(async { false })
    }

    /// Whether backends should not cache.
    fn caching_disabled(&self) -> BoxFuture<'_, bool> {
        Box::pin(async { false })
    }

    /// Replication role bits.
    fn replication_state(&self) -> BoxFuture<'_, ReplicationState> {
        Box::pin(async { ReplicationState::SINGLE })
    }

    /// Whether plugins should lock their memory.
    fn mlock_enabled(&self) -> BoxFuture<'_, bool> {
        Box::pin(async { false })
    }

    /// Whether the mount is not replicated.
    fn local_mount(&self) -> BoxFuture<'_, bool> {
        Box::pin(async { false })
    }

    /// An entity; `None` if unknown.
    fn entity_info<'a>(&'a self, _id: &'a str) -> BoxFuture<'a, Result<Option<Entity>, Error>> {
        Box::pin(async { Ok(None) })
    }

    /// The groups of an entity.
    fn groups_for_entity<'a>(&'a self, _id: &'a str) -> BoxFuture<'a, Result<Vec<Group>, Error>> {
        Box::pin(async { Ok(Vec::new()) })
    }

    /// What server this is.
    fn plugin_environment(&self) -> BoxFuture<'_, Result<PluginEnvironment, Error>>;

    /// A password made by a policy of the server's.
    fn generate_password<'a>(&'a self, policy: &'a str) -> BoxFuture<'a, Result<String, Error>>;

    /// Name and id of the cluster.
    fn cluster_info(&self) -> BoxFuture<'_, Result<(String, String), Error>>;

    /// Puts data into a wrapping token.
    fn wrap_data(&self, data: Data, ttl: Duration) -> BoxFuture<'_, Result<WrapInfo, Error>>;

    /// Whether a lease that was given out on a path of this mount remembers this value under this
    /// key. Only for backends inside the server; no wire carries it.
    fn lease_remembers<'a>(
        &'a self,
        _path: &'a str,
        _key: &'a str,
        _value: &'a str,
    ) -> BoxFuture<'a, Result<bool, Error>> {
        Box::pin(async { Err(Error::internal(NOT_FROM_PLUGINS)) })
    }

    /// The version of a database plugin to keep for a new connection, chosen as for a mount (wire
    /// spec 5.5): the wanted one checked, or, if it is empty, the one that is chosen. Only for
    /// backends inside the server; no wire carries it.
    fn select_database_version<'a>(
        &'a self,
        _name: &'a str,
        _wanted: &'a str,
    ) -> BoxFuture<'a, Result<String, Error>> {
        Box::pin(async { Err(Error::internal(NOT_FROM_PLUGINS)) })
    }

    /// Brings a database plugin up: built in, or a process started or shared. The connection is
    /// not configured yet. Only for backends inside the server; no wire carries it.
    fn open_database<'a>(
        &'a self,
        _name: &'a str,
        _version: &'a str,
    ) -> BoxFuture<'a, Result<OpenedDatabase, Error>> {
        Box::pin(async { Err(Error::internal(NOT_FROM_PLUGINS)) })
    }

    /// Lets what runs for a database plugin take no more connections: those that are opened from now
    /// on are in a fresh process. Only for backends inside the server; no wire carries it.
    fn retire_database<'a>(
        &'a self,
        _name: &'a str,
        _version: &'a str,
    ) -> BoxFuture<'a, Result<(), Error>> {
        Box::pin(async { Err(Error::internal(NOT_FROM_PLUGINS)) })
    }
}

const NOT_FROM_PLUGINS: &str =
    "this can only be asked inside the server, not by a plugin in a process of its own";

/// Replication role as bits (wire spec 2.10). Never zero: plugins take that for "unknown".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReplicationState(pub u32);

impl ReplicationState {
    /// A server without replication: performance and disaster-recovery replication disabled.
    pub const SINGLE: Self = Self(0x3000);
}

/// Version facts for plugins: plain semver without `v`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PluginEnvironment {
    /// `1.18.3`
    pub version: String,
    /// `beta1`
    pub prerelease: String,
    /// Build metadata.
    pub metadata: String,
}

/// Someone known to the identity store.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Entity {
    /// Id.
    pub id: String,
    /// Name.
    pub name: String,
    /// Names at auth mounts.
    pub aliases: Vec<Alias>,
    /// Facts.
    pub metadata: BTreeMap<String, String>,
    /// May not do anything.
    pub disabled: bool,
    /// Namespace.
    pub namespace_id: String,
}

/// A group known to the identity store.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Group {
    /// Id.
    pub id: String,
    /// Name.
    pub name: String,
    /// Facts.
    pub metadata: BTreeMap<String, String>,
    /// Namespace.
    pub namespace_id: String,
}
