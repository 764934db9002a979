//! The server as one mount's backend sees it.

use std::{
    sync::{Arc, OnceLock, Weak},
    time::Duration,
};

use boltwork_logical::{
    Alias, BoxFuture, Data, Entity, Error, Group, OpenedDatabase, PluginEnvironment, PluginId,
    PluginKind, Reply, SystemView, WrapInfo,
};

use super::Mount;
use crate::{active::Active, identity, wrapping::ToWrap};

/// The one namespace that there is.
const ROOT: &str = "root";

/// Facts about the server that every mount may ask for.
#[derive(Clone, Debug, Default)]
pub struct ServerFacts {
    /// Lease TTL when neither backend nor mount name one.
    pub default_lease_ttl: Duration,
    /// Longest lease when the mount names none.
    pub max_lease_ttl: Duration,
    /// Name of the cluster.
    pub cluster_name: String,
    /// Id of the cluster.
    pub cluster_id: String,
    /// Plain semver without `v`, as plugins expect of Vault.
    pub version: String,
    /// Whether plugins should lock their memory.
    pub mlock: bool,
    /// The address at which clients and plugins reach the server; empty if there is none.
    pub api_addr: String,
}

/// One mount's window on the server. It outlives neither.
pub struct MountSystemView {
    facts: Arc<ServerFacts>,
    mount: Weak<Mount>,
    server: Arc<OnceLock<Weak<Active>>>,
}

impl MountSystemView {
    pub fn new(
        facts: Arc<ServerFacts>,
        mount: &Arc<Mount>,
        server: Arc<OnceLock<Weak<Active>>>,
    ) -> Self {
        Self { facts, mount: Arc::downgrade(mount), server }
    }

    fn server(&self) -> Result<Arc<Active>, Error> {
        self.server.get().and_then(Weak::upgrade).ok_or(Error::Sealed)
    }
}

/// The effective TTLs of a mount: default and longest.
pub fn effective_ttls(facts: &ServerFacts, mount: &Mount) -> (Duration, Duration) {
    let entry = mount.entry.load();
    let or =
        |seconds: u64, default| if seconds == 0 { default } else { Duration::from_secs(seconds) };
    let max = or(entry.config.max_lease_ttl, facts.max_lease_ttl);
    (or(entry.config.default_lease_ttl, facts.default_lease_ttl).min(max), max)
}

