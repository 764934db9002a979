//! A server that answers what a test wants.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use boltwork_logical::{
    BoxFuture, Data, DatabaseFactory, Entity, Error, Group, OpenedDatabase, PluginEnvironment,
    ReplicationState, SystemView, WrapInfo,
};

/// A server's answers. Change the fields before the mount is made.
#[derive(Debug, Clone)]
pub struct FakeSystem {
    /// Lease TTL when a backend names none.
    pub default_lease_ttl: Duration,
    /// Longest lease.
    pub max_lease_ttl: Duration,
    /// Whether the mount is being removed.
    pub tainted: bool,
    /// Whether backends should not cache.
    pub caching_disabled: bool,
    /// Replication role.
    pub replication: ReplicationState,
    /// Entities by id.
    pub entities: BTreeMap<String, Entity>,
    /// Groups by entity id.
    pub groups: BTreeMap<String, Vec<Group>>,
    /// The password that each policy makes.
    pub passwords: BTreeMap<String, String>,
    /// The server's version.
    pub environment: PluginEnvironment,
    /// Name and id of the cluster.
    pub cluster: (String, String),
    /// Database plugins.
    pub databases: Databases,
    /// What leases remember. Shared by clones: a test may add to it later.
    pub leases: Leases,
}

/// Database plugins by name, each in one version.
#[derive(Clone, Default)]
pub struct Databases(pub BTreeMap<String, (String, Arc<dyn DatabaseFactory>)>);

impl fmt::Debug for Databases {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

/// Paths, keys and values that leases remember.
#[derive(Debug, Clone, Default)]
pub struct Leases(Arc<Mutex<Vec<[String; 3]>>>);

impl Leases {
    /// A lease was stored.
    pub fn add(&self, path: &str, key: &str, value: &str) {
        let lease = [path, key, value].map(str::to_owned);
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(lease);
    }

    fn has(&self, lease: &[&str; 3]) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).iter().any(|one| one == lease)
    }
}

impl Default for FakeSystem {
    fn default() -> Self {
        Self {
            default_lease_ttl: Duration::from_secs(3600),
            max_lease_ttl: Duration::from_secs(24 * 3600),
            tainted: false,
            caching_disabled: false,
            replication: ReplicationState::SINGLE,
            entities: BTreeMap::new(),
            groups: BTreeMap::new(),
            passwords: BTreeMap::new(),
            environment: PluginEnvironment { version: "1.2.3".to_owned(), ..Default::default() },
            cluster: ("test".to_owned(), "cluster-id".to_owned()),
            databases: Databases::default(),
            leases: Leases::default(),
        }
    }
}

fn ready<'a, T: Send + 'a>(value: T) -> BoxFuture<'a, T> {
    Box::pin(std::future::ready(value))
}

impl SystemView for FakeSystem {
    fn default_lease_ttl(&self) -> BoxFuture<'_, Duration> {
        ready(self.default_lease_ttl)
    }
    fn max_lease_ttl(&self) -> BoxFuture<'_, Duration> {
        ready(self.max_lease_ttl)
    }
    fn tainted(&self) -> BoxFuture<'_, bool> {
        ready(self.tainted)
    }
    fn caching_disabled(&self) -> BoxFuture<'_, bool> {
        ready(self.caching_disabled)
    }
    fn replication_state(&self) -> BoxFuture<'_, ReplicationState> {
        ready(self.replication)
    }
    fn entity_info<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<Option<Entity>, Error>> {
        ready(Ok(self.entities.get(id).cloned()))
    }
    fn groups_for_entity<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<Vec<Group>, Error>> {
        ready(Ok(self.groups.get(id).cloned().unwrap_or_default()))
    }
    fn plugin_environment(&self) -> BoxFuture<'_, Result<PluginEnvironment, Error>> {
        ready(Ok(self.environment.clone()))
    }
    fn generate_password<'a>(&'a self, policy: &'a str) -> BoxFuture<'a, Result<String, Error>> {
        let found = self.passwords.get(policy).cloned();
        ready(found.ok_or_else(|| Error::internal("failed to generate password")))
    }
    fn cluster_info(&self) -> BoxFuture<'_, Result<(String, String), Error>> {
        ready(Ok(self.cluster.clone()))
    }
    fn wrap_data(&self, _: Data, ttl: Duration) -> BoxFuture<'_, Result<WrapInfo, Error>> {
        ready(Ok(WrapInfo { ttl, token: "hvs.wrapped".into(), ..WrapInfo::default() }))
    }
    fn lease_remembers<'a>(
        &'a self,
        path: &'a str,
        key: &'a str,
        value: &'a str,
    ) -> BoxFuture<'a, Result<bool, Error>> {
        ready(Ok(self.leases.has(&[path, key, value])))
    }
    fn select_database_version<'a>(
        &'a self,
        name: &'a str,
        wanted: &'a str,
    ) -> BoxFuture<'a, Result<String, Error>> {
        ready(match self.databases.0.get(name) {
            Some((version, _)) if wanted.is_empty() || wanted == version => Ok(version.clone()),
            _ => Err(Error::invalid(format!("plugin not found in the catalog: {name}"))),
        })
    }
    fn retire_database<'a>(&'a self, _: &'a str, _: &'a str) -> BoxFuture<'a, Result<(), Error>> {
        // There are no processes here.
        ready(Ok(()))
    }
    fn open_database<'a>(
        &'a self,
        name: &'a str,
        _: &'a str,
    ) -> BoxFuture<'a, Result<OpenedDatabase, Error>> {
        let Some((version, factory)) = self.databases.0.get(name) else {
            let text = format!("plugin not found in the catalog: {name}");
            return ready(Err(Error::invalid(text)));
        };
        ready(factory.create().map_err(Error::from).map(|database| OpenedDatabase {
            database,
            running_version: version.clone(),
            sha256: String::new(),
            builtin: true,
        }))
    }
}
