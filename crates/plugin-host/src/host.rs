//! [`PluginHost`]: everything together, behind the trait that the core knows.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use boltwork_logical::{
    BoxFuture, Database, Error, OpenedDatabase, PluginEntry, PluginId, PluginKind, PluginServer,
    PluginStatus, Plugins, Registration, Running, Setup, Storage,
};
use tokio::sync::watch;

use crate::catalog::{self, Builtin, Catalog, Checked, Compiled, Found};
use crate::database::{self, Connection};
use crate::declared::Declared;
use crate::diagnose::{Doing, tell, told};
use crate::folder::RuntimeFolder;
use crate::gate::SetupGate;
use crate::instance::Instance;
use crate::integrity::{Programs, locate};
use crate::places::Places;
use crate::pool::Pool;
use crate::preflight;
use crate::protocol::Known;
use crate::remote::Remote;
use crate::rules::Rules;
use crate::starter::Starter;
use crate::{HostError, PluginHostConfig, deprecation, status};

/// Processes that are being started at the same time, and how many it are with those that hang. A
/// start is the check of the file, the handshake, and the question whether the process can be shared.
const STARTS: (usize, usize) = (16, 64);

/// Keeps the catalog and runs plugins. One for each server.
pub struct PluginHost {
    pub(crate) catalog: Arc<Catalog>,
    pub(crate) starter: Arc<Starter>,
    instances: Mutex<Vec<Weak<Instance>>>,
    databases: database::Open,
    /// None: what is declared is left alone.
    declared: Mutex<Option<Arc<[Declared]>>>,
    /// Held by whoever brings the catalog in order: one at a time.
    keeping: tokio::sync::Mutex<()>,
    allow_pending_removal: bool,
    me: Weak<Self>,
}

impl PluginHost {
    /// Makes the server's private folder and removes those of servers that were killed. Starts
    /// nothing.
    pub fn new(config: PluginHostConfig) -> Result<Arc<Self>, HostError> {
        let (permissions, opt_out) = (config.permissions()?, config.opt_out());
        let allow_pending_removal = config.pending_removal_allowed()?;
        let directory = config
            .plugin_directory
            .map(|path| std::path::absolute(&path).map_err(HostError::file("finding", &path)))
            .transpose()?;
        if config.adopt_orphans {
            let parent = std::path::Path::new("/proc/self");
            go_plugin::host::adopt_orphans().map_err(HostError::file(
                "becoming the parent of what plugins leave behind",
                parent,
            ))?;
        }
        let parent = &config.runtime_parent;
        let folder = RuntimeFolder::create(parent)
            .map_err(HostError::file("making the folder for plugins in", parent))?;
        let rules = Rules {
            directory: directory.clone(),
            permissions,
            version: config.version,
            limits: config.limits,
            start_timeout: config.start_timeout,
            mlock: config.mlock,
            multiplexing_opt_out: opt_out,
        };
        let starter = Starter {
            rules,
            pool: Pool::default(),
            programs: Arc::new(Programs::new(folder.path())),
            folder,
            places: Places::new(STARTS.0, STARTS.1),
            sealed: watch::Sender::new(0),
            known: Known::default(),
            server: Mutex::default(),
        };
        Ok(Arc::new_cyclic(|me| Self {
            catalog: Arc::new(Catalog::new(config.builtins, directory.is_some())),
            starter: Arc::new(starter),
            instances: Mutex::default(),
            databases: database::Open::default(),
            declared: Mutex::new(config.declared.map(Arc::from)),
            keeping: tokio::sync::Mutex::default(),
            allow_pending_removal,
            me: me.clone(),
        }))
    }

    fn running(&self) -> Vec<Arc<Instance>> {
        let instances = self.instances.lock().unwrap_or_else(PoisonError::into_inner);
        instances.iter().filter_map(Weak::upgrade).collect()
    }

    /// The configuration was read again, and declares this now. If the server is unsealed the catalog
    /// is brought in line at once, else after unsealing.
    pub fn redeclare(&self, declared: Option<Vec<Declared>>) {
        *self.declared.lock().unwrap_or_else(PoisonError::into_inner) = declared.map(Arc::from);
        if self.catalog.is_open() {
            self.begin_upkeep();
        }
    }

    /// Brings the catalog in order, in the background: unsealing does not wait for plugins, and no
    /// plugin can keep the server from being unsealed.
    fn begin_upkeep(&self) {
        let Some(host) = self.me.upgrade() else { return };
        let mut sealed = self.starter.sealed.subscribe();
        tokio::spawn(async move {
            tokio::select! {
                biased;
                _ = sealed.changed() => {}
                () = host.upkeep() => {}
            }
        });
    }