impl SystemView for MountSystemView {
    fn default_lease_ttl(&self) -> BoxFuture<'_, Duration> {
        Box::pin(async {
            self.mount
                .upgrade()
                .map_or(self.facts.default_lease_ttl, |m| effective_ttls(&self.facts, &m).0)
        })
    }

    fn max_lease_ttl(&self) -> BoxFuture<'_, Duration> {
        Box::pin(async {
            self.mount
                .upgrade()
                .map_or(self.facts.max_lease_ttl, |m| effective_ttls(&self.facts, &m).1)
        })
    }

    fn tainted(&self) -> BoxFuture<'_, bool> {
        Box::pin(async { self.mount.upgrade().is_none_or(|m| m.entry.load().flags.tainted) })
    }

    fn caching_disabled(&self) -> BoxFuture<'_, bool> {
        Box::pin(async {
            self.mount.upgrade().is_some_and(|m| m.entry.load().config.force_no_cache)
        })
    }

    fn local_mount(&self) -> BoxFuture<'_, bool> {
        Box::pin(async { self.mount.upgrade().is_some_and(|m| m.entry.load().flags.local) })
    }

    fn mlock_enabled(&self) -> BoxFuture<'_, bool> {
        Box::pin(async { self.facts.mlock })
    }

    fn entity_info<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<Option<Entity>, Error>> {
        Box::pin(async move {
            let server = self.server()?;
            let Some(who) = server.identity.standing(id) else { return Ok(None) };
            let alias = |alias: &identity::Alias| Alias {
                mount_type: server.mounts.kind_of(&alias.mount_accessor),
                mount_accessor: alias.mount_accessor.clone(),
                name: alias.name.clone(),
                metadata: alias.metadata.clone().unwrap_or_default(),
                id: alias.id.clone(),
                namespace_id: ROOT.to_owned(),
                custom_metadata: alias.custom_metadata.clone().unwrap_or_default(),
                local: alias.local,
            };
            Ok(Some(Entity {
                id: who.entity.id.clone(),
                name: who.entity.name.clone(),
                aliases: who.entity.aliases.iter().map(alias).collect(),
                metadata: who.entity.metadata.clone(),
                disabled: who.entity.disabled,
                namespace_id: ROOT.to_owned(),
            }))
        })
    }

    fn groups_for_entity<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<Vec<Group>, Error>> {
        Box::pin(async move {
            let Some(who) = self.server()?.identity.standing(id) else { return Ok(Vec::new()) };
            let group = |group: &Arc<identity::Group>| Group {
                id: group.id.clone(),
                name: group.name.clone(),
                metadata: group.metadata.clone(),
                namespace_id: ROOT.to_owned(),
            };
            Ok(who.groups.iter().map(group).collect())
        })
    }

    fn plugin_environment(&self) -> BoxFuture<'_, Result<PluginEnvironment, Error>> {
        Box::pin(async {
            Ok(PluginEnvironment { version: self.facts.version.clone(), ..Default::default() })
        })
    }

    fn generate_password<'a>(&'a self, policy: &'a str) -> BoxFuture<'a, Result<String, Error>> {
        Box::pin(async move {
            let password = self.server()?.passwords.generate(policy).await?;
            Ok(String::clone(&password))
        })
    }

    fn cluster_info(&self) -> BoxFuture<'_, Result<(String, String), Error>> {
        Box::pin(async { Ok((self.facts.cluster_name.clone(), self.facts.cluster_id.clone())) })
    }

    fn wrap_data(&self, data: Data, ttl: Duration) -> BoxFuture<'_, Result<WrapInfo, Error>> {
        Box::pin(async move {
            if ttl.is_zero() {
                return Err(Error::invalid("a wrapping token needs a TTL"));
            }
            let to_wrap = ToWrap { ttl, creation_path: "sys/wrapping/wrap", ..ToWrap::default() };
            self.server()?.wrap(&to_wrap, &Reply::data(data)).await
        })
    }

    fn lease_remembers<'a>(
        &'a self,
        path: &'a str,
        key: &'a str,
        value: &'a str,
    ) -> BoxFuture<'a, Result<bool, Error>> {
        Box::pin(async move {
            let server = self.server()?;
            let mount = self.mount.upgrade().ok_or(Error::Sealed)?;
            server.leases.remember(&format!("{}{path}", mount.point()), key, value).await
        })
    }

    fn select_database_version<'a>(
        &'a self,
        name: &'a str,
        wanted: &'a str,
    ) -> BoxFuture<'a, Result<String, Error>> {
        Box::pin(async move {
            self.server()?.plugins.select_version(PluginKind::Database, name, wanted).await
        })
    }

    fn open_database<'a>(
        &'a self,
        name: &'a str,
        version: &'a str,
    ) -> BoxFuture<'a, Result<OpenedDatabase, Error>> {
        Box::pin(async move {
            let (kind, name) = (PluginKind::Database, name.to_owned());
            let id = PluginId { kind, name, version: version.to_owned() };
            let point = self.mount.upgrade().map(|mount| mount.point()).unwrap_or_default();
            self.server()?.plugins.open_database(&id, &point).await
        })
    }

    fn retire_database<'a>(
        &'a self,
        name: &'a str,
        version: &'a str,
    ) -> BoxFuture<'a, Result<(), Error>> {
        Box::pin(async move {
            let plugins = &self.server()?.plugins;
            let kind = PluginKind::Database;
            let id = match plugins.pinned(kind, name).await? {
                Some(pin) => pin,
                None => PluginId { kind, name: name.to_owned(), version: version.to_owned() },
            };
            plugins.retire(&id).await;
            Ok(())
        })
    }
}