    /// Old entries get their types; what the configuration declares is registered.
    async fn upkeep(&self) {
        let _one = self.keeping.lock().await;
        if self.starter.rules.directory.is_some() {
            self.upgrade_untyped().await;
        }
        let declared = self.declared.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(declared) = declared {
            for problem in self.apply_declared(&declared).await {
                tracing::error!("{problem}");
            }
        }
    }

    pub(crate) async fn try_registration(&self, checked: Checked) -> Result<Vec<String>, Error> {
        let mut entry = PluginEntry {
            id: PluginId {
                kind: checked.kind.unwrap_or(PluginKind::Secret),
                name: checked.name.clone(),
                version: checked.version.clone(),
            },
            command: checked.command.clone(),
            args: checked.args.clone(),
            env: checked.env.clone(),
            sha256: checked.sha256.to_vec(),
            builtin: false,
            declarative: checked.declarative,
            deprecation: None,
        };
        let tried = match checked.kind {
            Some(_) => preflight::run(&self.starter, &entry).await,
            None => preflight::find_kind(&self.starter, &mut entry).await,
        };
        let tried = tried.map_err(|error| tell(Doing::Preflight, &entry, &error))?;
        let kind = tried.kind.unwrap_or(entry.id.kind);
        self.catalog.store(checked, kind, &tried.version).await?;
        Ok(tried.warnings)
    }

    async fn create_builtin(&self, builtin: &Builtin, mut setup: Setup) -> Result<Running, Error> {
        deprecation::admit(builtin, self.allow_pending_removal)?;
        let gate = SetupGate::default();
        setup.storage = gate.guard(setup.storage);
        let Compiled::Backend(factory) = &builtin.factory else {
            let (kind, name) = (builtin.kind, &builtin.name);
            return Err(Error::invalid(format!("{kind} plugin {name:?} cannot be mounted")));
        };
        let backend = factory.create(setup).await?;
        gate.open();
        let version = builtin.version.clone();
        let deprecation = Some(builtin.deprecation);
        Ok(Running { backend, version, sha256: String::new(), builtin: true, deprecation })
    }

    async fn create_external(
        &self,
        entry: &PluginEntry,
        mut setup: Setup,
    ) -> Result<Running, Error> {
        for (key, value) in
            [("plugin_name", entry.id.name.as_str()), ("plugin_type", entry.id.kind.as_str())]
        {
            setup.config.entry(key.to_owned()).or_insert_with(|| value.to_owned());
        }
        // What runs, not what the mount asked for: a pin may have come between.
        setup.config.insert("plugin_version".to_owned(), entry.id.version.clone());
        let begun = self.starter.begin(entry, &setup).await;
        let begun = begun.map_err(|why| {
            let (mount, error) = (setup.mount_point.as_str(), told(entry, &why));
            tracing::error!(plugin = entry.id.name, mount, error, "the plugin cannot be started");
            tell(Doing::Starting, entry, &why)
        })?;
        let (starter, catalog) = (self.starter.clone(), self.catalog.clone());
        let instance = Instance::new(entry, setup, begun, starter, catalog);
        let mut instances = self.instances.lock().unwrap_or_else(PoisonError::into_inner);
        instances.retain(|instance| instance.strong_count() > 0);
        instances.push(Arc::downgrade(&instance));
        Ok(Running {
            backend: Arc::new(Remote(instance)),
            version: entry.id.version.clone(),
            sha256: hex::encode(&entry.sha256),
            builtin: false,
            deprecation: None,
        })
    }
}

/// Database plugins.
impl PluginHost {
    fn open_builtin(&self, builtin: &Builtin, mount_point: &str) -> Result<OpenedDatabase, Error> {
        let Compiled::Database(factory) = &builtin.factory else {
            let (kind, name) = (builtin.kind, &builtin.name);
            return Err(Error::invalid(format!("{kind} plugin {name:?} is no database plugin")));
        };
        let connection = Connection::compiled(builtin.entry().id, mount_point, factory.create()?);
        self.databases.add(&connection);
        Ok(OpenedDatabase {
            database: connection,
            running_version: builtin.version.clone(),
            sha256: String::new(),
            builtin: true,
        })
    }

    async fn open_external(
        &self,
        entry: &PluginEntry,
        mount_point: &str,
    ) -> Result<OpenedDatabase, Error> {
        let opened = self.starter.open_database(entry).await;
        let opened = opened.map_err(|error| tell(Doing::Opening, entry, &error))?;
        let connection = Connection::remote(entry.id.clone(), mount_point, opened);
        self.databases.add(&connection);
        Ok(OpenedDatabase {
            database: connection,
            running_version: entry.id.version.clone(),
            sha256: hex::encode(&entry.sha256),
            builtin: false,
        })
    }
}

impl Plugins for PluginHost {
    fn open(
        &self,
        storage: Arc<dyn Storage>,
        server: Arc<dyn PluginServer>,
    ) -> BoxFuture<'_, Result<(), Error>> {
        Box::pin(async move {
            self.starter.serve(Some(server));
            self.catalog.open(storage);
            self.begin_upkeep();
            Ok(())
        })
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        Box::pin(async {
            self.catalog.close();
            self.starter.serve(None);
            self.starter.sealed.send_modify(|times| *times = times.wrapping_add(1));
            let running = self.running();
            let ends = running.iter().map(|instance| instance.end());
            futures_util::future::join_all(ends).await;
            // Whoever had them has closed them, or never will.
            let databases = self.databases.all();
            let closings = databases.iter().map(|connection| connection.close());
            futures_util::future::join_all(closings).await;
            self.starter.pool.stop().await;
        })
    }

    fn register(&self, registration: Registration) -> BoxFuture<'_, Result<Vec<String>, Error>> {
        Box::pin(async move {
            let rules = &self.starter.rules;
            let checked = catalog::check(registration, |command| rules.check_command(command))?;
            locate(rules.directory.as_deref(), &checked.command)?;
            self.try_registration(checked).await
        })
    }

    fn deregister<'a>(&'a self, id: &'a PluginId) -> BoxFuture<'a, Result<(), Error>> {
        Box::pin(self.catalog.remove(id))
    }

    fn get<'a>(&'a self, id: &'a PluginId) -> BoxFuture<'a, Result<Option<PluginEntry>, Error>> {
        Box::pin(async {
            Ok(self.catalog.find(id).await?.map(|found| match found {
                Found::Builtin(builtin) => builtin.entry(),
                Found::External(entry) => entry,
            }))
        })
    }

    fn list(&self) -> BoxFuture<'_, Result<Vec<PluginEntry>, Error>> {
        Box::pin(self.catalog.list())
    }

    fn pins(&self) -> BoxFuture<'_, Result<Vec<PluginId>, Error>> {
        Box::pin(self.catalog.pins())
    }

    fn pinned<'a>(
        &'a self,
        kind: PluginKind,
        name: &'a str,
    ) -> BoxFuture<'a, Result<Option<PluginId>, Error>> {
        Box::pin(self.catalog.pinned(kind, name))
    }

    fn pin<'a>(&'a self, id: &'a PluginId) -> BoxFuture<'a, Result<(), Error>> {
        Box::pin(self.catalog.pin(id))
    }

    fn unpin<'a>(&'a self, kind: PluginKind, name: &'a str) -> BoxFuture<'a, Result<(), Error>> {
        Box::pin(self.catalog.unpin(kind, name))
    }

    fn select_version<'a>(
        &'a self,
        kind: PluginKind,
        name: &'a str,
        wanted: &'a str,
    ) -> BoxFuture<'a, Result<String, Error>> {
        Box::pin(self.catalog.select_version(kind, name, wanted))
    }

    fn create<'a>(
        &'a self,
        id: &'a PluginId,
        setup: Setup,
    ) -> BoxFuture<'a, Result<Running, Error>> {
        Box::pin(async move {
            let pin = self.catalog.pinned(id.kind, &id.name).await?;
            match self.catalog.require(pin.as_ref().unwrap_or(id)).await? {
                Found::Builtin(builtin) => self.create_builtin(&builtin, setup).await,
                Found::External(entry) => self.create_external(&entry, setup).await,
            }
        })
    }

    fn open_database<'a>(
        &'a self,
        id: &'a PluginId,
        mount_point: &'a str,
    ) -> BoxFuture<'a, Result<OpenedDatabase, Error>> {
        Box::pin(async move {
            let pin = self.catalog.pinned(id.kind, &id.name).await?;
            match self.catalog.require(pin.as_ref().unwrap_or(id)).await? {
                Found::Builtin(builtin) => self.open_builtin(&builtin, mount_point),
                Found::External(entry) => self.open_external(&entry, mount_point).await,
            }
        })
    }

    fn retire<'a>(&'a self, id: &'a PluginId) -> BoxFuture<'a, ()> {
        Box::pin(async move {
            self.starter.pool.retire(id);
            self.databases.retire(|of| of == id);
        })
    }

    fn reload_databases<'a>(&'a self, name: &'a str) -> BoxFuture<'a, usize> {
        Box::pin(async move {
            // The processes first: whoever opens another connection is not to get into one of them.
            for id in self.databases.ids().iter().filter(|id| id.name == name) {
                self.starter.pool.retire(id);
            }
            self.databases.retire(|id| id.name == name)
        })
    }

    fn status(&self) -> BoxFuture<'_, Vec<PluginStatus>> {
        Box::pin(async { status::of(&self.running(), &self.databases.all()) })
    }
}
